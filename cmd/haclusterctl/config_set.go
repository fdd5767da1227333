package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configSetCommand() *cobra.Command {
	opts := &applyOptions{}
	var node string
	cmd := &cobra.Command{
		Use:   "set BLOCK KEYWORD [VALUE...]",
		Short: "Change one keyword of one block, and apply the result",
		Long: `Set changes one keyword in a block of the document, keeps everything else as it
stands, comments too, and applies the result. With --node the value counts on
that node only.`,
		Example: example("haclusterctl config set 'vrrp_instance VI_1' priority 120", "haclusterctl config set 'vrrp_instance VI_1' priority 120 --node lb01", "haclusterctl config set global_defs vrrp_garp_master_delay 2"),
		Args:    argsBetween(2, 64),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), opts, func(ctx context.Context, client pb.ConfigServiceClient, accept bool) (grpc.ServerStreamingClient[pb.ApplyProgress], error) {
				return client.Set(ctx, &pb.SetConfigRequest{
					RequestId: opts.request(), Block: args[0], Keyword: args[1], Value: strings.Join(args[2:], " "), Node: node,
					Message: opts.message, OnBehalf: a.env("SUDO_USER"), AcceptUnsupported: opts.acceptUnsupported, AcceptRemovals: accept,
				})
			})
		},
	}
	a.applyFlags(cmd, opts)
	cmd.Flags().StringVar(&node, "node", "", "only on this node")
	cmd.RegisterFlagCompletionFunc("node", a.completeNodes)
	return cmd
}
