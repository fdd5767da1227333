package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// applyOptions are the flags of everything that makes a revision.
type applyOptions struct {
	message           string
	requestID         string
	acceptUnsupported bool
	base              uint64 // 0: the present revision
	force             bool
	file              string // what findings call the text
	yes               bool   // take things away without asking

	confirmWithin time.Duration // 0: it stays by itself
}

func (a *app) applyFlags(cmd *cobra.Command, o *applyOptions) {
	flags := cmd.Flags()
	a.changeFlags(cmd, o)
	flags.BoolVar(&o.acceptUnsupported, "accept-unsupported", false, "take words that hacluster does not implement and whose loss matters")
}

// changeFlags adds the flags of every change.
func (a *app) changeFlags(cmd *cobra.Command, o *applyOptions) {
	a.readFlags(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&o.message, "message", "m", "", "why, for the history")
	flags.StringVar(&o.requestID, "request", "", "identity of the request; repeating it changes nothing")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask before instances, or every virtual address or service, are taken away")
}

func (o *applyOptions) request() string {
	if o.requestID == "" {
		o.requestID = rand.Text()
	}
	return o.requestID
}

// within is for the request; nil: it stays by itself.
func (o *applyOptions) within() *durationpb.Duration {
	if o.confirmWithin == 0 {
		return nil
	}
	return durationpb.New(o.confirmWithin)
}

func (a *app) configApplyCommand() *cobra.Command {
	opts := &applyOptions{}
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make a file the cluster's next revision, on every node",
		Long: `Apply checks the file for every node, lets every live one try it, commits it, and
reports until every live node runs it. Nodes that are off follow when they
return.

What takes instances, or every virtual address or service, away is asked for on a
terminal, and refused elsewhere unless --yes is given.

With --confirm-within D the revision before comes back by itself, as a revision of
its own, unless haclusterctl config confirm is run on any member within that time.
Meanwhile other edits are refused, and rollback takes it back at once.

With --base N the file is an edit of revision N: what others committed since is
merged, or the edit is refused with both sides shown.

Exit status 0 when every live node runs it; 1 refused, nothing changed; 4
committed, but a live node does not run it; 5 outcome unknown.`,
		Example: example("haclusterctl config apply new.conf -m 'VI_2 for the new site'", "haclusterctl config apply new.conf --confirm-within 5m && haclusterctl status && haclusterctl config confirm", "haclusterctl config show > c.conf && sed -i s/eth0/eth1/ c.conf && haclusterctl config apply c.conf"),
		Args:    argsBetween(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.readDocument(args[0])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("confirm-within") && (opts.confirmWithin <= 0 || opts.confirmWithin > longestConfirm) {
				return usageError("--confirm-within %v is out of range; use for example 5m, at most 24h", opts.confirmWithin)
			}
			opts.file, opts.force = args[0], opts.base == 0
			err = a.applyText(cmd.Context(), text, opts)
			if e, ok := errors.AsType[*exitError](err); opts.confirmWithin > 0 && (err == nil || ok && e.code == exitNotEvery) {
				a.remind(cmd.Context())
			}
			return err
		},
	}
	a.applyFlags(cmd, opts)
	cmd.Flags().Uint64Var(&opts.base, "base", 0, "the revision that the file was made from")
	cmd.Flags().DurationVar(&opts.confirmWithin, "confirm-within", 0, "go back by itself unless it is confirmed within this time, at most 24h")
	cmd.RegisterFlagCompletionFunc("base", a.completeRevisions)
	return cmd
}

// longestConfirm is how long a revision may wait to be confirmed.
const longestConfirm = 24 * time.Hour

// remind says on standard error what waits to be confirmed. That a revision was made
// stands whatever comes of the question.
func (a *app) remind(ctx context.Context) {
	_ = a.call(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
		resp, err := pb.NewConfigServiceClient(conn).History(ctx, &pb.ConfigHistoryRequest{Limit: 1})
		if err == nil && resp.GetUnconfirmed() != nil {
			fmt.Fprintln(a.err, a.style(yellow, a.waitsLine(resp.GetUnconfirmed())))
		}
		return err
	})
}

// applyText makes a text the next revision and shows how far it is.
func (a *app) applyText(ctx context.Context, text string, o *applyOptions) error {
	return a.change(ctx, o, func(ctx context.Context, client pb.ConfigServiceClient, accept bool) (grpc.ServerStreamingClient[pb.ApplyProgress], error) {
		return client.Apply(ctx, &pb.ApplyConfigRequest{
			RequestId: o.request(), Base: o.base, Force: o.force, Text: text, File: o.file, Message: o.message,
			OnBehalf: a.env("SUDO_USER"), AcceptUnsupported: o.acceptUnsupported, AcceptRemovals: accept, ConfirmWithin: o.within(),
		})
	})
}

// change makes a revision by one call and shows how far it is. When the daemon
// finds that things would be taken away, it asks on a terminal, and calls again
// with accept.
func (a *app) change(ctx context.Context, o *applyOptions, call func(ctx context.Context, client pb.ConfigServiceClient, accept bool) (grpc.ServerStreamingClient[pb.ApplyProgress], error)) error {
	try := func(accept bool) error {
		return a.call(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
			stream, err := call(ctx, pb.NewConfigServiceClient(conn), accept)
			if err != nil {
				return err
			}
			return a.showProgress(stream, o.requestID)
		})
	}
	err := try(o.yes)
	e, ok := errors.AsType[*exitError](err)
	if !ok || e.reason != pb.ErrorReason_ERROR_REASON_REMOVES || !a.interactive {
		return err
	}
	fmt.Fprintln(a.err, a.style(yellow, e.text))
	if !a.ask("Go on?") {
		return &exitError{code: exitRefused, text: "not applied; nothing was changed"}
	}
	return try(true)
}
