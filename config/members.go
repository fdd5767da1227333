package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// Role is what a member does in the cluster.
type Role string

// Roles. The zero Role is a member of which it is not known whether it votes.
const (
	RoleVoter    Role = "voter"
	RoleNonVoter Role = "non-voter"
	RoleWitness  Role = "witness" // votes, and runs nothing that the document says
)

// Member is one node of the cluster that a document is for.
type Member struct {
	Name string
	Role Role
}

// Members are nodes of which it is not known whether they vote.
func Members(names ...string) []Member {
	out := make([]Member, len(names))
	for i, n := range names {
		out[i].Name = n
	}
	return out
}

// CompileCluster compiles the document for every member and compares the
// results. A finding that all members share stands once; others name the node.
// Without members it takes the names that the document's conditions mention (at
// most 100), or, if there are none, one machine without a name. A witness has the
// settings of the cluster and nothing else; whether there are enough voters for
// policy quorum is judged where every role is known.
func CompileCluster(doc *syntax.Document, nodes []Member) (map[string]*Config, Findings) {
	if len(nodes) == 0 {
		names := doc.Nodes()
		nodes = Members(names[:min(len(names), maxViews)]...)
	}
	if len(nodes) == 0 {
		nodes = Members("")
	}
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	nodes = slices.CompactFunc(nodes, func(a, b Member) bool { return a.Name == b.Name })
	cfgs := make(map[string]*Config, len(nodes))
	count := map[Finding]int{}
	var order Findings
	byNode := map[Finding][]string{}
	for _, node := range nodes {
		cfg, fs := CompileWith(doc, Options{Node: node.Name, Witness: node.Role == RoleWitness})
		cfgs[node.Name] = cfg
		for _, f := range fs {
			if count[f] == 0 {
				order = append(order, f)
			}
			count[f]++
			byNode[f] = append(byNode[f], node.Name)
		}
	}
	for i, f := range order {
		if count[f] < len(nodes) {
			order[i].Node = strings.Join(byNode[f], ", ")
		}
	}
	m := members{doc: doc, nodes: nodes, cfgs: cfgs}
	m.strangers()
	m.instances()
	m.addresses()
	m.probes()
	m.voters()
	m.fencing()
	found := append(order, m.findings...)
	found = append(found, idle(doc, found, slices.Collect(maps.Values(cfgs))...)...)
	return cfgs, found.sorted()
}

// members compares the configurations of the nodes of a cluster.
type members struct {
	doc      *syntax.Document
	nodes    []Member // by name
	cfgs     map[string]*Config
	findings Findings
}

func (m *members) errorf(at syntax.Pos, format string, args ...any) {
	m.findings = append(m.findings, Finding{Severity: Error, Pos: at, Msg: fmt.Sprintf(format, args...)})
}

func (m *members) warnf(at syntax.Pos, format string, args ...any) {
	m.findings = append(m.findings, Finding{Severity: Warning, Pos: at, Msg: fmt.Sprintf(format, args...)})
}

// has reports whether a node is a member.
func (m *members) has(node string) bool {
	return slices.ContainsFunc(m.nodes, func(n Member) bool { return n.Name == node })
}

// names lists the members.
func (m *members) names() string {
	names := make([]string, len(m.nodes))
	for i, n := range m.nodes {
		names[i] = n.Name
	}
	return strings.Join(names, ", ")
}

// strangers reports conditions for machines that are no members.
func (m *members) strangers() {
	done := map[string]bool{}
	for _, l := range m.doc.Lines {
		n := l.Cond.Node
		if n == "" || done[n] || m.has(n) {
			continue
		}
		done[n] = true
		at := l.Pos
		at.Col += strings.IndexByte(l.Text, '@')
		m.warnf(at, "@%s names no member of the cluster; members are %s", n, m.names())
	}
}

// seat is one node's part in a virtual router.
type seat struct {
	node string
	cfg  *Config
	in   Instance
}

func (s seat) place(word string) syntax.Pos {
	return s.cfg.Place("vrrp_instance "+s.in.Name, word)
}

// seats gives for each instance name the nodes that run it, in order.
func (m *members) seats() ([]string, map[string][]seat) {
	var names []string
	out := map[string][]seat{}
	for _, n := range m.nodes {
		for _, in := range m.cfgs[n.Name].Instances {
			if out[in.Name] == nil {
				names = append(names, in.Name)
			}
			out[in.Name] = append(out[in.Name], seat{n.Name, m.cfgs[n.Name], in})
		}
	}
	return names, out
}

// instances compares each virtual router over the nodes.
func (m *members) instances() {
	names, seats := m.seats()
	for _, name := range names {
		all := seats[name]
		for _, s := range all[1:] {
			m.pair(all[0], s)
		}
		byPriority := map[int]seat{}
		for _, s := range all {
			if first, ok := byPriority[s.in.Priority]; ok {
				m.warnf(s.place("priority"), "%s has priority %d on %s and on %s; the higher address would decide, so give each node its own priority",
					name, s.in.Priority, first.node, s.node)
				break
			}
			byPriority[s.in.Priority] = s
		}
	}
}

// pair reports what two nodes must have in common and do not.
func (m *members) pair(a, b seat) {
	differ := func(word string, x, y any) {
		if fmt.Sprint(x) != fmt.Sprint(y) {
			m.warnf(b.place(word), "%s of %s differs: %v on %s, %v on %s; nodes of one virtual router need the same",
				word, a.in.Name, x, a.node, y, b.node)
		}
	}
	differ("virtual_router_id", a.in.VRID, b.in.VRID)
	differ("version", a.in.Version, b.in.Version)
	differ("advert_int", a.in.AdvertInterval, b.in.AdvertInterval)
	differ("virtual_ipaddress", addrs(a.in.Addresses), addrs(b.in.Addresses))
	differ("v3_checksum_as_v2", a.in.V3ChecksumAsV2, b.in.V3ChecksumAsV2)
	if a.in.Unicast == b.in.Unicast {
		differ("mcast_dst_ip", a.in.MulticastGroup, b.in.MulticastGroup)
	} else {
		m.warnf(b.place("unicast_peer"), "%s uses unicast on one of %s and %s, multicast on the other; they would not hear each other", a.in.Name, a.node, b.node)
	}
	if a.in.AuthType != b.in.AuthType || a.in.AuthPass != b.in.AuthPass {
		m.warnf(b.place("authentication"), "authentication of %s differs between %s and %s; they would refuse each other's adverts", a.in.Name, a.node, b.node)
	}
	if !a.in.SplitBrain.equal(b.in.SplitBrain) {
		m.errorf(b.place("split_brain"), "split_brain of %s differs between %s and %s; members of one unit follow one policy", a.in.Name, a.node, b.node)
	}
}

// addrs lists the addresses, in order.
func addrs(list []Address) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.Prefix.Addr().String()
	}
	return out
}

// addresses holds that an address belongs to one instance in the whole cluster.
func (m *members) addresses() {
	type owner struct{ instance, node string }
	first := map[string]owner{}
	reported := map[string]bool{}
	for _, member := range m.nodes {
		n := member.Name
		for _, in := range m.cfgs[n].Instances {
			for _, a := range addrs(slices.Concat(in.Addresses, in.Excluded)) {
				o, ok := first[a]
				if !ok {
					first[a] = owner{in.Name, n}
					continue
				}
				// On one node Compile has reported it.
				if o.instance != in.Name && o.node != n && !reported[a] {
					reported[a] = true
					m.warnf(m.cfgs[n].Place("vrrp_instance "+in.Name, "virtual_ipaddress"), "%s is a virtual address of %s on %s and of %s on %s; use one instance name on all nodes",
						a, o.instance, o.node, in.Name, n)
				}
			}
		}
	}
}
