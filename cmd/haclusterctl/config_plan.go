package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configPlanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "plan FILE",
		Short:   "Say what applying a file would change, on which nodes",
		Long:    "Plan compares a file with the present revision, node by node: which sync groups\nand instances would appear, go or change in place. Nothing is changed.",
		Example: example("haclusterctl config plan new.conf", "haclusterctl config plan new.conf -o json"),
		Args:    argsBetween(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.readDocument(args[0])
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewConfigServiceClient(conn).Plan(ctx, &pb.PlanConfigRequest{Text: text, File: args[0]})
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				a.printPlan(resp)
				return nil
			})
		},
	}
	a.readFlags(cmd)
	return cmd
}

func (a *app) printPlan(resp *pb.PlanConfigResponse) {
	a.printFindings(resp.GetFindings())
	if resp.GetDiff() == "" {
		a.printf("no difference to revision %d\n", resp.GetBase())
		return
	}
	a.printDiff(resp.GetDiff())
	a.printf("\n")
	rows := [][]cell{plain("NODE", "APPEARS", "GOES", "CHANGES IN PLACE")}
	for _, n := range resp.GetNodes() {
		name := n.GetNode()
		if !n.GetAlive() {
			name += " (off: follows when it returns)"
		}
		rows = append(rows, plain(name, strings.Join(n.GetAdded(), ", "), strings.Join(n.GetRemoved(), ", "), strings.Join(n.GetChanged(), ", ")))
	}
	a.table(a.out, rows)
	a.printRemovals(resp)
}

// printRemovals says what the change takes away from the whole cluster.
func (a *app) printRemovals(resp *pb.PlanConfigResponse) {
	if len(resp.GetRemovals()) == 0 && !resp.GetNoAddressLeft() {
		return
	}
	a.printf("\n")
	for _, r := range resp.GetRemovals() {
		line := "takes away vrrp_instance " + r.GetInstance()
		if len(r.GetAddresses()) > 0 {
			line += ": " + strings.Join(r.GetAddresses(), ", ")
		}
		a.printf("%s\n", a.style(red, line))
	}
	if resp.GetNoAddressLeft() {
		a.printf("%s\n", a.style(red, "no virtual address is left"))
	}
	a.printf("apply asks before it does this, or wants --yes\n")
}
