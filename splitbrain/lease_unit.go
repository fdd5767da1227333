package splitbrain

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// leaseView is what Decide needs to know of a unit's lease.
func (c *Core) leaseView(u *ownUnit, raw kclock.Instant) LeaseView {
	h := c.leases.holders[u.view.Name]
	v := LeaseView{Raw: raw, Contact: c.leases.contact}
	if h == nil || h.ballot == 0 {
		v.Why = "it did not ask the voters"
		return v
	}
	v.Ballot, v.Tenure, v.Until = h.ballot, h.tenure, h.until
	if raw < h.until {
		v.Granters = h.granters(c.leases.elect.stored)
	} else {
		v.Why = h.why(raw, c.leases.elect.stored)
	}
	return v
}

// holder is the machine of one unit's lease.
func (l *leases) holder(unit string) *holder {
	h := l.holders[unit]
	if h == nil {
		h = &holder{unit: unit, self: l.self, highest: l.ballots}
		l.holders[unit] = h
	}
	return h
}

// lease does what was decided about a unit's lease: ask for it, go on asking,
// or give it back.
func (c *Core) lease(now time.Time, raw kclock.Instant, u *ownUnit, d *Decision) {
	l := &c.leases
	if u.view.Policy != PolicyQuorum {
		if h := l.holders[u.view.Name]; h != nil {
			h.abandon()
		}
		return
	}
	h := l.holder(u.view.Name)
	if u.view.State == Master && u.view.Tenure.Seq == h.tenure {
		h.heir = false // it goes on
	}
	h.expire(now, raw, 3*c.interval+100*time.Millisecond)
	tenure := u.nextTenure()
	if !d.Asks || h.ballot != 0 && h.tenure != tenure {
		c.giveBack(now, raw, u, h)
	}
	h.asking = d.Asks && (h.ballot == 0 || h.tenure == tenure)
	if !h.asking {
		return
	}
	if h.outdated() || h.lapsed(raw) && u.view.State != Master {
		h.stop(raw, l.elect.stored, 0, 0)
		h.notBefore = time.Time{}
	}
	pause := max(3*c.slowest(), 20*time.Millisecond)
	stop, again := h.split(now, u.view.Priority, u.view.Primary, pause)
	if stop {
		h.stop(raw, l.elect.stored, 0, 0)
		c.urgent, c.newWill = true, true
	}
	if h.ask(now, tenure, u.view.lease()) {
		c.urgent, c.newWill = true, true
	}
	if again.IsZero() && h.notBefore.After(now) {
		again = h.notBefore
	}
	u.wakeAt(again)
}

// giveBack ends an attempt, as soon as nothing can be done with its lease.
func (c *Core) giveBack(now time.Time, raw kclock.Instant, u *ownUnit, h *holder) {
	v := &u.view
	switch told := u.memory.lease; {
	case h.ballot == 0:
		return
	case h.heir && raw < h.until:
		// What the process before held is still there, whatever the unit says that
		// has not begun yet.
		u.wakeAt(c.dated(now, raw, h.until).Add(time.Millisecond))
		return
	case v.State == Master && v.Tenure.Seq == h.tenure:
		return // it is in use
	case v.Tenure.Seq == h.tenure && !v.Released:
		return // its addresses are not known to be gone
	case v.Tenure.Seq < h.tenure && told.Tenure == h.tenure && raw < told.Until:
		// The unit may become MASTER with it at any moment: it must run out.
		u.wakeAt(c.dated(now, raw, told.Until).Add(time.Millisecond))
		return
	}
	var successor BootID
	var span time.Duration
	if r := u.memory.release; r.request != 0 && !r.failed && v.Tenure.Seq == h.tenure {
		successor, span = r.to, r.span
	}
	if h.stop(raw, c.leases.elect.stored, successor, span) {
		c.urgent, c.newWill = true, true
	}
}

// partLeases gives back the lease of a unit that is no more: it has let go.
func (c *Core) partLeases(raw kclock.Instant) {
	for unit, h := range c.leases.holders {
		if c.units[unit] != nil || h.heir && raw < h.until {
			continue // it is there, or may come yet
		}
		h.asking = false
		if h.ballot != 0 {
			h.stop(raw, c.leases.elect.stored, 0, 0)
			c.urgent = true
		}
		h.releases = slices.DeleteFunc(h.releases, func(r releasing) bool { return raw >= r.until })
		if len(h.releases) == 0 {
			c.leases.ballots = max(c.leases.ballots, h.highest)
			delete(c.leases.holders, unit)
		}
	}
}

// nextTenure is the tenure that a lease is for: the present one, or the one
// to come.
func (u *ownUnit) nextTenure() uint64 {
	if u.view.State == Master {
		return u.view.Tenure.Seq
	}
	return u.view.Tenure.Seq + 1
}

// wakeAt asks for another decision at t, unless that is zero.
func (u *ownUnit) wakeAt(t time.Time) {
	if !t.IsZero() && (u.wake.IsZero() || t.Before(u.wake)) {
		u.wake = t
	}
}
