package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) vipsCommand() *cobra.Command {
	var node string
	cmd := &cobra.Command{
		Use:   "vips",
		Short: "List the virtual addresses: who holds them, since when and why",
		Long: `Vips prints each virtual address: how safe it is, who holds it, since when that
node is MASTER of its instance, and who takes it next. An address that an edit
added later is younger than that. MAY LOSE counts the members that may fail with
the address still served.`,
		Example: example("haclusterctl vips", "haclusterctl vips --node lb01 -o json"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewVipsServiceClient(conn).List(ctx, &pb.ListVipsRequest{Node: node})
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				if len(resp.GetVips()) == 0 {
					fmt.Fprintln(a.err, "no virtual addresses")
					return nil
				}
				a.table(a.out, a.vipRows(resp.GetVips(), whyOf))
				return nil
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().StringVar(&node, "node", "", "only those that this node holds")
	cmd.RegisterFlagCompletionFunc("node", a.completeNodes)
	return cmd
}

func (a *app) vipRows(vips []*pb.Vip, why func(*pb.Vip) string) [][]cell {
	leased := slices.ContainsFunc(vips, func(v *pb.Vip) bool { return v.GetLease() != nil })
	gated := slices.ContainsFunc(vips, func(v *pb.Vip) bool { return v.GetGate() != nil })
	head := []string{"ADDRESS", "VERDICT", "MAY LOSE", "HOLDER", "MASTER SINCE"}
	if leased {
		head = append(head, "LEASE", "BALLOT")
	}
	if gated {
		head = append(head, "GATE")
	}
	rows := [][]cell{plain(append(head, "INSTANCE", "NEXT HOLDERS", "WHY")...)}
	for _, v := range vips {
		var next []string
		for _, c := range v.GetCandidates() {
			if c.GetState() == pb.State_STATE_BACKUP {
				next = append(next, fmt.Sprintf("%s (%d)", c.GetNode(), c.GetPriority()))
			} else {
				next = append(next, fmt.Sprintf("%s %s", c.GetNode(), word(c.GetState())))
			}
		}
		row := []cell{
			{text: v.GetAddress()}, {word(v.GetVerdict()), verdictStyle(v.GetVerdict())}, {text: fmt.Sprint(v.GetFailureTolerance())},
			{strings.Join(v.GetHolders(), ", "), bold}, {text: a.ago(v.GetSince())},
		}
		if leased {
			row = append(row, leaseCell(v.GetLease()), cell{text: v.GetLease().GetBallot()})
		}
		if gated {
			row = append(row, gateCell(v.GetGate()))
		}
		rows = append(rows, append(row, cell{text: v.GetInstance()}, cell{text: strings.Join(next, ", ")}, cell{text: why(v)}))
	}
	return rows
}

// leaseCell is how much longer the holder's lease lasts.
func leaseCell(l *pb.Lease) cell {
	switch {
	case l == nil:
		return cell{}
	case l.GetHeld():
		return cell{age(l.GetLeft().AsDuration()), green}
	case l.GetWaiting() != "":
		return cell{"none: " + l.GetWaiting(), yellow}
	}
	return cell{"none", yellow}
}

// gateCell is what the kernel lets through, and for how much longer.
func gateCell(g *pb.Gate) cell {
	switch {
	case g.GetState() == "":
		return cell{"none", yellow}
	case g.GetLeft() != nil:
		return cell{text: g.GetState() + " " + age(g.GetLeft().AsDuration())}
	}
	return cell{text: g.GetState()}
}

// whyOf is why the holder took a safe address, and what is wrong with another
// one. The holder has its own column.
func whyOf(v *pb.Vip) string {
	if v.GetVerdict() == pb.Verdict_VERDICT_SAFE {
		return v.GetChangeReason()
	}
	return strings.TrimPrefix(v.GetReason(), "held by "+strings.Join(v.GetHolders(), " and ")+"; ")
}
