package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) removeCommand() *cobra.Command {
	req := &pb.RemoveMemberRequest{}
	sure := false
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Take a node that has died out of the cluster",
		Long: `Remove takes NODE, which has died or was lost, out of the cluster: its vote and its
place are gone. Any other member may be asked. A node that anybody still hears is
refused: haclusterctl leave on that node takes it out politely. So is one whose
vote policy quorum needs, and any while no majority of the voters answers.

When the machine comes back it is told that it was removed, and holds nothing;
haclusterctl leave clears its data there, and it can join again.

It asks on a terminal; elsewhere it is refused unless --yes is given.`,
		Example:           example("haclusterctl remove lb03", "haclusterctl remove lb03 --yes -o json"),
		Args:              argsBetween(1, 1),
		ValidArgsFunction: a.completeDeadNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Node, req.OnBehalf = args[0], a.env("SUDO_USER")
			if !sure {
				if err := a.confirmRemoval(cmd.Context(), req.GetNode()); err != nil {
					return err
				}
			}
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewLifecycleServiceClient(conn).Remove(ctx, req)
				if err != nil {
					return err
				}
				return a.printRemoval(resp)
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVarP(&sure, "yes", "y", false, "do not ask")
	return cmd
}

// confirmRemoval lets a person confirm that this node is meant.
func (a *app) confirmRemoval(ctx context.Context, node string) error {
	if !a.interactive {
		return &exitError{
			code: exitUsage, text: "this takes " + node + " out of the cluster: it would have to join anew",
			remedy: "nothing was changed; --yes does it",
		}
	}
	var resp *pb.ListNodesResponse
	if err := a.call(ctx, func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		resp, err = pb.NewNodesServiceClient(conn).List(ctx, &pb.ListNodesRequest{Node: node})
		return err
	}); err != nil {
		return err
	}
	for _, n := range resp.GetNodes() {
		fmt.Fprintln(a.err, a.style(yellow, fmt.Sprintf("this takes %s (%s, last seen %s) out of the cluster: it would have to join anew",
			n.GetName(), n.GetAddress(), a.lastSeen(n, ""))))
	}
	if !a.ask("Remove it?") {
		return &exitError{code: exitRefused, text: "not removed; nothing was changed"}
	}
	return nil
}

func (a *app) printRemoval(resp *pb.RemoveMemberResponse) error {
	if a.json() {
		return a.printJSON(resp)
	}
	for _, w := range resp.GetWarnings() {
		fmt.Fprintln(a.err, a.style(yellow, "warning: "+w))
	}
	a.printf("%s is no member of cluster %s any more. What remains: %s.\n", resp.GetNode(), resp.GetCluster(), strings.Join(resp.GetRemaining(), ", "))
	return nil
}
