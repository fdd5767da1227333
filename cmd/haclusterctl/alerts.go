package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

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
				var list []*pb.Alert
				err = printStream(a, stream, "alerts", req.GetFollow(), func(alert *pb.Alert) {
					if req.GetFollow() {
						a.printAlert(a.out, joined{Alert: alert}, true)
						return
					}
					list = append(list, alert)
				})
				for _, alert := range joinAlerts(list) {
					a.printAlert(a.out, alert, true)
				}
				if err == nil && len(list) == 0 && !req.GetFollow() && !a.json() {
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

// joined is one alert for people, made of those that nodes raised of the same
// thing.
type joined struct {
	*pb.Alert          // the first of them, with the evidence of all
	nodes     []string // that raised it
	also      []string // what the others say, as far as it is different
}

// joinAlerts makes one alert of those of one code and unit that stood at the
// same time: a lost channel is seen at both ends, and by each pair of nodes.
func joinAlerts(list []*pb.Alert) []joined {
	var out []joined
	for _, alert := range list {
		i := slices.IndexFunc(out, func(o joined) bool {
			return o.GetCode() == alert.GetCode() && o.GetUnit() == alert.GetUnit() && overlap(o.Alert, alert)
		})
		if i < 0 {
			out = append(out, joined{Alert: proto.CloneOf(alert), nodes: []string{alert.GetNode()}})
			continue
		}
		o := &out[i]
		if !slices.Contains(o.nodes, alert.GetNode()) {
			o.nodes = append(o.nodes, alert.GetNode())
			slices.Sort(o.nodes)
		}
		if alert.GetSummary() != o.GetSummary() && !slices.Contains(o.also, alert.GetSummary()) {
			o.also = append(o.also, alert.GetSummary())
		}
		for _, line := range alert.GetEvidence() {
			if !slices.Contains(o.Evidence, line) {
				o.Evidence = append(o.Evidence, line)
			}
		}
		if alert.GetSince().AsTime().Before(o.GetSince().AsTime()) {
			o.Since = alert.GetSince()
		}
		if alert.GetResolved().AsTime().After(o.GetResolved().AsTime()) {
			o.Resolved = alert.GetResolved()
		}
	}
	return out
}

// overlap says whether two alerts are both open, or are both over and stood at
// the same time.
func overlap(a, b *pb.Alert) bool {
	if a.GetResolved() == nil || b.GetResolved() == nil {
		return a.GetResolved() == nil && b.GetResolved() == nil
	}
	return !a.GetSince().AsTime().After(b.GetResolved().AsTime()) && !b.GetSince().AsTime().After(a.GetResolved().AsTime())
}

func (a *app) printAlert(w io.Writer, alert joined, evidence bool) {
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
	nodes := alert.GetNode()
	if len(alert.nodes) > 0 {
		nodes = strings.Join(alert.nodes, ", ")
	}
	when := "since " + a.ago(alert.GetSince())
	if alert.GetResolved() != nil {
		when = a.ago(alert.GetSince()) + ", for " + age(alert.GetResolved().AsTime().Sub(alert.GetSince().AsTime()))
	}
	fmt.Fprintf(w, "%s  %s  on %s, %s\n", a.style(shade, label), subject, nodes, when)
	for _, text := range append([]string{alert.GetSummary()}, alert.also...) {
		a.indented(w, noStyle, text)
	}
	if evidence {
		for _, line := range alert.GetEvidence() {
			a.indented(w, dim, line)
		}
	}
	if alert.GetAction() != "" {
		a.indented(w, noStyle, "done: "+alert.GetAction())
	}
	if alert.GetResolved() == nil && alert.GetNext() != "" {
		a.indented(w, noStyle, "next: "+alert.GetNext())
	}
}

// indented prints a line that belongs to the one above, wrapped on a terminal.
func (a *app) indented(w io.Writer, s style, text string) {
	const indent = "    "
	for _, line := range wrap(text, a.width, len(indent)) {
		fmt.Fprintf(w, "%s%s\n", indent, a.style(s, line))
	}
}
