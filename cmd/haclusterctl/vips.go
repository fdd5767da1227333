package main

import (
	"context"
	"fmt"
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
added later is younger than that.`,
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
	rows := [][]cell{plain("ADDRESS", "VERDICT", "HOLDER", "MASTER SINCE", "INSTANCE", "NEXT HOLDERS", "WHY")}
	for _, v := range vips {
		var next []string
		for _, c := range v.GetCandidates() {
			if c.GetState() == pb.State_STATE_BACKUP {
				next = append(next, fmt.Sprintf("%s (%d)", c.GetNode(), c.GetPriority()))
			} else {
				next = append(next, fmt.Sprintf("%s %s", c.GetNode(), word(c.GetState())))
			}
		}
		rows = append(rows, []cell{
			{text: v.GetAddress()}, {word(v.GetVerdict()), verdictStyle(v.GetVerdict())},
			{strings.Join(v.GetHolders(), ", "), bold}, {text: a.ago(v.GetSince())},
			{text: v.GetInstance()}, {text: strings.Join(next, ", ")}, {text: why(v)},
		})
	}
	return rows
}

// whyOf is why the holder took a safe address, and what is wrong with another
// one. The holder has its own column.
func whyOf(v *pb.Vip) string {
	if v.GetVerdict() == pb.Verdict_VERDICT_SAFE {
		return v.GetChangeReason()
	}
	return strings.TrimPrefix(v.GetReason(), "held by "+strings.Join(v.GetHolders(), " and ")+"; ")
}
