package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configHistoryCommand() *cobra.Command {
	req := &pb.ConfigHistoryRequest{}
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "List the revisions: who changed what, when and why",
		Example: example("haclusterctl config history", "haclusterctl config history -n 100 -o json", "haclusterctl config history --request ID   # did that change get through?"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewConfigServiceClient(conn).History(ctx, req)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				rows := [][]cell{plain("REVISION", "TIME", "AUTHOR", "HASH", "MESSAGE")}
				for _, r := range resp.GetRevisions() {
					number := cell{text: fmt.Sprint(r.GetNumber())}
					if r.GetNumber() == resp.GetCurrent() {
						number.style = bold
					}
					hash := r.GetSha256()
					rows = append(rows, append([]cell{number}, plain(a.when(r.GetTime()), r.GetAuthor(), hash[:min(12, len(hash))], r.GetMessage())...))
				}
				a.table(a.out, rows)
				if u := resp.GetUnconfirmed(); u != nil {
					a.printf("%s\n", a.style(yellow, "waits to be confirmed: "+a.waitsLine(u)))
				}
				return nil
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().Uint32VarP(&req.Limit, "limit", "n", 20, "at most so many")
	cmd.Flags().StringVar(&req.RequestId, "request", "", "only the revision that this request made")
	return cmd
}
