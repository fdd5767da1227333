package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) leaveCommand() *cobra.Command {
	req := &pb.LeaveRequest{}
	cmd := &cobra.Command{
		Use:   "leave",
		Short: "Take this node out of its cluster",
		Long: `Leave hands over what this node holds, takes it out of the cluster and deletes
its keys. The last member needs --last: the cluster and its history end with it.`,
		Example: example("haclusterctl leave", "haclusterctl leave --last"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewLifecycleServiceClient(conn).Leave(ctx, req)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				for _, w := range resp.GetWarnings() {
					fmt.Fprintln(a.err, a.style(yellow, "warning: "+w))
				}
				if len(resp.GetRemaining()) == 0 {
					a.printf("Cluster %s has ended.\n", resp.GetCluster())
					return nil
				}
				a.printf("This node has left cluster %s. What remains: %s.\n", resp.GetCluster(), strings.Join(resp.GetRemaining(), ", "))
				return nil
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVar(&req.Last, "last", false, "this is the last member, and the cluster shall end")
	return cmd
}
