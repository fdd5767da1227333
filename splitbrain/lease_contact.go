package splitbrain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// slowest is the longest round trip to a member that counts.
func (c *Core) slowest() time.Duration {
	var rtt time.Duration
	for _, m := range c.table.members {
		rtt = max(rtt, m.rtt)
	}
	return rtt
}

// reaches reports whether a member is in two-way contact, directly or through
// others: its records count, and acknowledge one of ours that is not older.
func (c *Core) reaches(now time.Time, m *member) bool {
	return m != nil && c.counts(now, m) && !m.heardAt.IsZero() && now.Sub(m.heardAt) <= max(c.window, 3*m.interval)
}

// inContact reports whether the named voter is this node, or in two-way contact
// with it.
func (c *Core) inContact(now time.Time, voter string) bool {
	return voter == c.node || c.reaches(now, c.table.member(voter))
}

// voters sorts the electorate into those that this node is in two-way contact
// with, itself among them, and the others.
func (c *Core) voters(now time.Time) (here, missing []string) {
	for _, name := range c.leases.elect.stored.Voters {
		if c.inContact(now, name) {
			here = append(here, name)
		} else {
			missing = append(missing, name)
		}
	}
	return here, missing
}

// contactChanged notes since when a majority of the voters is in contact, and
// reports whether it is.
func (c *Core) contactChanged(now time.Time) bool {
	l := &c.leases
	here := 0
	for _, name := range l.elect.stored.Voters {
		if c.inContact(now, name) {
			here++
		}
	}
	majority := here >= l.elect.stored.Majority()
	switch {
	case !majority:
		l.contact = time.Time{}
	case l.contact.IsZero():
		l.contact = now
		c.allDirty()
	}
	return majority
}

// quorumLost raises the alert of that name.
func (c *Core) quorumLost(now time.Time, standing map[alertKey]Alert) {
	l := &c.leases
	majority := c.contactChanged(now)
	if majority || c.leaving > 0 || !slices.ContainsFunc(c.order, func(u *ownUnit) bool { return u.view.Policy == PolicyQuorum }) {
		l.lostSince = time.Time{}
		return
	}
	if l.lostSince.IsZero() {
		l.lostSince = now
	}
	if now.Sub(l.lostSince) < doubtGrace {
		return
	}
	e := l.elect.stored
	here, missing := c.voters(now)
	a := Alert{Kind: QuorumLost, Since: l.lostSince}
	if e.Epoch == 0 {
		a.Summary = fmt.Sprintf("%s does not know who votes: units of policy quorum do not hold here", c.node)
		a.Remedy = fmt.Sprintf("look whether %s reaches the other members", c.node)
	} else {
		a.Summary = fmt.Sprintf("%s is in contact with %d of %d voters and needs %d: units of policy quorum do not hold here; missing: %s",
			c.node, len(here), len(e.Voters), e.Majority(), strings.Join(missing, ", "))
		a.Remedy = fmt.Sprintf("start %s, or restore the networks between them and %s", strings.Join(missing, " or "), c.node)
	}
	for _, name := range missing {
		m := c.table.member(name)
		switch {
		case m == nil || m.boot == 0:
			a.Evidence = append(a.Evidence, fmt.Sprintf("mesh: nothing was ever heard of %s", name))
		case !c.counts(now, m):
			a.Evidence = append(a.Evidence, fmt.Sprintf("mesh: last record of %s %v ago", name, now.Sub(m.at).Round(time.Millisecond)))
		default:
			a.Evidence = append(a.Evidence, fmt.Sprintf("mesh: %s is heard and does not hear %s", name, c.node))
		}
	}
	standing[a.key()] = a
}

// leaseViews describes the leases of this node's units, for people.
func (c *Core) leaseViews(raw kclock.Instant) []UnitLease {
	var out []UnitLease
	l := &c.leases
	for unit, h := range l.holders {
		if h.ballot == 0 {
			continue
		}
		out = append(out, UnitLease{
			Unit: unit, Tenure: h.tenure, Ballot: h.ballot,
			Left:    max(h.until.Sub(raw), 0),
			Granted: h.granters(l.elect.stored), Missing: h.missing(raw, l.elect.stored),
		})
	}
	slices.SortFunc(out, func(a, b UnitLease) int { return cmp.Compare(a.Unit, b.Unit) })
	return out
}
