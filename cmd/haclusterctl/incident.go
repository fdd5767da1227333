package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) incidentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "incident",
		Short: "Tell what went wrong: fail-overs, split brains, lost majorities",
		Long: `An incident is one story of what all nodes saw of one thing that went wrong: the
death of a node with many addresses is one incident. Its times are by the clock of
the node that is asked, as far as the clocks' differences are known.`,
		Example: example("haclusterctl incident list", "haclusterctl incident show 12"),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && strings.ContainsAny(args[0], "0123456789") {
				return usageError("haclusterctl incident show %s tells that incident", args[0])
			}
			return noCommand(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.incidentListCommand(), a.incidentShowCommand())
	return cmd
}

func (a *app) incidentListCommand() *cobra.Command {
	req := &pb.ListIncidentsRequest{}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List incidents, the newest first",
		Example: example("haclusterctl incident list", "haclusterctl incident list --open -o json"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewIncidentsServiceClient(conn).List(ctx, req)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				if len(resp.GetIncidents()) == 0 {
					fmt.Fprintln(a.err, "no incidents")
					return nil
				}
				rows := [][]cell{plain("ID", "KIND", "OPENED", "LASTED", "SEEN BY", "WHAT")}
				for _, i := range resp.GetIncidents() {
					rows = append(rows, []cell{
						{text: i.GetId()}, {i.GetKind(), incidentStyle(i)}, {text: a.ago(i.GetOpened())}, lasted(i),
						{text: strings.Join(i.GetReporters(), ", ")}, {text: i.GetSummary()},
					})
				}
				a.table(a.out, rows)
				return nil
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().Uint32VarP(&req.Limit, "limit", "n", 0, "at most this many (default 50)")
	cmd.Flags().BoolVar(&req.Open, "open", false, "only those that are open")
	return cmd
}

func (a *app) incidentShowCommand() *cobra.Command {
	var replay bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Tell one incident: who saw what when, and what was done",
		Long: `Show prints what happened in order, with the node and the channel that said so.

With --replay it prints each decision that the nodes took about the units around
that time, and what today's code decides from the same facts. Nodes keep these
in memory, and those of the last ten incidents in the run directory until a reboot.`,
		Example:           example("haclusterctl incident show 12", "haclusterctl incident show 12 --replay"),
		Args:              argsBetween(1, 1),
		ValidArgsFunction: a.completeIncidents,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				client := pb.NewIncidentsServiceClient(conn)
				if replay {
					resp, err := client.Replay(ctx, &pb.ReplayIncidentRequest{Id: args[0]})
					if err != nil {
						return err
					}
					return a.printReplay(resp)
				}
				i, err := client.Get(ctx, &pb.GetIncidentRequest{Id: args[0]})
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(i)
				}
				a.printIncident(i)
				return nil
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVar(&replay, "replay", false, "print the decisions, and what today's code decides")
	return cmd
}

func incidentStyle(i *pb.Incident) style {
	switch {
	case i.GetClosed() != nil:
		return noStyle
	case i.GetKind() == "failover":
		return yellow
	}
	return red
}

// lasted is how long an incident stood; an open one says so.
func lasted(i *pb.Incident) cell {
	if i.GetClosed() == nil {
		return cell{"open", yellow}
	}
	return cell{text: age(i.GetClosed().AsTime().Sub(i.GetOpened().AsTime()))}
}

func (a *app) printIncident(i *pb.Incident) {
	a.printf("incident %s  %s  %s\n", a.style(bold, i.GetId()), a.style(incidentStyle(i), i.GetKind()), i.GetSummary())
	when := "opened " + a.when(i.GetOpened())
	if i.GetClosed() != nil {
		when += ", closed after " + lasted(i).text
	} else {
		when += ", still open"
	}
	a.printf("%s; seen by %s\n", when, strings.Join(i.GetReporters(), ", "))
	if i.GetIsolated() {
		a.printf("%s\n", a.style(yellow, "no majority has taken it yet: this is the view of one node"))
	}
	if units := i.GetUnits(); len(units) > 0 {
		for n, line := range wrap(strings.Join(units, ", "), max(a.width, 80), 7) {
			head := "units  "
			if n > 0 {
				head = "       "
			}
			a.printf("%s%s\n", head, line)
		}
	}
	if d := i.GetDoubleHeld(); d != nil {
		a.printf("two holders for %v at the longest, by the nodes' claims\n", d.AsDuration().Round(time.Millisecond))
	}
	if d := i.GetDark(); d != nil {
		a.printf("no holder for %v at most, from the last sign of the old one to the new one's start, by the nodes' claims\n", d.AsDuration().Round(time.Millisecond))
	}
	if d := i.GetUnanswered(); d != nil {
		a.printf("no answer for %v at most, from that sign to the new one's first answer to a probe\n", d.AsDuration().Round(time.Millisecond))
	}
	for _, what := range i.GetDone() {
		a.printf("done  %s\n", what)
	}
	if len(i.GetLines()) == 0 {
		return
	}
	a.printf("\n")
	rows := [][]cell{plain("TIME", "NODE", "CHANNEL", "UNITS", "WHAT")}
	for _, l := range i.GetLines() {
		rows = append(rows, []cell{
			{text: a.when(l.GetTime())}, {l.GetNode(), bold}, {text: l.GetChannel()}, {text: fewNames(l.GetUnits())}, {text: l.GetText()},
		})
	}
	a.table(a.out, rows)
}

// fewNames names two units, and counts the rest.
func fewNames(units []string) string {
	if len(units) <= 2 {
		return strings.Join(units, ", ")
	}
	return fmt.Sprintf("%s and %d more", units[0], len(units)-1)
}

// printReplay prints decisions, those that came out otherwise in full.
func (a *app) printReplay(resp *pb.ReplayIncidentResponse) error {
	if a.json() {
		return a.printJSON(resp)
	}
	for _, name := range resp.GetMissing() {
		fmt.Fprintf(a.err, "%s did not answer\n", name)
	}
	if len(resp.GetDecisions()) == 0 {
		fmt.Fprintln(a.err, "no decisions are kept of that time: nodes keep them in memory only")
		return nil
	}
	differ := 0
	for _, d := range resp.GetDecisions() {
		a.printf("%s  %s  %s %s\n", a.when(d.GetTime()), a.style(bold, d.GetNode()), d.GetUnit(), d.GetState())
		for _, line := range d.GetWas() {
			a.printf("    %s\n", line)
		}
		if d.GetSame() {
			continue
		}
		differ++
		a.printf("  %s\n", a.style(red, "today's code decides otherwise:"))
		for _, line := range d.GetNow() {
			a.printf("    %s\n", line)
		}
	}
	if differ == 0 {
		a.printf("%s: today's code decides the same each time\n", count(len(resp.GetDecisions()), "decision"))
		return nil
	}
	a.printf("%s: today's code decides otherwise %d times\n", count(len(resp.GetDecisions()), "decision"), differ)
	return nil
}

func (a *app) completeIncidents(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.completions(func(ctx context.Context, conn *grpc.ClientConn) (ids []string) {
		resp, err := pb.NewIncidentsServiceClient(conn).List(ctx, &pb.ListIncidentsRequest{})
		if err != nil {
			return nil
		}
		for _, i := range resp.GetIncidents() {
			ids = append(ids, i.GetId()+"\t"+i.GetSummary())
		}
		return ids
	})
}
