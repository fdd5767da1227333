package preflight

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Asked is one member that was asked to examine.
type Asked struct {
	Name   string
	Report *Report       // nil: no answer
	Err    string        // why there is none
	Offset time.Duration // how far its clock is ahead of the one that asked
}

// Judge makes findings of what the members found, the gravest first.
func Judge(asked []Asked) []Finding {
	j := newJudge(asked)
	j.reachable(asked)
	j.ways()
	j.routers()
	j.responders()
	j.owners()
	j.links()
	j.clocks(asked)
	j.voters(asked)
	for _, r := range j.reports {
		j.findings = append(j.findings, r.Findings...)
	}
	return j.sorted()
}

// Worst is the gravest severity of findings.
func Worst(findings []Finding) Severity {
	worst := OK
	for _, f := range findings {
		if rank(f.Severity) > rank(worst) {
			worst = f.Severity
		}
	}
	return worst
}

func rank(s Severity) int { return slices.Index([]Severity{OK, Note, Warning, Error}, s) }

type judge struct {
	joins    string // the node that is about to join; empty: none
	witness  bool   // it is to be a witness
	reports  []*Report
	macs     map[string]string     // node of each hardware address
	addrs    map[netip.Addr]string // node of each address
	findings []Finding
}

func newJudge(asked []Asked) *judge {
	j := &judge{macs: map[string]string{}, addrs: map[netip.Addr]string{}}
	for _, a := range asked {
		if a.Report == nil {
			continue
		}
		j.reports = append(j.reports, a.Report)
		// A member that does not answer is no stranger: others know of it.
		for _, p := range a.Report.Peers {
			j.learn(p)
		}
	}
	for _, r := range j.reports { // what a node says of itself counts
		j.learn(Peer{r.Node, r.Addrs, r.MACs})
	}
	return j
}

func (j *judge) learn(p Peer) {
	for _, m := range p.MACs {
		j.macs[m] = p.Name
	}
	for _, a := range p.Addrs {
		j.addrs[a] = p.Name
	}
}

// sorted returns the findings, the gravest first.
func (j *judge) sorted() []Finding {
	slices.SortStableFunc(j.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(b.Severity), rank(a.Severity)), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Node, b.Node))
	})
	return j.findings
}

func (j *judge) add(f Finding) { j.findings = append(j.findings, f) }

func (j *judge) reachable(asked []Asked) {
	var ok []string
	for _, a := range asked {
		if a.Report != nil {
			ok = append(ok, a.Name)
			continue
		}
		j.add(Finding{
			Severity: Error, Check: "api", Node: a.Name,
			Summary: fmt.Sprintf("%s does not answer, and was not examined", a.Name), Evidence: []string{a.Err},
			Remedy: "start haclusterd there, and let TCP port 7112 pass both ways",
		})
	}
	if len(ok) == len(asked) && len(asked) > 1 {
		j.add(Finding{Severity: OK, Check: "api", Summary: fmt.Sprintf("all %d nodes answer by TCP", len(asked))})
	}
}

// ways compares what each node sent with what the others heard.
func (j *judge) ways() {
	tested, bad := 0, 0
	for _, to := range j.reports {
		for _, from := range j.reports {
			for _, n := range to.Networks {
				sends, shared := from.shares(n)
				if from == to || !shared || j.joins != "" && from.Node != j.joins && to.Node != j.joins {
					continue
				}
				tested++
				if f, wrong := way(from, to, n, sends); wrong {
					bad++
					j.add(f)
				}
			}
		}
	}
	if tested > 0 && bad == 0 {
		j.add(Finding{Severity: OK, Check: "l2", Summary: fmt.Sprintf("IP protocol 112 passes by multicast and unicast on all %d ways between nodes", tested)})
	}
}

// shares returns the node's network with an instance of another node's.
func (r *Report) shares(n Network) (Network, bool) {
	for _, own := range r.Networks {
		if own.IPv6 == n.IPv6 && slices.ContainsFunc(own.Instances, func(i string) bool { return slices.Contains(n.Instances, i) }) {
			return own, true
		}
	}
	return Network{}, false
}

func way(from, to *Report, n, sends Network) (Finding, bool) {
	heard := func(k Kind) bool { return slices.Contains(to.Heard, Heard{from.Node, n.Interface, n.IPv6, k}) }
	unicast, multicast := heard(Unicast), heard(Multicast) || n.Unicast || sends.Unicast
	f := Finding{
		Severity: Error, Check: "l2", Node: to.Node, TwoHolders: true,
		Evidence: []string{fmt.Sprintf("3 test datagrams from %s (%s on %s) to %s on %s", from.Node, sends.Source, sends.Interface, to.Node, n.Interface)},
	}
	subject := fmt.Sprintf("from %s to %s on %s (%s)", from.Node, to.Node, n.Interface, join(n.Instances))
	switch {
	case unicast && multicast:
		return Finding{}, false
	case !unicast && !multicast:
		f.Summary = "IP protocol 112 does not pass " + subject
		f.Remedy = "let protocol 112 pass in the firewalls of both machines and of the network between them; compare the VLANs of the two ports"
	case !multicast:
		f.Summary = "multicast does not pass " + subject + ", and unicast does"
		f.Remedy = fmt.Sprintf("let %s pass in the firewall of %s; on the switch, IGMP or MLD snooping without a querier prunes the group; or use unicast_peer", n.Group, to.Node)
	default:
		if !n.Unicast && !sends.Unicast { // multicast is what they use
			f.Severity, f.TwoHolders = Warning, false
		}
		f.Summary = "unicast of protocol 112 does not pass " + subject
		f.Remedy = "look at rules for protocol 112 that name the group only, and whether the addresses of both nodes are in one subnet"
	}
	return f, true
}

// heartbeatLost is after how long without one a heartbeat is missed.
const heartbeatLost = 3 * time.Second

// links looks at heartbeats (UDP 7113) and gossip (UDP 7112) in each direction.
func (j *judge) links() {
	bad, ways := false, 0
	for _, r := range j.reports {
		for _, l := range r.Links {
			ways++
			if l.Heartbeat < 0 || l.Heartbeat > heartbeatLost {
				bad = true
				age := "none ever came"
				if l.Heartbeat >= 0 {
					age = fmt.Sprintf("the last came %v ago", l.Heartbeat.Round(time.Second))
				}
				j.add(Finding{
					Severity: Error, Check: "heartbeat", Node: r.Node,
					Summary: fmt.Sprintf("heartbeats of %s do not reach %s: %s", l.Peer, r.Node, age),
					Remedy:  fmt.Sprintf("let UDP port 7113 pass from %s to %s", l.Peer, r.Node),
				})
			}
			if l.Gossip == "lost" {
				bad = true
				j.add(Finding{
					Severity: Warning, Check: "gossip", Node: r.Node,
					Summary: fmt.Sprintf("%s has lost %s in gossip", r.Node, l.Peer),
					Remedy:  fmt.Sprintf("let UDP port 7112 pass between %s and %s", l.Peer, r.Node),
				})
			}
		}
	}
	if ways > 0 && !bad {
		j.add(Finding{Severity: OK, Check: "heartbeat", Summary: fmt.Sprintf("heartbeats and gossip pass by UDP on all %d ways between nodes", ways)})
	}
}

// From when on clocks differ, and from when on certificates suffer.
const (
	clocksDiffer = time.Second
	clocksFarOff = 5 * time.Minute
	clockRemedy  = "run a time service (chrony, systemd-timesyncd): virtual addresses do not depend on the clock, certificates, tokens and the times in logs do"
)

// clocks compares the clocks, on which only certificates and people depend.
func (j *judge) clocks(asked []Asked) {
	var widest time.Duration
	bad := false
	for _, a := range asked {
		if a.Report == nil {
			continue
		}
		off := a.Offset.Abs()
		widest = max(widest, off)
		if off < clocksDiffer {
			continue
		}
		bad = true
		f := Finding{
			Severity: Warning, Check: "clock", Node: a.Name,
			Summary: fmt.Sprintf("the clock of %s is %v off", a.Name, a.Offset.Round(time.Millisecond)),
			Remedy:  clockRemedy,
		}
		if off > clocksFarOff {
			f.Severity = Error
		}
		j.add(f)
	}
	if len(j.reports) > 1 && !bad {
		j.add(Finding{Severity: OK, Check: "clock", Summary: fmt.Sprintf("the clocks are within %v", widest.Round(time.Millisecond))})
	}
}

// voters says what a witness would be good for.
func (j *judge) voters(asked []Asked) {
	if len(asked) == 2 {
		j.add(Finding{
			Severity: Note, Check: "voters",
			Summary: "two nodes have no majority when one fails: the configuration is read-only then, and policy quorum is not possible",
			Remedy:  "a witness changes that: haclusterctl join --witness on a third machine",
		})
	}
}
