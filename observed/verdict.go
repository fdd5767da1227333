package observed

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/vrrp"
)

// Verdict is the judgement on a virtual address or on the cluster.
type Verdict uint8

// Verdicts, the gravest last.
const (
	Safe     Verdict = iota + 1 // one holder, and a further failure is survived
	Unknown                     // not enough is known to judge
	AtRisk                      // one holder; something is wrong, or the next failure is not survived
	Dark                        // no holder
	Violated                    // more than one holder
)

func (v Verdict) String() string {
	return [...]string{"", "SAFE", "UNKNOWN", "AT RISK", "DARK", "VIOLATED"}[v]
}

// Judgement is what Judge makes of a snapshot.
type Judgement struct {
	Verdict   Verdict
	Reason    string   // one sentence
	Tolerance int      // how many more nodes may fail with every virtual address still served
	Edits     int      // how many more voters may fail with the configuration still changeable; 0 also when it is read-only
	Next      string   // the command to run next; empty: nothing needs doing
	VIPs      []VIP    // in the order of the document, as far as it is known
	Gaps      []string // known gaps of the guarantees, each with the nodes that have it
}

// VIP is one virtual address over all nodes.
type VIP struct {
	Address      netip.Prefix
	Instance     string
	Unit         string
	VRID         vrrp.VRID
	Interface    string // of the holder, else of the first node that has it
	Verdict      Verdict
	Reason       string
	Holders      []string  // one when all is well
	Since        time.Time // of the tenure of the first holder; zero: not known
	ChangeReason string    // why it took over
	Candidates   []Candidate
	Tolerance    int             // how many more members may fail with the address still served
	Policy       string          // split_brain policy of the unit; empty: not known
	Gate         vrrp.GateStatus // of the first holder
	Lease        *Lease          // of the holder, else of a node that asks for it; nil: there is none

	lapsed bool // the claims of all Holders count no more
}

// Candidate is a live node that could hold the address and does not.
type Candidate struct {
	Node     string
	State    vrrp.State
	Priority vrrp.Priority
}

// ready says whether the candidate would take over.
func (c Candidate) ready() bool { return c.State == vrrp.Backup }

// Judge says how the cluster is. It is a pure function of the snapshot.
func Judge(s Snapshot) Judgement {
	j := Judgement{Verdict: Safe, VIPs: vips(&s), Gaps: s.gaps()}
	if len(j.VIPs) == 0 || s.outside() {
		return judgeWithoutVIPs(&s, Judgement{Verdict: Safe, Edits: s.spareVoters()})
	}
	j.Edits = s.spareVoters()
	j.Tolerance = len(s.Nodes)
	for i := range j.VIPs {
		v := &j.VIPs[i]
		v.Policy = s.Policies[v.Unit]
		v.Tolerance, v.Lease = s.spare(v), s.lease(v)
		judgeVIP(&s, v)
		j.Tolerance = min(j.Tolerance, v.Tolerance)
		if v.Verdict > j.Verdict {
			j.Verdict, j.Reason = v.Verdict, fmt.Sprintf("%s: %s", v.Address.Addr(), v.Reason)
			j.Next = "haclusterctl events --unit " + v.Unit
		}
	}
	if reason, next := clusterRisk(&s); reason != "" && j.Verdict < AtRisk {
		j.Verdict, j.Reason, j.Next = AtRisk, reason, next
	}
	if j.Verdict > Safe && len(s.Alerts) > 0 {
		j.Next = "haclusterctl alerts" // which say what to do, each
	}
	switch {
	case j.Verdict == Safe && s.Standalone:
		j.Reason = "this node runs alone; " + served(len(j.VIPs))
	case j.Verdict == Safe:
		j.Reason = served(len(j.VIPs))
	}
	return j
}

// spareVoters is how many more voters may fail with a majority left.
func (s *Snapshot) spareVoters() int {
	if !s.Cluster.Majority {
		return 0
	}
	votes := s.count(func(n *Node) bool { return n.Alive && n.StoreError == "" })
	return max(votes-(len(s.Cluster.Voters)/2+1), 0)
}

// answering is how many voters are alive. One whose disk stalls has no vote in
// the store, but its grants of leases are in memory.
func (s *Snapshot) answering() int {
	return s.count(func(n *Node) bool { return n.Alive })
}

func (s *Snapshot) count(counts func(*Node) bool) int {
	c := 0
	for _, name := range s.Cluster.Voters {
		if n, ok := s.Node(name); ok && counts(n) {
			c++
		}
	}
	return c
}

// outside says that the observer is in no cluster, but could be.
func (s *Snapshot) outside() bool { return s.Cluster.Name == "" && !s.Standalone }

func served(n int) string {
	switch n {
	case 1:
		return "the virtual address has one holder"
	case 2:
		return "both virtual addresses have one holder each"
	}
	return fmt.Sprintf("all %d virtual addresses have one holder each", n)
}

func judgeWithoutVIPs(s *Snapshot, j Judgement) Judgement {
	switch {
	case len(s.Nodes) == 0:
		j.Verdict, j.Reason = Unknown, "the daemon has not looked yet"
	case s.Removed:
		j.Verdict, j.Reason = Unknown, "the other members removed this node: it holds nothing"
		j.Next = "haclusterctl leave, which clears its data; then it can join again"
	case s.outside():
		j.Verdict, j.Reason = Unknown, "this node is in no cluster yet"
		j.Next = "haclusterctl init, or haclusterctl join"
	default:
		j.Reason = "no virtual addresses are configured"
		j.Tolerance = max(len(s.Nodes)-len(silent(s))-1, 0)
		j.Next = "haclusterctl config import, or haclusterctl config edit"
		if reason, next := clusterRisk(s); reason != "" && len(s.Nodes) > 1 {
			j.Verdict, j.Reason, j.Next = AtRisk, reason, next
		}
	}
	return j
}

// vips collects the virtual addresses of all nodes, the observer's order first.
func vips(s *Snapshot) []VIP {
	var out []VIP
	index := map[string]int{}
	nodes := slices.Clone(s.Nodes)
	slices.SortStableFunc(nodes, func(a, b Node) int {
		return cmp.Compare(rank(a.Name == s.Observer), rank(b.Name == s.Observer))
	})
	for i := range nodes {
		n := &nodes[i]
		for _, u := range n.Units {
			for _, inst := range u.Instances {
				for _, p := range inst.Addresses {
					key := inst.Name + " " + p.Addr().String()
					at, ok := index[key]
					if !ok {
						at = len(out)
						index[key] = at
						out = append(out, VIP{Address: p, Instance: inst.Name, Unit: u.Name, VRID: inst.VRID, Interface: inst.Interface})
					}
					out[at].add(n, &u, &inst)
				}
			}
		}
	}
	for i := range out {
		slices.Sort(out[i].Holders)
		slices.SortFunc(out[i].Candidates, func(a, b Candidate) int {
			return cmp.Or(cmp.Compare(rank(a.ready()), rank(b.ready())), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Node, b.Node))
		})
	}
	return out
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

func (v *VIP) add(n *Node, u *vrrp.UnitStatus, inst *vrrp.InstanceStatus) {
	switch {
	case !n.Alive:
	case u.State == vrrp.Master:
		v.hold(n, u, inst)
	default:
		v.Candidates = append(v.Candidates, Candidate{Node: n.Name, State: u.State, Priority: u.Priority})
	}
}

// hold counts a node as a holder. One whose claim counts no more has fallen silent:
// beside a claim that does it is none.
func (v *VIP) hold(n *Node, u *vrrp.UnitStatus, inst *vrrp.InstanceStatus) {
	lapsed := slices.Contains(n.Lapsed, u.Name)
	switch {
	case len(v.Holders) == 0, v.lapsed && !lapsed:
		v.Holders, v.lapsed = []string{n.Name}, lapsed
		v.Since, v.ChangeReason, v.Interface, v.Gate = u.Since, u.Reason, inst.Interface, u.Gate
	case v.lapsed == lapsed:
		v.Holders = append(v.Holders, n.Name)
	}
}

// lease is the holder's lease of the address's unit, else that of the first node
// that asks for it.
func (s *Snapshot) lease(v *VIP) *Lease {
	nodes := slices.Clone(v.Holders)
	for _, c := range v.Candidates {
		nodes = append(nodes, c.Node)
	}
	for _, name := range nodes {
		if n, ok := s.Node(name); ok {
			if l, ok := n.Leases[v.Unit]; ok {
				return &l
			}
		}
	}
	return nil
}

// spare is how many members may fail with the address still served: those that
// could hold it but one, and with policy quorum no more voters than leave a
// majority.
func (s *Snapshot) spare(v *VIP) int {
	n := v.ready()
	if len(v.Holders) == 0 {
		return 0
	}
	if v.Policy == "quorum" {
		n = min(n, max(s.answering()-(len(s.Cluster.Voters)/2+1), 0))
	}
	return n
}

// ready is how many candidates would take over.
func (v *VIP) ready() int {
	n := 0
	for _, c := range v.Candidates {
		if c.ready() {
			n++
		}
	}
	return n
}

func judgeVIP(s *Snapshot, v *VIP) {
	foreign, member := unclaimedHolder(s, v)
	switch {
	case len(v.Holders) > 1:
		v.Verdict, v.Reason = Violated, "held by "+strings.Join(v.Holders, " and ")
	case len(v.Holders) == 1:
		judgeHeld(s, v)
	case foreign.IsValid() && s.Standalone:
		v.Verdict, v.Reason = Safe, "held by "+foreign.String()
	case member != "":
		v.Verdict, v.Reason = AtRisk, fmt.Sprintf("held by %s, by its adverts from %s: its heartbeats do not arrive", member, foreign)
	case foreign.IsValid():
		v.Verdict, v.Reason = AtRisk, fmt.Sprintf("held by %s, which is no member", foreign)
	case len(v.Candidates) == 0:
		v.Verdict, v.Reason = Unknown, "no node that has it is heard"
	default:
		v.Verdict, v.Reason = Dark, "held by nobody: "+whyNobody(s, v)
	}
}

func judgeHeld(s *Snapshot, v *VIP) {
	v.Verdict, v.Reason = Safe, "held by "+v.Holders[0]
	for _, a := range s.Alerts {
		if a.Unit == v.Unit && a.Severity >= Warning {
			v.Verdict, v.Reason = AtRisk, fmt.Sprintf("held by %s; %s", v.Holders[0], a.Summary)
			return
		}
	}
	switch {
	case s.Standalone:
	case v.ready() == 0:
		other := "no other node"
		if len(silent(s)) > 0 {
			other = "no other node that is heard" // who is not may hold it already
		}
		v.Verdict, v.Reason = AtRisk, fmt.Sprintf("held by %s; %s can take it%s", v.Holders[0], other, others(s, v))
	case v.Tolerance == 0:
		v.Verdict, v.Reason = AtRisk, fmt.Sprintf("held by %s; without one more voter nobody may hold it (%d of %d answer)",
			v.Holders[0], s.answering(), len(s.Cluster.Voters))
	}
}

// others says in parentheses why the other nodes cannot take over.
func others(s *Snapshot, v *VIP) string {
	if why := whyNobody(s, v); why != "" {
		return " (" + why + ")"
	}
	return ""
}

func whyNobody(s *Snapshot, v *VIP) string {
	words := make([]string, 0, len(v.Candidates))
	for _, c := range v.Candidates {
		word := fmt.Sprintf("%s is %s", c.Node, c.State)
		if n, ok := s.Node(c.Node); ok && !c.ready() {
			if u, ok := n.Unit(v.Unit); ok && u.Reason != "" {
				word += ": " + u.Reason
			}
		}
		words = append(words, word)
	}
	if names := silent(s); len(names) > 0 {
		words = append(words, plural(names, "is", "are")+" not heard")
	}
	return strings.Join(words, ", ")
}

// silent are the names of the nodes that are not heard.
func silent(s *Snapshot) []string {
	var names []string
	for i := range s.Nodes {
		if !s.Nodes[i].Alive {
			names = append(names, s.Nodes[i].Name)
		}
	}
	return names
}

// unclaimedHolder is a router whose adverts a live node hears for the address although
// no node claims it, if there is one: outside the cluster, or a member whose claims are
// not heard.
func unclaimedHolder(s *Snapshot, v *VIP) (from netip.Addr, member string) {
	for i := range s.Nodes {
		n := &s.Nodes[i]
		u, ok := n.Unit(v.Unit)
		if !ok || !n.Alive {
			continue
		}
		for _, inst := range u.Instances {
			seen := inst.LastAdvert
			if inst.Name == v.Instance && seen.Priority > 0 && s.Time.Sub(seen.At) < 4*max(seen.Interval, inst.AdvertInterval) && !isMember(s, seen.From) {
				return seen.From, s.sender(seen.From)
			}
		}
	}
	return netip.Addr{}, ""
}

// sender is the member that sends adverts from the address, by its last word; empty:
// none does.
func (s *Snapshot) sender(addr netip.Addr) string {
	for i := range s.Nodes {
		if slices.Contains(s.Nodes[i].Sources, addr) {
			return s.Nodes[i].Name
		}
	}
	return ""
}

// isMember reports whether the address is that of a node whose claims are known.
func isMember(s *Snapshot, addr netip.Addr) bool {
	for i := range s.Nodes {
		for _, u := range s.Nodes[i].Units {
			if u.Primary == addr || slices.ContainsFunc(u.Instances, func(inst vrrp.InstanceStatus) bool { return inst.Source == addr }) {
				return true
			}
		}
	}
	return false
}

// clusterRisk is what is wrong with the cluster as a whole, and the command to
// run next.
func clusterRisk(s *Snapshot) (reason, next string) {
	if s.Standalone {
		return "", ""
	}
	off := silent(s)
	var behind []string
	stalled := ""
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Alive && n.RevisionError != "" {
			behind = append(behind, n.Name)
		}
		if n.Alive && n.StoreError != "" && stalled == "" {
			stalled = n.Name + " has no vote: " + n.StoreError
		}
	}
	switch {
	case !s.Cluster.Majority && s.Cluster.Leader == "" && s.answering() > len(s.Cluster.Voters)/2:
		return "the voters are choosing a leader: virtual addresses stay and fail over, the configuration is read-only until then", "haclusterctl nodes"
	case !s.Cluster.Majority:
		return "no majority of the voters answers: virtual addresses stay and fail over, the configuration is read-only", "haclusterctl nodes"
	case len(off) > 0:
		return plural(off, "is", "are") + " not heard", "haclusterctl nodes"
	case stalled != "":
		return stalled, "haclusterctl nodes"
	case len(behind) > 0:
		return fmt.Sprintf("%s not run revision %d", plural(behind, "does", "do"), s.Cluster.Revision), "haclusterctl nodes"
	case len(s.Nodes) > 1 && s.troubled() != nil:
		return s.troubled().Summary, "haclusterctl alerts"
	case len(s.Nodes) == 1:
		return "the cluster has one node: nothing takes over when it fails", "haclusterctl token create"
	}
	return "", ""
}

// troubled is the newest open alert that concerns the nodes and not one unit;
// nil when there is none. What it tells of may be what the next failure needs.
func (s *Snapshot) troubled() *Alert {
	for i := range s.Alerts {
		// An incident tells how it came to what is judged here.
		if a := &s.Alerts[i]; a.Unit == "" && a.Severity >= Warning && !strings.HasPrefix(a.ID, IncidentAlert) {
			return a
		}
	}
	return nil
}

func plural(names []string, one, many string) string {
	if len(names) == 1 {
		return names[0] + " " + one
	}
	return strings.Join(names, ", ") + " " + many
}
