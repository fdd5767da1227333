package splitbrain

import (
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/rules"
)

// This file is what the shell gives a Core: levels, where the newest counts, and
// the wishes of people.

// How long and how often a record says something.
const (
	inviteLife = 2 * time.Second // an invitation
	wishLife   = 5 * time.Second // for so long a wish to have a unit here stands
	maxInvites = 64
	goodbyes   = 3 // records that say goodbye
	farewells  = 5 // records that say that a unit is no more
)

// SetUnits gives the state of all units of this node. A unit that is left out
// has let go of its addresses, and the others are told so. One whose name has
// more than MaxUnitName bytes cannot be told to them and is ignored: it follows
// plain VRRP.
func (c *Core) SetUnits(units []UnitView) {
	gone := make(map[string]bool, len(c.units))
	for name := range c.units {
		gone[name] = true
	}
	c.order = c.order[:0]
	c.sources = c.sources[:0]
	for _, a := range c.addrs {
		c.addSource(a)
	}
	for _, v := range units {
		if v.Name == "" || len(v.Name) > MaxUnitName {
			continue
		}
		delete(gone, v.Name)
		u := c.units[v.Name]
		if u == nil {
			u = &ownUnit{}
			c.units[v.Name] = u
		}
		heard := u.view.Heard
		u.view, u.dirty = v, true
		u.hear(heard)
		u.vips.update(v.VIPs)
		c.order = append(c.order, u)
		for _, a := range v.Sources {
			c.addSource(a)
		}
		c.addSource(v.Primary)
	}
	c.pace()
	for _, u := range c.order {
		c.noteAccepted(u)
	}
	for name := range gone {
		c.part(c.units[name])
		delete(c.units, name)
		c.changed = true
	}
	c.parted = slices.DeleteFunc(c.parted, func(p parted) bool { return c.units[p.view.Name] != nil })
	c.scout.stale = true
}

// part makes the next records say that a unit is no more.
func (c *Core) part(u *ownUnit) {
	if u.said == 0 {
		return // nobody heard of it
	}
	v := &u.view
	v.Released = v.Released || v.State == Master
	v.State, v.Since, v.Wants, v.Eligible = Init, later(c.started, c.lastRun), WantNothing, false
	c.parted = append(c.parted, parted{u, farewells})
	c.urgent = true
}

// parted is a unit that is no more, for some records to say so.
type parted struct {
	*ownUnit
	records int
}

// SetHeartbeat gives heartbeat_interval: 10 ms to 10 s. Units with short advert
// intervals or leases still make it shorter.
func (c *Core) SetHeartbeat(d time.Duration) {
	c.heartbeat = min(max(d, rules.MinHeartbeat), rules.MaxHeartbeat)
	c.pace()
	c.allDirty()
}

// SetAddrs gives further addresses at which heartbeats reach this node, beside
// those that its adverts come from. The others are told.
func (c *Core) SetAddrs(addrs []netip.Addr) {
	if slices.Equal(addrs, c.addrs) {
		return
	}
	c.addrs = slices.Clone(addrs)
	for _, a := range addrs {
		c.addSource(a) // those that are no more go with the next SetUnits
	}
	c.urgent = true
}

func (c *Core) addSource(a netip.Addr) {
	if a.IsValid() && len(c.sources) < MaxAddrs && !slices.Contains(c.sources, a) {
		c.sources = append(c.sources, a)
	}
}

// SetMembers gives all configured members, which are not changed afterwards.
func (c *Core) SetMembers(members []Member) {
	if c.given != nil && slices.EqualFunc(members, c.given, Member.equal) {
		return
	}
	c.given = members
	before := c.table.members
	c.table.SetMembers(members)
	c.forgetFormer(before)
	c.scout.stale = true
	c.allDirty()
	c.urgent, c.changed, c.newWill = true, true, true
}

// SetFacts gives what the records carry of this node, at most MaxFacts bytes.
func (c *Core) SetFacts(facts []byte) {
	c.facts = slices.Clone(facts)
	c.urgent = true
}

// SetFencing gives what the records say of fencing; the ages are as of now. More
// than fits into a record is dropped.
func (c *Core) SetFencing(now time.Time, words []FenceWord) {
	for checkFencing(words) != nil {
		words = words[:len(words)-1]
	}
	c.fencing = c.fencing[:0]
	for _, w := range words {
		c.fencing = append(c.fencing, datedFenceWord{w, now.Add(-w.Age)})
	}
	c.urgent = true
}

type datedFenceWord struct {
	FenceWord
	at time.Time
}

// SetTracing says whether Output.Traced is wanted.
func (c *Core) SetTracing(on bool) { c.tracing = on }

// SetDisarmed freezes quick take-over (R9) and fencing (R11) until the given
// time, for planned work on the network; the zero time, or one that has passed,
// arms again. VRRP's own timers, hand-overs (R4) and leases are not touched.
func (c *Core) SetDisarmed(until time.Time) {
	c.frozen = until
	c.allDirty()
}

// disarmed reports whether a person has frozen R9 and R11.
func (c *Core) disarmed(now time.Time) bool { return now.Before(c.frozen) }

// Leave makes the next records say goodbye.
func (c *Core) Leave() {
	if c.leaving == 0 {
		c.leaving, c.urgent = goodbyes, true
	}
}

// RequestHandover asks that the unit move to the named node.
func (c *Core) RequestHandover(now time.Time, unit, to string) {
	if to == c.node {
		if u := c.units[unit]; u != nil && u.view.State != Master {
			u.memory.wish, u.dirty = now.Add(wishLife), true
		}
		return
	}
	if len(c.invites) >= maxInvites {
		return
	}
	c.invites = append(c.invites, datedInvite{
		Invite{ID: uint64(now.UnixNano()), Unit: unit, To: to}, now.Add(inviteLife),
	})
	c.urgent = true
}

type datedInvite struct {
	Invite
	until time.Time
}
