package splitbrain

import (
	"bytes"
	"net/netip"
	"time"
)

// What a process that stood still finds in its sockets may be old.
const (
	stallMargin = 250 * time.Millisecond // by which a timer may be late
	drainTime   = 500 * time.Millisecond // in which what waited in sockets is read
)

// Receive takes a datagram that arrived now.
func (c *Core) Receive(now time.Time, d *Datagram, path string) {
	c.ran(now)
	known := c.table.member(d.Record.Node)
	wasLeaving, knew := known != nil && known.leaving, known != nil && c.counts(now, known)
	var facts []byte
	var sources []netip.Addr
	if known != nil {
		facts, sources = known.facts, known.sources
	}
	m, newLife := c.table.Receive(d, path, now)
	if m == nil {
		return
	}
	moved := c.table.moved
	c.table.moved = false
	if moved || newLife {
		c.forgetSources(now, sources, m)
	}
	if newLife || m.leaving != wasLeaving || !knew || moved {
		c.allDirty()
		c.changed = true
	}
	c.changed = c.changed || !bytes.Equal(facts, m.facts) // people would see it
	if newLife {
		c.scout.stale = true
		c.urgent = true // it knows nothing of us yet
	}
	if !knew {
		m.answered = 0 // what we acknowledged before is old
		m.regained = now
	}
	c.hearLeases(&d.Record)
	for i, h := range c.table.heard {
		if u := c.units[d.Record.Claims[i].Unit]; u != nil {
			u.dirty = u.dirty || !u.calm || !h.repeated
			c.answer(u, m, h)
		}
	}
	if c.blocked {
		c.blocked = false
		for _, u := range c.order {
			u.dirty = u.dirty || u.blocked
			c.blocked = c.blocked || u.blocked
		}
	}
	for _, r := range d.Record.Requests {
		if u := c.units[r.Unit]; u != nil && r.Tenure.Boot == c.table.boot {
			u.dirty = true
		}
	}
	for _, r := range d.Record.Refusals {
		if r.To == c.table.boot {
			c.allDirty()
		}
	}
	for _, v := range d.Record.Invites {
		if u := c.units[v.Unit]; u != nil && v.To == c.node && u.view.State != Master && u.invited != v.ID {
			u.invited, u.memory.wish, u.dirty = v.ID, now.Add(wishLife), true
		}
	}
	for _, to := range c.table.members {
		if c.table.lacks(to, m, 5*c.interval/2, now) {
			c.relay(to, d)
		}
	}
}

// ran notices that the process stood still: Step is due once in a heartbeat.
// What it reads then may have waited for as long.
func (c *Core) ran(now time.Time) {
	if !c.lastRun.IsZero() && now.Sub(c.lastRun) > c.interval+stallMargin {
		c.table.suspect = now.Add(drainTime)
		for _, u := range c.order {
			// What was held when it stopped has run out in the kernel since.
			u.memory.masterSince = time.Time{}
		}
	}
	c.lastRun = later(c.lastRun, now)
}

// answer sends our record at once when the member claims what we hold, unless
// it has one already that claims and acknowledges as much (R0).
func (c *Core) answer(u *ownUnit, m *member, h *heldClaim) {
	if u.view.State != Master || h.State != Master {
		return
	}
	if u.first == 0 || h.answered == 0 || m.answered == 0 || m.heardSeq < max(u.first, h.answered, m.answered) {
		c.urgent = true
	}
}

// relay passes a record on as soon as it comes.
func (c *Core) relay(to *member, d *Datagram) {
	c.relays = append(c.relays, OutRelay{To: to.Name, Datagram: Datagram{
		Via: c.node, Age: d.Age, Record: d.Record,
	}})
}
