package main

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/internal/version"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of haclusterctl and of the daemon",
		Example: example("haclusterctl version", "haclusterctl version -o json"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var daemon *pb.InfoResponse
			// Without a daemon the command still says what it can.
			reach := a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) (err error) {
				daemon, err = pb.NewLifecycleServiceClient(conn).Info(ctx, &pb.InfoRequest{})
				return err
			})
			if a.json() {
				out := appendString([]byte(`{"version":`), version.Version)
				out = appendString(append(out, `,"commit":`...), version.Commit)
				out = appendString(append(out, `,"go":`...), runtime.Version())
				out = append(out, `,"daemon":`...)
				if daemon == nil {
					out = append(out, "null"...)
				} else {
					out = appendMessage(out, daemon.ProtoReflect())
				}
				return a.printIndented(append(out, '}'))
			}
			a.printf("haclusterctl %s\n", version.String())
			if reach != nil {
				a.printf("haclusterd   not reachable on %s\n", a.socket)
				return nil
			}
			a.printf("haclusterd   %s (commit %s, %s)\n", daemon.GetVersion(), daemon.GetCommit(), daemon.GetGo())
			return nil
		},
	}
	a.readFlags(cmd)
	return cmd
}
