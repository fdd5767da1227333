package main

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) handoverCommand() *cobra.Command {
	req := &pb.HandoverRequest{}
	cmd := &cobra.Command{
		Use:   "handover UNIT|INSTANCE|ADDRESS [--to NODE]",
		Short: "Move virtual addresses to another node on purpose",
		Long: `Handover lets the holder release first, then the other node take over. What
moves is the whole unit: a sync group, or an instance in none. Without --to the
best candidate takes it.`,
		Example:           example("haclusterctl handover VI_1", "haclusterctl handover 192.0.2.100 --to lb02"),
		Args:              argsBetween(1, 1),
		ValidArgsFunction: a.completeUnits,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.What = args[0]
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewHandoverServiceClient(conn).Handover(ctx, req)
				if err != nil {
					return err
				}
				switch {
				case a.json():
					return a.printJSON(resp)
				case resp.GetFrom() == resp.GetTo():
					a.printf("%s is on %s already.\n", resp.GetUnit(), resp.GetTo())
				default:
					a.printf("%s: %s → %s in %s\n", resp.GetUnit(), resp.GetFrom(), a.style(green, resp.GetTo()), age(resp.GetTook().AsDuration()))
				}
				return nil
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().StringVar(&req.To, "to", "", "the node that shall hold it")
	cmd.RegisterFlagCompletionFunc("to", a.completeNodes)
	return cmd
}
