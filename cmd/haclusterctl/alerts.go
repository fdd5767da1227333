package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) alertsCommand() *cobra.Command {
	req := &pb.ListAlertsRequest{}
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Show what needs a person, with the evidence and the next step",
		Long: `Alerts prints the conditions that are open on any node: what is wrong, which
channel said what, what hacluster did about it, and what to do next.

With -f it goes on with each change; -o json then prints one object on each line.`,
		Example: example("haclusterctl alerts", "haclusterctl alerts --all", "haclusterctl alerts -f -o json"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.follow(cmd.Context(), req.GetFollow(), func(ctx context.Context, conn *grpc.ClientConn) error {
				stream, err := pb.NewAlertsServiceClient(conn).List(ctx, req)
				if err != nil {
					return err
				}
				shown := 0
				err = printStream(a, stream, "alerts", req.GetFollow(), func(alert *pb.Alert) {
					shown++
					a.printAlert(a.out, alert, true)
				})
				if err == nil && shown == 0 && !a.json() {
					fmt.Fprintln(a.err, "no alerts")
				}
				return err
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVarP(&req.Follow, "follow", "f", false, "go on, and show alerts as they open and resolve")
	cmd.Flags().BoolVar(&req.All, "all", false, "those that are resolved, too")
	return cmd
}

// joinAlerts makes one alert of those that say the same on several nodes, since
// the first of them, and names the nodes.
func joinAlerts(list []*pb.Alert) []*pb.Alert {
	var out []*pb.Alert
	for _, alert := range list {
		i := slices.IndexFunc(out, func(o *pb.Alert) bool {
			return o.GetCode() == alert.GetCode() && o.GetUnit() == alert.GetUnit() && o.GetSummary() == alert.GetSummary()
		})
		if i < 0 {
			out = append(out, proto.CloneOf(alert))
			continue
		}
		out[i].Node += ", " + alert.GetNode()
		if alert.GetSince().AsTime().Before(out[i].GetSince().AsTime()) {
			out[i].Since = alert.GetSince()
		}
	}
	return out
}

func (a *app) printAlert(w io.Writer, alert *pb.Alert, evidence bool) {
	shade := yellow
	switch alert.GetSeverity() {
	case pb.Alert_SEVERITY_CRITICAL:
		shade = red
	case pb.Alert_SEVERITY_INFO:
		shade = noStyle
	}
	label := word(alert.GetSeverity())
	if alert.GetResolved() != nil {
		label, shade = "RESOLVED", green
	}
	subject := alert.GetCode()
	if alert.GetUnit() != "" {
		subject += " " + alert.GetUnit()
	}
	fmt.Fprintf(w, "%s  %s  %s, since %s: %s\n", a.style(shade, label), subject, alert.GetNode(), a.ago(alert.GetSince()), alert.GetSummary())
	if evidence {
		for _, line := range alert.GetEvidence() {
			fmt.Fprintf(w, "    %s\n", a.style(dim, line))
		}
	}
	if alert.GetAction() != "" {
		fmt.Fprintf(w, "    done: %s\n", alert.GetAction())
	}
	if alert.GetResolved() != nil {
		fmt.Fprintf(w, "    lasted %s\n", age(alert.GetResolved().AsTime().Sub(alert.GetSince().AsTime())))
	} else if alert.GetNext() != "" {
		fmt.Fprintf(w, "    next: %s\n", alert.GetNext())
	}
}
