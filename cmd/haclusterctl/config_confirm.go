package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configConfirmCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "confirm [REVISION]",
		Short: "Keep a revision that was applied with --confirm-within",
		Long: `Confirm keeps the revision that "config apply --confirm-within" has made. Without
it the text of the revision before comes back by itself, as a revision of its own,
whatever becomes of the machine on which it was applied.

With REVISION it refuses when another revision waits.`,
		Example:           example("haclusterctl config confirm", "haclusterctl config confirm 12"),
		Args:              argsBetween(0, 1),
		ValidArgsFunction: a.completeRevisions,
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := revisionArg(args, 0)
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewConfigServiceClient(conn).Confirm(ctx, &pb.ConfirmConfigRequest{Revision: number, OnBehalf: a.env("SUDO_USER")})
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				a.printf("revision %d stays\n", resp.GetRevision())
				return nil
			})
		},
	}
	a.readFlags(cmd)
	return cmd
}

// waitsLine says of a revision that waits to be confirmed what becomes of it.
func (a *app) waitsLine(u *pb.Unconfirmed) string {
	at := "at " + a.when(u.GetUntil())
	if a.terminal {
		at = "in " + age(u.GetUntil().AsTime().Sub(a.now()))
	}
	return fmt.Sprintf("revision %d of %s: revision %d comes back %s unless haclusterctl config confirm keeps it",
		u.GetRevision(), u.GetBy(), u.GetBase(), at)
}
