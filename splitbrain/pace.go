package splitbrain

import (
	"time"

	"github.com/hacluster/hacluster/internal/rules"
)

// burst is how many records may go without any spacing.
const burst = 8

// pace sets what follows from the advert intervals of the units.
func (c *Core) pace() {
	c.interval = c.heartbeat
	for _, u := range c.order {
		if a := u.view.AdvertInterval; a > 0 {
			c.interval = min(c.interval, a/5)
		}
		if u.view.Policy == PolicyQuorum {
			c.interval = min(c.interval, u.view.lease()/10)
		}
	}
	c.interval = max(c.interval, rules.MinHeartbeat)
	c.window = 3 * c.interval
	for _, u := range c.order {
		c.window = max(c.window, u.view.fresh(c.interval))
	}
}

// spacing is the least time between two records in the long run: whatever
// happens, no more are sent than this allows.
func (c *Core) spacing() time.Duration {
	return min(max(c.interval/10, time.Millisecond), 20*time.Millisecond)
}

// counts reports whether the latest record of a member counts for any unit.
func (c *Core) counts(now time.Time, m *member) bool {
	return m.boot != 0 && now.Sub(m.at) <= max(c.window, 3*m.interval)
}

// Deadline is when Step must be called next, if nothing happens before.
func (c *Core) Deadline() time.Time {
	due := c.sentAt.Add(c.interval)
	switch {
	case c.left:
		due = c.sentAt.Add(time.Hour) // nothing is said after the goodbye
	case c.urgent:
		due = c.earliest()
	}
	if at := c.leases.wake; !at.IsZero() && at.Before(due) {
		due = at
	}
	for _, u := range c.order {
		if !u.wake.IsZero() && u.wake.Before(due) {
			due = u.wake
		}
	}
	if at := c.lookAt(); !at.IsZero() && at.Before(due) {
		due = at
	}
	return due
}

func (c *Core) due(now time.Time) bool {
	if c.left {
		return false
	}
	if c.urgent {
		return !now.Before(c.earliest())
	}
	return now.Sub(c.sentAt) >= c.interval
}

// earliest is when the next record may be sent: at once, until burst records
// were sent quicker than the spacing.
func (c *Core) earliest() time.Time { return c.credit.Add(-(burst - 1) * c.spacing()) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
