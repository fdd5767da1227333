package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// restartTime is longer than the daemon tries, and restartPoll how often it is
// asked meanwhile.
const (
	restartTime = 28 * time.Second
	restartPoll = 100 * time.Millisecond
)

func (a *app) restartCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "Start this machine's daemon anew, and let nothing go",
		Long: `Restart starts the daemon of this machine anew, with the program that is on the
disk: after an upgrade that is the new one. Virtual addresses stay where they are
and answer all the time; the other members are told. When the new one does not
start, the old one goes on.

Units with an advert_int below 0.25, or a lease below one second, and those of
policy quorum without a kernel gate, cannot outlive their process: they are handed
over to another node.

Changed flags and a changed unit of systemd count from its next start only:
systemctl restart haclusterd, which lets go politely.

Exit status: 0 the new one runs, 1 the old one goes on, 3 the daemon is not
reachable, or of a version that cannot be asked.`,
		Example: example("haclusterctl restart"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), a.restart)
		},
	}
	a.readFlags(cmd)
	return cmd
}

func (a *app) restart(ctx context.Context, conn *grpc.ClientConn) error {
	client := pb.NewLifecycleServiceClient(conn)
	before, err := client.Info(ctx, &pb.InfoRequest{})
	if err != nil {
		return err
	}
	_, err = client.Restart(ctx, &pb.RestartRequest{})
	if status.Code(err) == codes.Unimplemented {
		return &exitError{
			code: exitNoDaemon, text: fmt.Sprintf("haclusterd %s cannot be asked for that", before.GetVersion()),
			remedy: "systemctl restart haclusterd lets go politely, and the addresses move",
		}
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, restartTime)
	defer cancel()
	for {
		// There is a moment in which nobody answers.
		now, err := client.Info(ctx, &pb.InfoRequest{})
		if err == nil && !now.GetStarted().AsTime().Equal(before.GetStarted().AsTime()) {
			return a.printRestart(before, now)
		}
		select {
		case <-time.After(restartPoll):
		case <-ctx.Done():
			return &exitError{code: exitRefused, text: "no new daemon has started: the old one goes on", remedy: "journalctl -u haclusterd says why"}
		}
	}
}

func (a *app) printRestart(before, now *pb.InfoResponse) error {
	if a.json() {
		return a.printJSON(now)
	}
	text := "version " + now.GetVersion()
	if before.GetVersion() != now.GetVersion() {
		text += ", before it " + before.GetVersion()
	}
	a.printf("haclusterd of %s runs anew: %s.\n", now.GetNode(), text)
	return nil
}
