package splitbrain

import (
	"fmt"
	"time"
)

// suspicious reports whether a hardware address was seen too seldom yet to be
// believed: one answer may be an old one, on its way since before a change.
func (t *target) suspicious(mac MAC) bool {
	for i := range t.answers {
		if a := &t.answers[i]; a.mac == mac {
			return !a.stands()
		}
	}
	return false
}

// stands reports whether it answered repeatedly.
func (a *answerer) stands() bool { return a.probes >= 2 && a.last.Sub(a.first) >= burstGap/2 }

// answering raises the alerts about who answers for the units' addresses: a
// machine that is no member (R10), a member that does not hold the unit (G4),
// and one that answers with two hardware addresses.
func (c *Core) answering(now time.Time, standing map[alertKey]Alert) {
	for _, u := range c.order {
		for _, un := range u.networks {
			c.review(now, un.network)
			if un.shared.Fabric {
				continue
			}
			for _, t := range un.vips {
				c.answerers(now, u, un.network, t, standing)
			}
		}
	}
}

func (c *Core) answerers(now time.Time, u *ownUnit, n *network, t *target, standing map[alertKey]Alert) {
	raise := func(a Alert) {
		a.Unit = u.view.Name
		if _, ok := standing[a.key()]; !ok {
			standing[a.key()] = a
		}
	}
	for i := range t.answers {
		a := &t.answers[i]
		if !a.stands() || now.Sub(a.last) > rememberAnswers {
			continue
		}
		seen := func() []string { // only what is raised is worth the words
			return []string{fmt.Sprintf("arp/nd: %v on %s is answered or announced by %v, the last time %v ago",
				t.addr, n.iface, a.mac, now.Sub(a.last).Round(time.Millisecond))}
		}
		node := c.scout.owners[a.mac]
		switch {
		case node == c.node:
		case node == "":
			if c.inventoried(now, u) {
				raise(Alert{
					Kind: DuplicateAddress, Peer: a.mac.String(), Since: a.first, Evidence: seen(),
					Summary: fmt.Sprintf("%s: %v, no member of this cluster, answers for %v", u.view.Name, a.mac, t.addr),
					Remedy:  "find that machine by its port on the switch, and take the address from it",
				})
			}
		case c.stale(now, u, node, a):
			raise(Alert{
				Kind: StaleHolder, Peer: node, Since: a.first, Evidence: seen(),
				Summary: fmt.Sprintf("%s: %s answers for %v and does not hold it", u.view.Name, node, t.addr),
				Remedy:  fmt.Sprintf("look at the addresses of %s with `ip address`, and for something that answers in its place", node),
			})
		}
		for _, b := range t.answers[i+1:] {
			if node != "" && c.scout.owners[b.mac] == node && b.stands() && now.Sub(b.last) <= rememberAnswers &&
				!a.last.Before(t.echo.Began) && !b.last.Before(t.echo.Began) {
				raise(Alert{
					Kind: ArpFlux, Peer: node, Since: later(a.first, b.first), Evidence: seen(),
					Summary: fmt.Sprintf("%s: %s answers for %v with %v and with %v", u.view.Name, node, t.addr, a.mac, b.mac),
					Remedy:  fmt.Sprintf("set arp_ignore to 1 on %s, or give its interfaces networks of their own", node),
				})
			}
		}
	}
}

// inventoried reports whether it is known of every member which hardware
// addresses it has, or every one had the time to say so: until then a member
// could be taken for a stranger.
func (c *Core) inventoried(now time.Time, u *ownUnit) bool {
	if !c.settled(now, u) || len(c.macs) == 0 {
		return false
	}
	for _, m := range c.table.members {
		if m.boot != 0 && len(m.macs) == 0 {
			return false
		}
	}
	return true
}

// staleAfter is how long a member that has let go may seem to answer.
const staleAfter = time.Second

// stale reports whether a member answers although it does not hold the unit.
func (c *Core) stale(now time.Time, u *ownUnit, node string, a *answerer) bool {
	window := func(m *member) time.Duration { return max(u.view.fresh(c.interval), 3*m.interval) }
	since := time.Time{} // when it should have fallen silent
	if m := c.table.member(node); m != nil {
		if h := m.claims[u.view.Name]; h != nil && now.Sub(h.at) <= window(m) {
			if h.State == Master {
				return false
			}
			since = h.at.Add(-h.StateAge)
		}
	}
	if since.IsZero() {
		// It does not speak: does another one hold the unit by now?
		if u.view.State == Master {
			since = u.view.Since
		}
		for _, m := range c.table.members {
			if h := m.claims[u.view.Name]; h != nil && h.State == Master && now.Sub(h.at) <= window(m) {
				since = later(since, h.masterSince)
			}
		}
	}
	return !since.IsZero() && a.last.Sub(since) > staleAfter
}
