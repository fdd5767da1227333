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
		Use:               "rollback [REVISION]",
		Short:             "Make the text of an earlier revision the next one",
		Long:              "Rollback applies the text of revision REVISION, or of the one before the present\none. History only grows: the rollback is a revision of its own.",
		Example:           example("haclusterctl config rollback", "haclusterctl config rollback 12 -m 'VI_2 was wrong'"),
		Args:              argsBetween(0, 1),
		ValidArgsFunction: a.completeRevisions,
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := revisionArg(args, 0)
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				stream, err := pb.NewConfigServiceClient(conn).Rollback(ctx, &pb.RollbackConfigRequest{
					RequestId: opts.request(), Revision: number, Message: opts.message, OnBehalf: a.env("SUDO_USER"),
				})
				if err != nil {
					return err
				}
				return a.showProgress(stream, opts.requestID)
			})
		},
	}
	a.readFlags(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&opts.message, "message", "m", "", "why, for the history")
	flags.StringVar(&opts.requestID, "request", "", "identity of the request; repeating it changes nothing")
	return cmd
}
