package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// printServices prints the verdict, what the nodes do not agree upon, and a table
// of the services with their servers; with each also what each of several nodes
// says.
func (a *app) printServices(w io.Writer, all *pb.Services, each bool) {
	a.headed(w, serviceStyle(all.GetState()), word(all.GetState()), all.GetReason())
	for _, n := range all.GetNodes() {
		switch {
		case !n.GetAnswered():
			a.headed(w, yellow, "NO ANSWER", n.GetName()+": "+n.GetWhy())
		case n.GetFailed():
			a.headed(w, red, "FAILED", n.GetName()+": "+n.GetWhy())
		}
		a.printTableTrouble(w, n)
	}
	for _, o := range all.GetWeights() {
		text := fmt.Sprintf("%s of %s has weight %d, by %s, since %s", o.GetServer(), o.GetService(), o.GetWeight(), o.GetBy(), a.ago(o.GetSince()))
		if o.GetReason() != "" {
			text += ": " + o.GetReason()
		}
		a.headed(w, yellow, "BY HAND", text)
	}
	for _, p := range all.GetPartialFailures() {
		a.headed(w, yellow, "PARTIAL", fmt.Sprintf("%s: %s, since %s: %s", p.GetService(), p.GetSummary(), a.ago(p.GetSince()), p.GetReason()))
	}
	if len(all.GetServices()) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows := [][]cell{plain("SERVICE", "SCHEDULER", "STATE", "WEIGHT", "ACTIVE", "INACTIVE", "SINCE", "WHY")}
	for _, s := range all.GetServices() {
		rows = append(rows, a.serviceRow(s))
		for _, r := range s.GetServers() {
			rows = append(rows, a.serverRow(s, r))
		}
	}
	a.table(w, rows)
	for _, s := range all.GetServices() {
		if !each || len(s.GetViews()) < 2 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", a.style(bold, s.GetName()))
		a.table(w, a.viewRows(s))
	}
}

// printTableTrouble prints what a node's kernel holds beside the services as they are
// wanted.
func (a *app) printTableTrouble(w io.Writer, n *pb.ServicesNode) {
	for _, text := range n.GetRefused() {
		a.headed(w, red, "REFUSED", n.GetName()+": "+text)
	}
	if more := int(n.GetRefusedTotal()) - len(n.GetRefused()); more > 0 {
		a.headed(w, red, "REFUSED", fmt.Sprintf("%s: %d more", n.GetName(), more))
	}
	if total := n.GetForeignTotal(); total > 0 {
		text := fmt.Sprintf("%s: others made %s, left alone", n.GetName(), strings.Join(n.GetForeign(), ", "))
		if more := int(total) - len(n.GetForeign()); more > 0 {
			text += fmt.Sprintf(", and %d more", more)
		}
		a.headed(w, yellow, "FOREIGN", text)
	}
	for _, l := range n.GetLeaving() {
		a.headed(w, dim, "LEAVING", fmt.Sprintf("%s: %s of %s, with %d active and %d inactive connections, until %s at the latest",
			n.GetName(), l.GetServer(), l.GetService(), l.GetActiveConnections(), l.GetInactiveConnections(), a.when(l.GetUntil())))
	}
	if more := int(n.GetLeavingTotal()) - len(n.GetLeaving()); more > 0 {
		a.headed(w, dim, "LEAVING", fmt.Sprintf("%s: %d more", n.GetName(), more))
	}
}

// serviceRow is a service as most would name it, with all connections of its
// servers.
func (a *app) serviceRow(s *pb.Service) []cell {
	name := s.GetName()
	if keys := s.GetKeys(); len(keys) > 1 {
		name += fmt.Sprintf(" (%d addresses)", len(keys))
	}
	v := tellingService(s)
	needs := v.GetGain()
	if v.GetQuorum() {
		needs = v.GetKeep()
	}
	var active, inactive uint64
	for _, r := range s.GetServers() {
		most, others := connections(r)
		active, inactive = active+uint64(most), inactive+uint64(others)
	}
	return []cell{
		{name, bold}, {text: s.GetScheduler()}, {word(s.GetState()), serviceStyle(s.GetState())}, {text: fmt.Sprintf("%d, needs %d", v.GetWeight(), needs)},
		{text: fmt.Sprint(active)}, {text: fmt.Sprint(inactive)}, {text: a.ago(v.GetSince())}, {text: s.GetReason()},
	}
}

func (a *app) serverRow(s *pb.Service, r *pb.RealServer) []cell {
	v := tellingServer(s, r)
	active, inactive := connections(r)
	return []cell{
		{text: "  -> " + r.GetAddress()}, {text: r.GetMethod()}, {word(r.GetState()), serverStyle(r.GetState())}, {text: weightOf(v)},
		{text: fmt.Sprint(active)}, {text: fmt.Sprint(inactive)}, {text: a.ago(v.GetSince())}, {text: r.GetReason()},
	}
}

// viewRows are what each node says of a service and its servers.
func (a *app) viewRows(s *pb.Service) [][]cell {
	rows := [][]cell{plain("NODE", "SERVER", "STATE", "WEIGHT", "ACTIVE", "INACTIVE", "SINCE", "WHY")}
	for _, v := range s.GetViews() {
		state := cell{"QUORUM", green}
		if !v.GetQuorum() {
			state = cell{"NO QUORUM", red}
		}
		why := v.GetReason()
		if v.GetSuspended() {
			state, why = cell{"SUSPENDED", dim}, "not checked here now (ha_suspend)"
		}
		rows = append(rows, []cell{
			{v.GetNode(), bold}, {text: "all"}, state, {text: fmt.Sprint(v.GetWeight())}, {}, {}, {text: a.ago(v.GetSince())}, {text: why},
		})
		for _, r := range s.GetServers() {
			for _, rv := range r.GetViews() {
				if rv.GetNode() == v.GetNode() {
					rows = append(rows, []cell{
						{v.GetNode(), bold}, {text: r.GetAddress()}, viewState(rv, v.GetSuspended()), {text: weightOf(rv)},
						{text: fmt.Sprint(rv.GetActiveConnections())}, {text: fmt.Sprint(rv.GetInactiveConnections())},
						{text: a.ago(rv.GetSince())}, {text: rv.GetReason()},
					})
				}
			}
		}
	}
	return rows
}

func viewState(v *pb.RealServerView, suspended bool) cell {
	switch {
	case suspended && v.GetUp():
		return cell{"was UP", dim}
	case suspended:
		return cell{"was DOWN", dim}
	case !v.GetKnown():
		return cell{"UNKNOWN", yellow}
	case v.GetUp():
		return cell{"UP", green}
	}
	return cell{"DOWN", red}
}

// weightOf is a server's weight, beside the configured one where they differ.
func weightOf(v *pb.RealServerView) string {
	if v.GetWeight() == v.GetConfiguredWeight() {
		return fmt.Sprint(v.GetWeight())
	}
	return fmt.Sprintf("%d of %d", v.GetWeight(), v.GetConfiguredWeight())
}

// connections are those of the node that has the most: the others have copies at
// best (lvs_sync_daemon).
func connections(r *pb.RealServer) (active, inactive uint32) {
	for _, v := range r.GetViews() {
		if uint64(v.GetActiveConnections())+uint64(v.GetInactiveConnections()) > uint64(active)+uint64(inactive) {
			active, inactive = v.GetActiveConnections(), v.GetInactiveConnections()
		}
	}
	return active, inactive
}

// tellingService is the view that shows why a service is judged as it is: the
// first without quorum, or else the first of a node that checks it, or else any.
func tellingService(s *pb.Service) (telling *pb.ServiceView) {
	rank := func(v *pb.ServiceView) int {
		switch {
		case v == nil:
			return 0
		case v.GetSuspended():
			return 1
		case v.GetQuorum():
			return 2
		}
		return 3
	}
	for _, v := range s.GetViews() {
		if rank(v) > rank(telling) {
			telling = v
		}
	}
	return telling
}

// tellingServer is the same for a server: the first view that has it down, or up
// where nobody does, or else any. Who has the service suspended tells nothing.
func tellingServer(s *pb.Service, r *pb.RealServer) (telling *pb.RealServerView) {
	rank := func(v *pb.RealServerView) int {
		switch {
		case v == nil:
			return 0
		case !v.GetKnown(), isSuspended(s, v.GetNode()):
			return 1
		case v.GetUp():
			return 2
		}
		return 3
	}
	for _, v := range r.GetViews() {
		if rank(v) > rank(telling) {
			telling = v
		}
	}
	return telling
}

func isSuspended(s *pb.Service, node string) bool {
	return slices.ContainsFunc(s.GetViews(), func(v *pb.ServiceView) bool { return v.GetNode() == node && v.GetSuspended() })
}

func serviceStyle(s pb.ServiceState) style {
	switch s {
	case pb.ServiceState_SERVICE_STATE_OK:
		return green
	case pb.ServiceState_SERVICE_STATE_NO_QUORUM:
		return red
	default:
		return yellow
	}
}

func serverStyle(s pb.RealServer_State) style {
	switch s {
	case pb.RealServer_STATE_UP:
		return green
	case pb.RealServer_STATE_DOWN:
		return red
	default:
		return yellow
	}
}
