package preflight

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// try sends trials of heartbeats to all peers, as often as test datagrams are sent,
// and listens until the window is over. It returns whose came.
func try(ctx context.Context, p *Plan) []string {
	names := make([]string, len(p.Peers))
	for i, peer := range p.Peers {
		names[i] = peer.Name
	}
	wait := sendFirst
	for range sendTimes {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		_ = p.Trial.Try(p.Session, names) // what a firewall here stops does not arrive either
		wait = sendEvery
	}
	<-ctx.Done()
	return p.Trial.Tried(p.Session)
}

// trials compares the heartbeats that the node which is about to join tried with
// what arrived. Members that know no trials are left out.
func (j *judge) trials() {
	own := slices.IndexFunc(j.reports, func(r *Report) bool { return r.Node == j.joins && r.Tries })
	if own < 0 {
		return
	}
	ways, from, to := 0, []string(nil), []string(nil)
	for _, r := range j.reports {
		if r.Node == j.joins || !r.Tries {
			continue
		}
		ways += 2
		if !slices.Contains(r.Tried, j.joins) {
			from = append(from, r.Node)
		}
		if !slices.Contains(j.reports[own].Tried, r.Node) {
			to = append(to, r.Node)
		}
	}
	if ways > 0 && len(from)+len(to) == 0 {
		j.add(Finding{Severity: OK, Check: "heartbeat", Summary: fmt.Sprintf("heartbeats pass by UDP on all %d ways to and from %s", ways, j.joins)})
	}
	j.blocked(j.joins, from, "from %s to %s", ways/2)
	j.blocked(j.joins, to, "to %s from %s", ways/2)
}

// blocked says that heartbeats do not pass one way between the node that joins and
// members. Where others can relay them two holders are kept apart all the same, and
// the vote of a witness counts.
func (j *judge) blocked(node string, members []string, way string, of int) {
	if len(members) == 0 {
		return
	}
	way = fmt.Sprintf(way, node, join(members))
	f := Finding{
		Severity: Warning, Check: "heartbeat", Node: node,
		Summary: "heartbeats do not pass " + way + ": only other members can pass them on",
		Remedy:  "let UDP port 7113 pass " + way + ", in the firewalls of both machines and of the network between them",
	}
	if len(members) == of {
		f.Severity, f.TwoHolders, f.NoVote = Error, !j.witness, j.witness
		f.Summary = "heartbeats do not pass " + way + ", and no other member can pass them on"
	}
	j.add(f)
}
