package observed

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// Member is a configured member of the cluster.
type Member struct {
	Name    string
	Address string
	Role    Role
	Version string // as last told to the cluster; a heartbeat's word is newer
}

// Input is what one node knows by itself.
type Input struct {
	Now        time.Time
	Self       Node // Name, Address, Role, Version, Started, Revision, RevisionError, Units
	Standalone bool
	Cluster    Cluster
	Members    []Member // all, this node too
	Peers      splitbrain.PeerView
	Disarmed   *Disarmed
	Policies   map[string]string        // split_brain policy of each unit
	Clocks     map[string]time.Duration // how far the members' clocks are ahead of this one's
	Gossip     map[string]bool          // whether gossip thinks that a member is alive
}

// aliveFor is how long a word of a member proves that it is alive, for people.
// It decides nothing.
const aliveFor = 3 * time.Second

// probedFor is the same for answers to probes, which are sent every few seconds.
const probedFor = 15 * time.Second

// Build makes this node's snapshot. What it says of another member's units is
// what that member claims in its heartbeats.
func Build(in Input) Snapshot {
	s := Snapshot{Time: in.Now, Observer: in.Self.Name, Standalone: in.Standalone, Cluster: in.Cluster, Disarmed: in.Disarmed, Policies: in.Policies}
	s.Links = append(links(&in), gossipLinks(&in)...)
	self := in.Self
	self.Alive = true
	self.Leases = leases(in.Peers.Leases)
	s.Nodes = append(s.Nodes, self)
	for _, m := range in.Members {
		if m.Name == self.Name {
			if s.Nodes[0].Role == "" {
				s.Nodes[0].Role = m.Role
			}
			continue
		}
		s.Nodes = append(s.Nodes, peerNode(m, &in, s.Links))
	}
	slices.SortFunc(s.Nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	for i := range s.Nodes {
		// A node may run a revision that this one has not received yet.
		s.Cluster.Revision = max(s.Cluster.Revision, s.Nodes[i].Revision)
	}
	return s
}

func peerNode(m Member, in *Input, links []Link) Node {
	n := Node{Name: m.Name, Address: m.Address, Role: m.Role, Version: m.Version}
	if ahead, ok := in.Clocks[m.Name]; ok {
		n.ClockAhead = &ahead
	}
	i := slices.IndexFunc(in.Peers.Members, func(v splitbrain.MemberView) bool { return v.Name == m.Name })
	if i < 0 {
		return n
	}
	view := in.Peers.Members[i]
	if facts := DecodeFacts(view.Facts); facts != (Facts{}) {
		n.Version = cmp.Or(facts.Version, m.Version)
		n.Revision, n.RevisionError, n.StoreError = facts.Revision, facts.RevisionError, facts.StoreError
		if facts.Started != 0 {
			n.Started = time.Unix(facts.Started, 0)
		}
		if facts.RestartingUntil != 0 {
			n.RestartingUntil = time.Unix(facts.RestartingUntil, 0)
		}
	}
	mesh := Channel{Kind: Mesh, LastSeen: view.Direct, RoundTrip: view.RTT}
	mesh.Alive = recent(in.Now, view.Direct)
	n.Channels = append(n.Channels, mesh)
	n.LastSeen, n.Sources = view.At, view.Addrs
	adverts, advert := false, time.Time{}
	for _, l := range links {
		if l.From == in.Self.Name && l.To == m.Name && l.Channel == VRRP {
			n.Channels = append(n.Channels, Channel{Kind: VRRP, LastSeen: l.LastSeen, Alive: l.Alive})
			adverts, advert = l.Alive, l.LastSeen
			switch {
			case adverts && advert.IsZero():
				n.LastSeen = in.Now // they arrive steadily
			case advert.After(n.LastSeen):
				n.LastSeen = advert
			}
		}
	}
	n.Alive = !view.Leaving && (adverts || recent(in.Now, n.LastSeen))
	n.Silent = n.Alive && !adverts && !view.Fresh
	for _, c := range view.Claims {
		n.Units = append(n.Units, claimedUnit(c, in.Self.Units))
		sign := c.At
		if advert.After(sign) {
			sign = advert
		}
		if !c.Fresh && in.Now.Sub(advert) > 3*in.interval(c.Unit, 0) || in.followed(m.Name, c.Unit, sign) {
			n.Lapsed = append(n.Lapsed, c.Unit)
		}
	}
	return n
}

// followed reports whether another node holds a unit since after the last sign of one
// that claims it, too. Who goes on holding says so in its next record.
func (in *Input) followed(node, unit string, sign time.Time) bool {
	for _, u := range in.Self.Units {
		if u.Name == unit && u.State == vrrp.Master && u.Since.After(sign) {
			return true
		}
	}
	for _, m := range in.Peers.Members {
		for _, c := range m.Claims {
			if m.Name != node && c.Unit == unit && c.Fresh && c.State == splitbrain.Master && c.At.Add(-c.StateAge).After(sign) {
				return true
			}
		}
	}
	return false
}

// leases are this node's.
func leases(list []splitbrain.UnitLease) map[string]Lease {
	out := make(map[string]Lease, len(list))
	for _, l := range list {
		lease := Lease{Left: l.Left, Ballot: strconv.FormatUint(uint64(l.Ballot), 10)}
		if l.Left == 0 {
			lease.Waiting = strings.Join(l.Missing, ", ")
		}
		out[l.Unit] = lease
	}
	return out
}

// gossipLinks says what this node's gossip thinks of the others. Gossip is no
// sign between two nodes: it may have its word of a third one.
func gossipLinks(in *Input) []Link {
	var out []Link
	for _, m := range in.Members {
		if alive, ok := in.Gossip[m.Name]; ok && m.Name != in.Self.Name {
			out = append(out, Link{From: in.Self.Name, To: m.Name, Channel: Gossip, Alive: alive})
		}
	}
	return out
}

func recent(now, at time.Time) bool { return !at.IsZero() && now.Sub(at) < aliveFor }

// claimedUnit says of a peer's unit what its claim says. The instances are
// this node's own of the same name: one document describes both.
func claimedUnit(c splitbrain.ClaimView, own []vrrp.UnitStatus) vrrp.UnitStatus {
	u := vrrp.UnitStatus{
		Name:     c.Unit,
		State:    vrrp.State(c.State),
		Reason:   "as claimed in its heartbeat",
		Wants:    vrrp.Want(c.Wants),
		Tenure:   vrrp.Tenure{Seq: c.Tenure.Seq, Priority: vrrp.Priority(c.Tenure.Priority), Primary: c.Tenure.Primary},
		Priority: vrrp.Priority(c.Priority),
		Primary:  c.Primary,
	}
	if i := slices.IndexFunc(own, func(o vrrp.UnitStatus) bool { return o.Name == c.Unit }); i >= 0 {
		u.Group = own[i].Group
		for _, inst := range own[i].Instances {
			u.Instances = append(u.Instances, vrrp.InstanceStatus{
				Name: inst.Name, Interface: inst.Interface, Family: inst.Family, VRID: inst.VRID,
				AdvertInterval: inst.AdvertInterval, Addresses: inst.Addresses,
				State: u.State, Priority: u.Priority,
			})
		}
		return u
	}
	inst := vrrp.InstanceStatus{Name: c.Unit, State: u.State, Priority: u.Priority}
	for _, a := range c.VIPs {
		inst.Addresses = append(inst.Addresses, addressOf(a))
	}
	u.Instances = []vrrp.InstanceStatus{inst}
	return u
}

// advertSlack is how much later than it came an advert can be told of: with the
// next heartbeat, and the one after it when that is lost.
const advertSlack = 2 * time.Second

// advertsFor is how long an advert of a unit proves that its sender is heard:
// until three are missing and the next heartbeats have told so.
func (in *Input) advertsFor(unit string) time.Duration {
	return 3*in.interval(unit, time.Second) + advertSlack
}

// interval is the longest Advert_Int of a unit's instances, at least the given
// one.
func (in *Input) interval(unit string, least time.Duration) time.Duration {
	if u, ok := in.Self.Unit(unit); ok {
		for _, inst := range u.Instances {
			least = max(least, inst.AdvertInterval)
		}
	}
	return least
}

// stand is what a node does with a unit, as far as it is known.
type stand struct {
	state splitbrain.State
	wants splitbrain.Want
}

func (in *Input) stand(node, unit string) (s stand, known bool) {
	if node == in.Self.Name {
		u, ok := in.Self.Unit(unit)
		if !ok {
			return stand{}, false
		}
		return stand{splitbrain.State(u.State), splitbrain.Want(u.Wants)}, true
	}
	for _, m := range in.Peers.Members {
		if m.Name != node {
			continue
		}
		for _, c := range m.Claims {
			if c.Unit == unit {
				return stand{c.State, c.Wants}, true
			}
		}
	}
	return stand{}, false
}

// links says who hears whom.
func links(in *Input) []Link {
	var out []Link
	for _, r := range in.Peers.Reach {
		l := Link{From: r.To, To: r.From, Channel: ChannelKind(r.Channel), LastSeen: r.At, Alive: recent(in.Now, r.At)}
		if l.Channel == Probe {
			l.Alive = !r.At.IsZero() && in.Now.Sub(r.At) < probedFor
		}
		if l.Channel == VRRP && !in.adverts(&l, r.Unit) {
			continue
		}
		// Several units share the channel vrrp; the best of them counts.
		i := slices.IndexFunc(out, func(o Link) bool { return o.From == l.From && o.To == l.To && o.Channel == l.Channel })
		switch {
		case i < 0:
			out = append(out, l)
		case l.Alive && !out[i].Alive, l.Alive == out[i].Alive && l.LastSeen.After(out[i].LastSeen):
			out[i] = l
		}
	}
	return out
}

// adverts judges a link by the adverts of a unit, and reports whether there is
// anything to judge: only a MASTER sends adverts, so what was heard of one that
// is BACKUP by now says nothing, and nor does its silence.
//
// While adverts arrive steadily nobody notes the time of each. A BACKUP whose
// timer has not ended hears them: that is what keeps it BACKUP.
func (in *Input) adverts(l *Link, unit string) bool {
	if sender, known := in.stand(l.To, unit); known && sender.state != splitbrain.Master {
		return false
	}
	listener, known := in.stand(l.From, unit)
	if known && listener.state == splitbrain.Backup {
		if l.Alive = listener.wants != splitbrain.WantHeld; l.Alive {
			l.LastSeen = time.Time{}
		}
		return true
	}
	l.Alive = in.Now.Sub(l.LastSeen) < in.advertsFor(unit)
	return true
}
