package splitbrain

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// SetMACs gives the hardware addresses of this node's interfaces, at most
// MaxMACs: the others take an answer from any of them for this node's.
func (c *Core) SetMACs(macs []MAC) {
	c.macs = append(c.macs[:0:0], macs[:min(len(macs), MaxMACs)]...)
	c.scout.stale, c.urgent = true, true
}

// SetAloneAfter gives how long after its start a node that hears nobody waits
// for an answer before it takes over.
func (c *Core) SetAloneAfter(d time.Duration) {
	c.aloneAfter = d
	c.allDirty()
}

// Sighted takes an answer to a probe, or an announcement.
func (c *Core) Sighted(s Sighting) {
	n := c.scout.networks[keyFor(s.Interface, s.Addr)]
	if n == nil {
		return
	}
	t := n.targets[s.Addr]
	owner, member := c.scout.owners[s.MAC]
	if t == nil || owner == c.node && member {
		return
	}
	lost, answered := t.answer(s)
	if answered {
		n.counted(lost)
	}
	if answered && s.At.Before(n.doubt) {
		c.soil(n)
	}
	if t.unit != nil && t.unit.view.State == Master && len(c.macs) > 0 {
		t.unit.dirty = true // it announces itself for what this node holds
	}
	if t.unit != nil && t.suspicious(s.MAC) && !c.claims(owner, t.unit) {
		c.burstFor(s.At, t.unit, owner)
	}
}

// Unsent takes back probes that could not be sent: what was not asked is not
// silent.
func (c *Core) Unsent(probes []Probe) {
	for i := range probes {
		p := &probes[i]
		if n := c.scout.networks[keyFor(p.Interface, p.Addr)]; n != nil {
			if t := n.targets[p.Addr]; t != nil {
				t.unask()
			}
		}
	}
}

// claims reports whether the named member claims to hold the unit.
func (c *Core) claims(node string, u *ownUnit) bool {
	m := c.table.member(node)
	if m == nil {
		return false
	}
	h := m.claims[u.view.Name]
	return h != nil && h.State == Master
}

// soil makes all units on the network be judged again.
func (c *Core) soil(n *network) {
	for _, u := range c.order {
		for _, un := range u.networks {
			u.dirty = u.dirty || un.network == n
		}
	}
}

// forgetFormer drops what machines answered as members that they are no more, and
// notes their addresses: only what they say from now on is a stranger's.
func (c *Core) forgetFormer(before []*member) {
	for _, m := range before {
		if c.table.member(m.Name) == nil {
			for _, a := range slices.Concat(m.sources, m.Addrs) {
				c.former[a] = time.Time{} // judge says when
			}
		}
	}
	former := func(a answerer) bool {
		owner := c.scout.owners[a.mac]
		return owner != "" && owner != c.node && c.table.member(owner) == nil
	}
	for _, n := range c.scout.order {
		for _, t := range n.targets {
			t.answers = slices.DeleteFunc(t.answers, former)
		}
	}
}

// forgetSources notes the addresses that a member has ceased to advertise from: who
// leaves says so before its last adverts are looked at.
func (c *Core) forgetSources(now time.Time, before []netip.Addr, m *member) {
	for _, a := range before {
		if !m.has(a) {
			c.former[a] = now
		}
	}
}

// owner is whose hardware address it is; empty: no member's.
func (c *Core) listOwners() {
	owners := make(map[MAC]string)
	for _, m := range c.table.members {
		for _, mac := range m.macs {
			owners[mac] = m.Name
		}
	}
	for _, mac := range c.macs {
		owners[mac] = c.node
	}
	c.scout.owners = owners
}

// review brings up to date what all units on the network have in common, and
// follows the data path.
func (c *Core) review(now time.Time, n *network) {
	if n.reviewed.Equal(now) {
		return
	}
	n.reviewed = now
	e := &n.shared
	e.Interface, e.Named, e.Proof = n.iface, n.named, n.proof()
	mute := e.mute()
	e.Gateways, e.Members = e.Gateways[:0], e.Members[:0]
	for _, g := range n.gateways {
		e.Gateways = append(e.Gateways, g.at(now))
	}
	e.Fabric = false
	for i := range n.members {
		m := &n.members[i]
		echo := m.at(now)
		e.Fabric = e.Fabric || m.impersonated(echo, max(e.Proof, 3))
		me := MemberEcho{Node: m.m.Name, Heard: c.counts(now, m.m) && !m.m.leaving, Since: m.m.regained, Latest: m.m.at, Echo: echo}
		if last := len(e.Members) - 1; last >= 0 && e.Members[last].Node == me.Node {
			if better(echo, e.Members[last].Echo) {
				e.Members[last] = me
			}
			continue
		}
		e.Members = append(e.Members, me)
	}
	shown, began := e.shows()
	n.began = began
	before := n.path.state
	if n.path.step(now, shown); n.path.state != before || e.mute() != mute {
		c.soil(n)
	}
}

// better reports whether a says more of a member than b: it has several
// addresses, and one that answers is enough.
func better(a, b Echo) bool {
	if a.known() != b.known() {
		return a.known()
	}
	return cmp.Or(cmp.Compare(b.Silent, a.Silent), a.Began.Compare(b.Began)) > 0
}

// impersonated reports whether the member's own address is answered, and by no
// hardware address of its own: the network answers for it (S73).
func (t *ownTarget) impersonated(e Echo, proof int) bool {
	if len(t.m.macs) == 0 || !e.known() || e.Silent >= proof {
		return false
	}
	for _, a := range t.answers {
		if a.last.Before(e.Began) {
			continue
		}
		if slices.Contains(t.m.macs, a.mac) {
			return false
		}
	}
	return true
}

// survey is what the probes show of a unit. It is valid until the next Step.
func (c *Core) survey(now time.Time, u *ownUnit) Evidence {
	e := Evidence{Networks: u.evidence[:0]}
	paths, began := c.scout.paths[:0], c.scout.began[:0]
	for _, un := range u.networks {
		c.review(now, un.network)
		n := un.shared
		n.VIP = un.vips[0].at(now)
		n.Answers = nil
		for _, t := range un.vips {
			n.Answers = t.present(now, n.Answers, &n, c.scout.owners)
		}
		e.Networks = append(e.Networks, n)
		paths, began = append(paths, un.path), append(began, un.began)
	}
	e.weigh(paths, began)
	u.evidence, c.scout.paths, c.scout.began = e.Networks, paths, began
	return e
}

// present appends who answers for the address now.
func (t *target) present(now time.Time, list []Responder, n *NetworkEvidence, owners map[MAC]string) []Responder {
	if n.silent(t.at(now)) {
		return list
	}
	for _, a := range t.answers {
		if a.last.Before(t.echo.Began) || now.Sub(a.last) > rememberAnswers {
			continue
		}
		list = append(list, Responder{VIP: t.addr, MAC: a.mac, Node: owners[a.mac], At: a.last})
	}
	return list
}

// rememberAnswers is for how long an answer says who has an address.
const rememberAnswers = 5 * backgroundEvery / 2

// contact is whom this node hears at all.
func (c *Core) contact() Contact {
	var k Contact
	for _, m := range c.table.members {
		if m.leaving || m.Gossip == GossipLeft {
			continue
		}
		k.Members++
		if m.boot != 0 {
			k.Last = later(k.Last, m.at)
			k.Every = max(k.Every, m.interval)
		}
	}
	return k
}

// heed does what a decision wants of the probes, and notes what the next claim
// says of them.
func (c *Core) heed(now time.Time, u *ownUnit, v *View, d *Decision) {
	if d.Look {
		for _, un := range u.networks {
			un.urge(now)
		}
	}
	if d.Burst != "" {
		c.burstFor(now, u, d.Burst)
	}
	u.newHolder(now, v)
	u.path, u.began = v.Evidence.Path, v.Evidence.PathBegan
	u.sight, u.sightOf = SightNone, 0
	if u.view.State == Master {
		return
	}
	kind, node, at := v.Evidence.sight()
	u.sight, u.sightAt = kind, at
	if m := c.table.member(node); kind == SightOne && m != nil {
		u.sightOf = m.boot
	}
}

// sayProbes puts into a claim what the probes show.
func (u *ownUnit) sayProbes(now time.Time, c *Claim) {
	c.Path = u.path
	if !u.began.IsZero() {
		// An age of nothing says that none was ever answered.
		c.PathAge = max(now.Sub(u.began), time.Microsecond)
	}
	if u.sight != SightNone {
		c.Sight = Sight{Kind: u.sight, Of: u.sightOf, Age: max(now.Sub(u.sightAt), 0)}
	}
}
