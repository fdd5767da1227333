package splitbrain

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// Pace of the probes. All of it is far below what a network carries: a node
// with 255 units asks for each of its addresses once in backgroundEvery, and
// otherwise one gateway or member a second on each network.
const (
	backgroundEvery = 5 * time.Second        // for each address of a unit held elsewhere
	backgroundBatch = 100 * time.Millisecond // a wake-up for these at most so often
	steadyEvery     = time.Second            // between rounds of gateways, or members without one
	minQuick        = 100 * time.Millisecond // between rounds while something is in doubt
	maxQuick        = 500 * time.Millisecond
	quickFor        = 2 * time.Second  // after the last doubt
	quickAtMost     = 30 * time.Second // a doubt that lasts is looked at steadily
	burstGap        = 16 * time.Millisecond
	burstRest       = 100 * time.Millisecond // between two bursts for one unit
	answerTime      = 50 * time.Millisecond  // without an answer for so long a probe counts as silent
	maxProof        = 12
)

// scout owns what is probed, when, and what that has shown. It is a part of
// Core, and like it has no clock and no socket.
type scout struct {
	networks map[netKey]*network
	order    []*network
	rng      *rand.Rand
	jobs     []Probe        // to be sent by this Step
	owners   map[MAC]string // the member, or this node, that has it
	paths    []pathMemory   // scratch
	began    []time.Time    // scratch
	stale    bool           // what is probed must be worked out again
	builtAt  time.Time      // when it last was
}

// netKey names a network of this node.
type netKey struct {
	iface string
	v6    bool
}

func keyFor(iface string, a netip.Addr) netKey { return netKey{iface, a.Is6()} }

// network is one network with all addresses that are probed there.
type network struct {
	netKey
	source   netip.Addr
	subnets  []netip.Prefix
	named    bool
	quick    time.Duration // between quick rounds
	targets  map[netip.Addr]*target
	gateways []*target
	members  []ownTarget // own addresses of members
	vips     []*target   // of units that are held elsewhere

	turn      int       // next one of vips in the background
	turnAt    time.Time // when
	turnBatch time.Time // no wake-up for it before
	member    int       // next one of members in steady rounds
	round     time.Time // when the next round is due
	urged     time.Time // when this doubt began
	doubt     time.Time // until when rounds are quick
	lost      float64   // share of probes lost lately, of those that could be answered

	path     pathMemory
	began    time.Time
	shared   NetworkEvidence // what all units there have in common
	reviewed time.Time
	check    time.Time // when the answers to the last round have had their time
}

type ownTarget struct {
	m *member
	*target
}

// newScout draws from the boot id, so that two nodes never keep step and a
// replay does.
func newScout(boot BootID) scout {
	return scout{networks: make(map[netKey]*network), rng: rand.New(rand.NewPCG(uint64(boot), 0)), stale: true}
}

// rebuild works out what is to be probed: units, members and their addresses
// come and go.
func (c *Core) rebuild(now time.Time) {
	s := &c.scout
	s.stale, s.builtAt = false, now
	c.listOwners()
	for _, n := range s.order {
		n.gateways, n.members, n.vips = n.gateways[:0], n.members[:0], n.vips[:0]
		n.named, n.quick = false, maxQuick
		for _, t := range n.targets {
			t.used = false
		}
	}
	used := make(map[netKey]bool)
	for _, u := range c.order {
		u.networks = u.networks[:0]
		for i := range u.view.Networks {
			spec := &u.view.Networks[i]
			if spec.Interface == "" || len(spec.VIPs) == 0 {
				continue
			}
			n := s.network(now, keyFor(spec.Interface, spec.VIPs[0]))
			used[n.netKey] = true
			n.source, n.subnets, n.named = spec.Source, spec.Subnets, n.named || spec.Named
			if a := u.view.AdvertInterval; a > 0 {
				n.quick = min(n.quick, max(a/2, minQuick))
			}
			for _, g := range spec.Gateways {
				if t := n.use(g); g.Is6() == n.v6 && !slices.Contains(n.gateways, t) {
					n.gateways = append(n.gateways, t)
				}
			}
			un := unitNetwork{network: n}
			for _, vip := range spec.VIPs {
				t := n.use(vip)
				un.vips = append(un.vips, t)
				t.unit = u
				switch {
				case u.view.State == Master:
					t.unanswered()
				case u.view.Policy != PolicyOff:
					n.vips = append(n.vips, t)
				}
			}
			u.networks = append(u.networks, un)
		}
	}
	for _, n := range s.order {
		for _, m := range c.table.members {
			for a := range m.own(n) {
				n.members = append(n.members, ownTarget{m, n.use(a)})
			}
		}
		for a, t := range n.targets {
			if !t.used {
				delete(n.targets, a)
			}
		}
	}
	s.order = slices.DeleteFunc(s.order, func(n *network) bool { return !used[n.netKey] })
	for k := range s.networks {
		if !used[k] {
			delete(s.networks, k)
		}
	}
}

func (s *scout) network(now time.Time, key netKey) *network {
	n := s.networks[key]
	if n == nil {
		n = &network{netKey: key, quick: maxQuick, targets: make(map[netip.Addr]*target), lost: 0.05, round: now}
		s.networks[key] = n
		s.order = append(s.order, n)
	}
	return n
}

func (n *network) use(a netip.Addr) *target {
	t := n.targets[a]
	if t == nil {
		t = &target{addr: a}
		n.targets[a] = t
	}
	t.used = true
	return t
}

// own gives the member's own addresses on the network.
func (m *member) own(n *network) func(func(netip.Addr) bool) {
	return func(yield func(netip.Addr) bool) {
		for i, list := range [2][]netip.Addr{m.sources, m.Addrs} {
			for _, a := range list {
				on := a.Is6() == n.v6 && (a.IsLinkLocalUnicast() && a.Is6() ||
					slices.ContainsFunc(n.subnets, func(p netip.Prefix) bool { return p.Contains(a) }))
				if on && (i == 0 || !slices.Contains(m.sources, a)) && !yield(a) {
					return
				}
			}
		}
	}
}

// probe sends one probe.
func (s *scout) probe(now time.Time, n *network, t *target, source netip.Addr) {
	t.ask(now)
	s.jobs = append(s.jobs, Probe{Interface: n.iface, Addr: t.addr, Source: source})
}

// look does what is due on all networks.
func (c *Core) look(now time.Time, out *Output) {
	s := &c.scout
	if len(c.order) == 0 && len(s.order) == 0 {
		return
	}
	if s.stale || now.Sub(s.builtAt) >= steadyEvery {
		c.rebuild(now)
	}
	for _, n := range s.order {
		c.checked(now, n)
		c.rounds(now, n)
		s.background(now, n)
	}
	for _, u := range c.order {
		c.shots(now, u)
		c.verifies(now, u, out)
	}
}

// rounds asks gateways, and members where there is need or no gateway.
func (c *Core) rounds(now time.Time, n *network) {
	s := &c.scout
	if now.Before(n.round) {
		return
	}
	quick := now.Before(n.doubt) && now.Sub(n.urged) < quickAtMost
	for _, g := range n.gateways {
		s.probe(now, n, g, n.source)
	}
	switch {
	case now.Before(n.doubt):
		for _, m := range n.members {
			s.probe(now, n, m.target, netip.Addr{})
		}
	case len(n.members) > 0 && !slices.ContainsFunc(n.gateways, func(t *target) bool { return t.echo.known() }):
		n.member = (n.member + 1) % len(n.members)
		s.probe(now, n, n.members[n.member].target, netip.Addr{})
	}
	every := steadyEvery
	if quick {
		every = n.quick
	}
	n.round = now.Add(s.jitter(every))
	n.check = now.Add(answerTime)
}

// checked judges the answers to the last round: what answered before and did
// not now is looked at closely.
func (c *Core) checked(now time.Time, n *network) {
	if due := n.path.due(); !due.IsZero() && !now.Before(due) {
		c.review(now, n)
	}
	if n.check.IsZero() || now.Before(n.check) {
		return
	}
	n.check = time.Time{}
	c.review(now, n)
	missing := func(e Echo) bool { return e.Silent > 0 && (e.known() || n.named) }
	for _, g := range n.shared.Gateways {
		if missing(g) {
			n.urge(now)
		}
	}
	for i := range n.shared.Members {
		if m := &n.shared.Members[i]; m.Heard && missing(m.Echo) {
			n.urge(now)
		}
	}
	if now.Before(n.doubt) {
		c.soil(n)
	}
}

// jitter is up to a tenth less than d, so that the nodes do not keep step.
func (s *scout) jitter(d time.Duration) time.Duration {
	return d - time.Duration(s.rng.Int64N(int64(d/10)+1))
}

// urge makes the rounds of a network quick for a while, beginning now.
func (n *network) urge(now time.Time) {
	if !now.Before(n.doubt) {
		n.urged, n.round = now, now
	}
	n.doubt = now.Add(quickFor)
}

// background asks, one after the other, for the addresses of units that are
// held elsewhere.
func (s *scout) background(now time.Time, n *network) {
	if len(n.vips) == 0 {
		return
	}
	gap := backgroundEvery / time.Duration(len(n.vips))
	if n.turnAt.IsZero() || now.Sub(n.turnAt) > backgroundEvery {
		n.turnAt = now.Add(time.Duration(s.rng.Int64N(int64(gap) + 1)))
	}
	for !now.Before(n.turnAt) {
		n.turn = (n.turn + 1) % len(n.vips)
		s.probe(now, n, n.vips[n.turn], netip.Addr{})
		n.turnAt = n.turnAt.Add(s.jitter(gap))
		n.turnBatch = now.Add(backgroundBatch)
	}
}

// lookAt is when look must be called next.
func (c *Core) lookAt() time.Time {
	var due time.Time
	soonest := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	for _, n := range c.scout.order {
		soonest(n.round)
		soonest(n.check)
		soonest(n.path.due())
		if len(n.vips) > 0 {
			soonest(later(n.turnAt, n.turnBatch))
		}
	}
	for _, u := range c.order {
		soonest(u.volley.next)
		soonest(u.check)
		soonest(u.verify.next)
	}
	return due
}

// volley is a series of quick probes of a unit's addresses and of the own
// addresses of one member.
type volley struct {
	node  string
	left  int
	next  time.Time // zero: none is under way
	again time.Time // no other one before
}

// unitNetwork is where a unit serves.
type unitNetwork struct {
	*network
	vips []*target
}

// burstFor begins a burst unless one is under way or was just now.
func (c *Core) burstFor(now time.Time, u *ownUnit, node string) {
	if u.volley.left > 0 || len(u.networks) == 0 || u.view.State == Master {
		return
	}
	if now.Before(u.volley.again) {
		u.wakeAt(u.volley.again)
		return
	}
	n := 3
	for _, un := range u.networks {
		n = max(n, un.proof())
	}
	u.volley = volley{node: node, left: n, next: now}
}

// shots fires what is due of a unit's burst. When the last answer has had its
// time the unit is judged again.
func (c *Core) shots(now time.Time, u *ownUnit) {
	if !u.check.IsZero() && !now.Before(u.check) {
		u.check, u.dirty = time.Time{}, true
	}
	b := &u.volley
	if b.next.IsZero() || now.Before(b.next) {
		return
	}
	if u.view.State == Master {
		*b = volley{} // never against an address of our own
		return
	}
	for _, un := range u.networks {
		for _, m := range un.members {
			if m.m.Name == b.node {
				c.scout.probe(now, un.network, m.target, netip.Addr{})
			}
		}
		c.scout.probe(now, un.network, un.vips[0], netip.Addr{})
	}
	if b.left--; b.left > 0 {
		b.next = now.Add(burstGap)
		return
	}
	b.next, b.again = time.Time{}, now.Add(answerTime+burstRest)
	u.check = now.Add(answerTime)
}
