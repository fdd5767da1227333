package preflight

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
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
	j := judge{macs: map[string]string{}, addrs: map[netip.Addr]string{}}
	for i := range asked {
		if asked[i].Report != nil {
			j.learn(asked[i].Report)
		}
	}
	j.reachable(asked)
	j.ways()
	j.routers()
	j.responders()
	j.links()
	j.clocks(asked)
	j.voters(asked)
	for _, r := range j.reports {
		j.findings = append(j.findings, r.Findings...)
	}
	slices.SortStableFunc(j.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(b.Severity), rank(a.Severity)), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Node, b.Node))
	})
	return j.findings
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
	reports  []*Report
	macs     map[string]string     // node of each hardware address
	addrs    map[netip.Addr]string // node of each address
	findings []Finding
}

func (j *judge) learn(r *Report) {
	j.reports = append(j.reports, r)
	for _, m := range r.MACs {
		j.macs[m] = r.Node
	}
	for _, a := range r.Addrs {
		j.addrs[a] = r.Node
	}
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
				if from == to || !shared {
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
		Severity: Error, Check: "l2", Node: to.Node,
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
		f.Severity = Warning
		if n.Unicast || sends.Unicast {
			f.Severity = Error
		}
		f.Summary = "unicast of protocol 112 does not pass " + subject
		f.Remedy = "look at rules for protocol 112 that name the group only, and whether the addresses of both nodes are in one subnet"
	}
	return f, true
}

// routers looks for virtual routers of others.
func (j *judge) routers() {
	type key struct {
		vrid int
		from netip.Addr
		ipv6 bool
	}
	seen := map[key]bool{}
	for _, r := range j.reports {
		for _, heard := range r.Routers {
			k := key{heard.VRID, heard.Source, heard.IPv6}
			if _, ours := j.addrs[heard.Source]; ours || seen[k] {
				continue
			}
			seen[k] = true
			i := slices.IndexFunc(r.Networks, func(n Network) bool {
				return n.Interface == heard.Interface && n.IPv6 == heard.IPv6 && slices.Contains(n.VRIDs, heard.VRID)
			})
			what := fmt.Sprintf("%s advertises virtual router %d (version %d, priority %d) on %s of %s", heard.Source, heard.VRID, heard.Version, heard.Priority, heard.Interface, r.Node)
			if i < 0 {
				j.add(Finding{Severity: Note, Check: "vrid", Node: r.Node, Summary: what + ", which this cluster does not use"})
				continue
			}
			j.add(Finding{
				Severity: Error, Check: "vrid", Node: r.Node,
				Summary: what + ", and is no member",
				Remedy:  fmt.Sprintf("stop it, or give virtual router %d another virtual_router_id in one of the two", heard.VRID),
			})
		}
	}
}

// responders looks who answers for virtual addresses.
func (j *judge) responders() {
	type answer struct{ macs, nodes, strangers []string }
	byAddr := map[netip.Addr]*answer{}
	asked := 0
	for _, r := range j.reports {
		for _, n := range r.Networks {
			if !n.IPv6 {
				asked += len(n.VIPs)
			}
		}
		for _, p := range r.Responders {
			a := byAddr[p.Addr]
			if a == nil {
				a = &answer{}
				byAddr[p.Addr] = a
			}
			if slices.Contains(a.macs, p.MAC) {
				continue
			}
			a.macs = append(a.macs, p.MAC)
			if node := j.macs[p.MAC]; node == "" {
				a.strangers = append(a.strangers, p.MAC)
			} else if !slices.Contains(a.nodes, node) {
				a.nodes = append(a.nodes, node)
			}
		}
	}
	bad := false
	for _, addr := range sortedKeys(byAddr) {
		a := byAddr[addr]
		switch {
		case len(a.strangers) > 0:
			bad = true
			j.add(Finding{
				Severity: Error, Check: "vip", Summary: fmt.Sprintf("%s is answered for by %s, which is no member", addr, join(a.strangers)),
				Remedy: fmt.Sprintf("find that machine by its hardware address (switch, DHCP) and take %s from it, or choose another virtual address", addr),
			})
		case len(a.nodes) > 1:
			bad = true
			slices.Sort(a.nodes)
			j.add(Finding{
				Severity: Error, Check: "vip", Summary: fmt.Sprintf("%s is answered for by %s", addr, strings.Join(a.nodes, " and ")),
				Evidence: a.macs, Remedy: "haclusterctl status; if the address moved just now, run doctor again",
			})
		}
	}
	if asked > 0 && !bad {
		j.add(Finding{Severity: OK, Check: "vip", Summary: "no stranger answers for a virtual address (ARP)"})
	}
}

func sortedKeys[V any](m map[netip.Addr]V) []netip.Addr {
	var out []netip.Addr
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
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
		if off < time.Second {
			continue
		}
		bad = true
		f := Finding{
			Severity: Warning, Check: "clock", Node: a.Name,
			Summary: fmt.Sprintf("the clock of %s is %v off", a.Name, a.Offset.Round(time.Millisecond)),
			Remedy:  "run a time service (chrony, systemd-timesyncd): virtual addresses do not depend on the clock, certificates, tokens and the times in logs do",
		}
		if off > 5*time.Minute {
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
