package observed

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
)

// FromDirector is the event of a change of a virtual service or real server.
func FromDirector(c director.Change) Event {
	e := Event{Kind: ServiceChanged, Unit: c.Service, Reason: c.Reason, Time: c.At}
	if c.Server.IsValid() {
		e.Instance = c.Server.String()
	}
	switch c.Kind {
	case director.ServerUp:
		e.From, e.To = "down", "up"
	case director.ServerDown:
		e.From, e.To = "up", "down"
	case director.ServerWeight:
		e.To = fmt.Sprintf("weight %d", c.Weight)
	case director.QuorumGained:
		e.From, e.To = "without quorum", "with quorum"
	case director.QuorumLost:
		e.From, e.To = "with quorum", "without quorum"
	default:
		panic("observed: change " + c.Kind.String())
	}
	return e
}

// ServiceAlert is the alert that a change of a service opens on a node, or ends.
// Weights are no alert: ok is false.
func ServiceAlert(node string, c director.Change) (a Alert, ok bool) {
	a = Alert{Node: node, Unit: c.Service, Since: c.At}
	switch c.Kind {
	case director.ServerUp, director.ServerDown:
		a.Code, a.Severity, a.Peer = "real_server_down", Warning, c.Server.String()
		a.Summary = fmt.Sprintf("%s finds real server %v of %s down", node, c.Server, c.Service)
		a.Next = fmt.Sprintf("look at the service on %v, and at the way to it from %s", c.Server.Addr(), node)
	case director.QuorumGained, director.QuorumLost:
		a.Code, a.Severity = "service_quorum_lost", Critical
		a.Summary = fmt.Sprintf("%s has lost quorum on %s: the real servers that are up have weight %d together", c.Service, node, c.Weight)
		a.Next = "bring real servers of " + c.Service + " back"
	case director.ServerWeight:
		return Alert{}, false
	default:
		panic("observed: change " + c.Kind.String())
	}
	a.ID = a.Code + "/" + node + "/" + a.Unit + "/" + a.Peer
	if c.Reason != "" {
		a.Evidence = []string{c.Reason}
	}
	if c.Kind == director.ServerUp || c.Kind == director.QuorumGained {
		a.Resolved = c.At
	}
	return a, true
}

// PartialFailureCode is the code of PartialFailure.
const PartialFailureCode = "partial_failure"

// PartialFailure is the alert about a real server that some directors have seen down
// and others up since then; all of them raise it alike. Its Node is the one that tells
// people.
func PartialFailure(service string, server netip.AddrPort, down, up []string, since time.Time) Alert {
	at := server.String()
	if server.Port() == 0 {
		at = server.Addr().String()
	}
	a := Alert{
		ID: PartialFailureCode + "/" + service + "/" + at, Code: PartialFailureCode, Severity: Warning,
		Node: up[0], Unit: service, Peer: at, Since: since,
		Summary: Opposed(down, up, [2]string{"sees", "see"}, at+" of "+service+" down", at+" of "+service+" up", "it up"),
	}
	const shown = "haclusterctl services shows what each of them sees"
	if len(up) < len(down) {
		a.Next = fmt.Sprintf("look at the service on %v, which only %s can reach, and at the ways to it from %s; %s", server.Addr(), And(up), And(down), shown)
	} else {
		a.Next = fmt.Sprintf("look at the way from %s to %v (cable, route, firewall), and at whom its service lets in; %s", And(down), server.Addr(), shown)
	}
	return a
}

// NoBalancer is the alert about virtual servers that a node cannot serve, because
// its kernel lets nobody balance. Without an err it is the end of that alert.
func NoBalancer(node string, err error, now time.Time) Alert {
	a := Alert{
		ID: "no_ipvs/" + node, Code: "no_ipvs", Severity: Critical, Node: node,
		Since: now, Resolved: now,
	}
	if err != nil {
		a.Resolved = time.Time{}
		a.Summary = fmt.Sprintf("no virtual_server is served on %s: its IPVS cannot be used; virtual addresses are not concerned", node)
		a.Evidence = []string{err.Error()}
		a.Next = fmt.Sprintf("run modprobe ip_vs on %s, or install a kernel that has it, or take the virtual servers out of its configuration; it is tried again by itself", node)
	}
	return a
}

// ServiceRefused is the alert about virtual services that the kernel of a node does
// not take. Without any it is the end of that alert.
func ServiceRefused(node string, refused []lvs.Refusal, now time.Time) Alert {
	a := Alert{
		ID: "service_refused/" + node, Code: "service_refused", Severity: Critical, Node: node,
		Since: now, Resolved: now,
	}
	if len(refused) > 0 {
		a.Resolved = time.Time{}
		a.Summary = fmt.Sprintf("the kernel of %s refuses %d of the virtual services", node, len(refused))
		for _, r := range refused[:min(len(refused), maxRefusedShown)] {
			a.Evidence = append(a.Evidence, r.Error())
		}
		a.Next = "put right what the evidence names; it is tried again by itself"
	}
	return a
}

const maxRefusedShown = 5
