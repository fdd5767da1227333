package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configRollbackCommand() *cobra.Command {
	opts := &applyOptions{}
	cmd := &cobra.Command{
		Use:   "rollback [REVISION]",
		Short: "Make the text of an earlier revision the next one",
		Long: `Rollback applies the text of revision REVISION. History only grows: the rollback
is a revision of its own. When the earlier revision lacks instances that run now,
it asks first, or wants --yes.

Without REVISION it means the one before the present one. It says which two these
are and asks on a terminal; elsewhere it is refused unless --yes is given. When
somebody commits meanwhile, nothing is changed. Twice is not back by two: the
second rollback undoes the first.`,
		Example:           example("haclusterctl config rollback 12 -m 'VI_2 was wrong'", "haclusterctl config rollback"),
		Args:              argsBetween(0, 1),
		ValidArgsFunction: a.completeRevisions,
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := revisionArg(args, 0)
			if err != nil {
				return err
			}
			var base uint64
			if number == 0 {
				if base, number, err = a.stepBack(cmd.Context(), opts.yes); err != nil {
					return err
				}
			}
			return a.change(cmd.Context(), opts, func(ctx context.Context, client pb.ConfigServiceClient, accept bool) (grpc.ServerStreamingClient[pb.ApplyProgress], error) {
				return client.Rollback(ctx, &pb.RollbackConfigRequest{
					RequestId: opts.request(), Revision: number, Base: base, Message: opts.message, OnBehalf: a.env("SUDO_USER"), AcceptRemovals: accept,
				})
			})
		},
	}
	a.changeFlags(cmd, opts)
	return cmd
}

// stepBack finds the present revision and the one before it, and lets a person
// confirm that these are meant. Both are zero when there is none before it, which
// the daemon refuses by itself.
func (a *app) stepBack(ctx context.Context, sure bool) (present, before uint64, err error) {
	var resp *pb.ConfigHistoryResponse
	err = a.call(ctx, func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		resp, err = pb.NewConfigServiceClient(conn).History(ctx, &pb.ConfigHistoryRequest{Limit: 2})
		return err
	})
	revisions := resp.GetRevisions()
	if err != nil || len(revisions) < 2 {
		return 0, 0, err
	}
	present, before = revisions[0].GetNumber(), revisions[1].GetNumber()
	text := fmt.Sprintf("this undoes %s, and goes back to the text of %s", a.revisionLine(revisions[0]), a.revisionLine(revisions[1]))
	switch {
	case sure:
		if !a.json() {
			a.printf("%s\n", text)
		}
		return present, before, nil
	case !a.interactive:
		return 0, 0, &exitError{code: exitUsage, text: "which revision? Without a number " + text, remedy: fmt.Sprintf("haclusterctl config rollback %d", before)}
	}
	fmt.Fprintln(a.err, a.style(yellow, text))
	if !a.ask("Go back?") {
		return 0, 0, &exitError{code: exitRefused, text: "not applied; nothing was changed"}
	}
	return present, before, nil
}

// revisionLine names a revision with who made it, when and why.
func (a *app) revisionLine(r *pb.Revision) string {
	why := ""
	if r.GetMessage() != "" {
		why = ": " + r.GetMessage()
	}
	return fmt.Sprintf("revision %d (%s, %s%s)", r.GetNumber(), r.GetAuthor(), a.ago(r.GetTime()), why)
}
