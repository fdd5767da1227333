package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) nodesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "nodes [NODE]",
		Short:             "List the nodes: alive or not, version, revision, what they run",
		Example:           example("haclusterctl nodes", "haclusterctl nodes lb02", "haclusterctl nodes -o json | jq '.nodes[] | select(.alive | not) | .name'"),
		Args:              argsBetween(0, 1),
		ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				if len(args) == 1 || a.json() {
					return a.showNodes(ctx, conn, args)
				}
				st, err := pb.NewStatusServiceClient(conn).Get(ctx, &pb.GetStatusRequest{})
				if err != nil {
					return err
				}
				a.table(a.out, a.nodeRows(st.GetNodes(), st.GetObserver()))
				if len(st.GetNodes()) > 1 {
					a.printf("\n")
					a.printReach(a.out, st)
				}
				return nil
			})
		},
	}
	a.readFlags(cmd)
	return cmd
}

func (a *app) showNodes(ctx context.Context, conn *grpc.ClientConn, args []string) error {
	req := &pb.ListNodesRequest{}
	if len(args) == 1 {
		req.Node = args[0]
	}
	resp, err := pb.NewNodesServiceClient(conn).List(ctx, req)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(resp)
	}
	for _, n := range resp.GetNodes() {
		a.printNode(n)
	}
	return nil
}

func (a *app) nodeRows(nodes []*pb.Node, observer string) [][]cell {
	rows := [][]cell{plain("NODE", "STATE", "ROLE", "SEEN", "REVISION", "VERSION", "ADDRESS", "RUNS")}
	for _, n := range nodes {
		state := cell{"up", green}
		switch {
		case !n.GetAlive():
			state = cell{"off", red}
		case n.GetSilent():
			state = cell{"silent", yellow}
		}
		role := strings.ToLower(strings.ReplaceAll(word(n.GetRole()), " ", "-"))
		switch {
		case n.GetLeader() && n.GetRole() == pb.Role_ROLE_WITNESS:
			role = "witness, leader"
		case n.GetLeader():
			role = "leader"
		}
		revision := cell{text: fmt.Sprint(n.GetRevision())}
		if n.GetRevision() != n.GetRevisionTarget() {
			revision = cell{fmt.Sprintf("%d of %d", n.GetRevision(), n.GetRevisionTarget()), yellow}
		}
		runs := unitsLine(n)
		if n.GetRevisionError() != "" {
			runs = n.GetRevisionError()
		}
		if n.GetStoreError() != "" {
			state = cell{"no vote", yellow}
		}
		if n.GetRestartingUntil() != nil {
			state = cell{"restarting", yellow}
		}
		rows = append(rows, []cell{
			{n.GetName(), bold}, state, {text: role}, {text: a.lastSeen(n, observer)}, revision,
			{text: n.GetVersion()}, {text: n.GetAddress()}, {text: runs},
		})
	}
	return rows
}

// unitsLine counts a node's units by state, and names the few.
func unitsLine(n *pb.Node) string {
	switch {
	case !n.GetAlive():
		return ""
	case n.GetRole() == pb.Role_ROLE_WITNESS:
		return "votes, holds nothing"
	}
	if len(n.GetUnits()) <= 3 {
		var words []string
		for _, u := range n.GetUnits() {
			is := " "
			if u.GetLapsed() {
				is = " was "
			}
			words = append(words, u.GetName()+is+word(u.GetState()))
		}
		return strings.Join(words, ", ")
	}
	byState, lapsed := map[pb.State]int{}, 0
	for _, u := range n.GetUnits() {
		if u.GetLapsed() {
			lapsed++
		} else {
			byState[u.GetState()]++
		}
	}
	var words []string
	for _, s := range []pb.State{pb.State_STATE_MASTER, pb.State_STATE_BACKUP, pb.State_STATE_FAULT, pb.State_STATE_INIT} {
		if byState[s] > 0 {
			words = append(words, fmt.Sprintf("%d %s", byState[s], word(s)))
		}
	}
	if lapsed > 0 {
		words = append(words, fmt.Sprintf("%d not heard of", lapsed))
	}
	return strings.Join(words, ", ")
}

// clockOf says how far a clock is off, by the clock of the node that answers.
func clockOf(ahead time.Duration) string {
	switch ahead = ahead.Round(time.Millisecond); {
	case ahead == 0:
		return "as here"
	case ahead < 0:
		return (-ahead).String() + " behind"
	}
	return ahead.String() + " ahead"
}

// printNode prints everything that is known of one node.
func (a *app) printNode(n *pb.Node) {
	state := a.style(green, "up")
	switch {
	case !n.GetAlive():
		state = a.style(red, "off")
	case n.GetSilent():
		state = a.style(yellow, "silent")
	}
	a.printf("%s  %s  %s  %s  version %s  revision %d of %d\n", a.style(bold, n.GetName()), state, n.GetAddress(),
		strings.ToLower(word(n.GetRole())), n.GetVersion(), n.GetRevision(), n.GetRevisionTarget())
	if n.GetRevisionError() != "" {
		a.printf("  %s\n", a.style(red, n.GetRevisionError()))
	}
	if n.GetStoreError() != "" {
		a.printf("  %s\n", a.style(red, "no vote: "+n.GetStoreError()))
	}
	if until := n.GetRestartingUntil(); until != nil {
		a.printf("  %s\n", a.style(yellow, "restarts on purpose, until "+a.when(until)+" at the latest"))
	}
	if n.GetClockAhead() != nil {
		a.printf("  clock %s\n", clockOf(n.GetClockAhead().AsDuration()))
	}
	for _, c := range n.GetChannels() {
		line := "heard by " + c.GetKind() + " " + a.ago(c.GetLastSeen())
		if c.GetLastSeen() == nil {
			line = "heard by " + c.GetKind() + " steadily"
		}
		if rtt := c.GetRoundTrip(); rtt != nil {
			line += fmt.Sprintf(", round trip %.1f ms", float64(rtt.AsDuration().Microseconds())/1000)
		}
		a.printf("  %s\n", line)
	}
	for _, u := range n.GetUnits() {
		since := ""
		if u.GetSince() != nil {
			since = " since " + a.ago(u.GetSince())
		}
		a.printf("  %s %s%s: %s\n", u.GetName(), a.style(stateStyle(u.GetState()), word(u.GetState())), since, u.GetReason())
		for _, i := range u.GetInstances() {
			a.printf("    %s on %s, %s VRID %d, priority %d (of %d), every %gs: %s\n", i.GetName(), i.GetInterface(), i.GetFamily(), i.GetVrid(),
				i.GetPriority(), i.GetBasePriority(), i.GetAdvertInterval().AsDuration().Seconds(), strings.Join(i.GetAddresses(), " "))
			for _, f := range i.GetFaults() {
				if !strings.Contains(u.GetReason(), f) { // it came after the unit was in FAULT
					a.printf("      %s\n", a.style(red, "fault: "+f))
				}
			}
			if seen := i.GetLastAdvert(); seen != nil {
				a.printf("      last advert from %s, priority %d, %s\n", seen.GetFrom(), seen.GetPriority(), a.ago(seen.GetTime()))
			}
			for _, reason := range slices.Sorted(maps.Keys(i.GetRejected())) {
				a.printf("      %s rejected: %s\n", count(int(i.GetRejected()[reason]), "advert"), reason)
			}
		}
	}
}
