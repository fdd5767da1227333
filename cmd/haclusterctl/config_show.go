package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configShowCommand() *cobra.Command {
	var revision uint64
	cmd := &cobra.Command{
		Use:               "show [REVISION]",
		Short:             "Print the document, or an earlier revision of it",
		Long:              "Show prints the present document, or revision REVISION. Readers that are not\nroot see *** in place of passwords.",
		Example:           example("haclusterctl config show", "haclusterctl config show 12 > old.conf"),
		Args:              argsBetween(0, 1),
		ValidArgsFunction: a.completeRevisions,
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := revisionArg(args, 0)
			if err != nil {
				return err
			}
			switch {
			case number == 0:
				number = revision
			case revision != 0 && revision != number:
				return usageError("revision %d and --revision %d: name one", number, revision)
			}
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewConfigServiceClient(conn).Show(ctx, &pb.ShowConfigRequest{Revision: number})
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				_, err = fmt.Fprint(a.out, resp.GetText())
				return err
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().Uint64Var(&revision, "revision", 0, "the same as REVISION")
	cmd.RegisterFlagCompletionFunc("revision", a.completeRevisions)
	return cmd
}

// revisionArg reads the i-th argument as a revision; 0 when it is not there.
func revisionArg(args []string, i int) (uint64, error) {
	if i >= len(args) {
		return 0, nil
	}
	n, err := strconv.ParseUint(args[i], 10, 64)
	if err != nil || n == 0 {
		return 0, usageError("revision %q is no number from 1; haclusterctl config history lists them", args[i])
	}
	return n, nil
}
