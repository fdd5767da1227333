package main

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configRollbackCommand() *cobra.Command {
	opts := &applyOptions{}
	cmd := &cobra.Command{
		Use:   "rollback [REVISION]",
		Short: "Make the text of an earlier revision the next one",
		Long: `Rollback applies the text of revision REVISION, or of the one before the present
one. History only grows: the rollback is a revision of its own. When the earlier
revision lacks instances that run now, it asks first, or wants --yes.`,
		Example:           example("haclusterctl config rollback", "haclusterctl config rollback 12 -m 'VI_2 was wrong'"),
		Args:              argsBetween(0, 1),
		ValidArgsFunction: a.completeRevisions,
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := revisionArg(args, 0)
			if err != nil {
				return err
			}
			return a.change(cmd.Context(), opts, func(ctx context.Context, client pb.ConfigServiceClient, accept bool) (grpc.ServerStreamingClient[pb.ApplyProgress], error) {
				return client.Rollback(ctx, &pb.RollbackConfigRequest{
					RequestId: opts.request(), Revision: number, Message: opts.message, OnBehalf: a.env("SUDO_USER"), AcceptRemovals: accept,
				})
			})
		},
	}
	a.changeFlags(cmd, opts)
	return cmd
}
