package splitbrain

import (
	"fmt"
	"slices"
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
		node := c.whose(a.mac)
		switch {
		case node == c.node:
		case node == "":
			if c.inventoried(now, u) {
				raise(Alert{
					Kind: DuplicateAddress, Peer: a.mac.String(), Since: a.first, Evidence: seen(),
					Summary: fmt.Sprintf("%s: %v, no member of this cluster%s, answers for %v", u.view.Name, a.mac, c.unless(), t.addr),
					Remedy:  "find that machine by its port on the switch, and take the address from it",
				})
			}
		case c.stale(now, u, node, a):
			raise(Alert{
				Kind: StaleHolder, Peer: node, Since: a.first, Evidence: seen(),
				Summary: c.staleSummary(now, u, node, t),
				Remedy:  fmt.Sprintf("look at the addresses of %s with `ip address`, and for something that answers in its place", node),
			})
		}
		for _, b := range t.answers[i+1:] {
			if node != "" && c.whose(b.mac) == node && b.stands() && now.Sub(b.last) <= rememberAnswers &&
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

// whose is the member, or this node, that a hardware address belongs to; empty:
// none that is known.
func (c *Core) whose(mac MAC) string {
	if node, ok := c.scout.owners[mac]; ok {
		return node
	}
	for _, m := range c.table.members {
		if m.boot == 0 && slices.Contains(m.Before.MACs, mac) {
			return m.Name
		}
	}
	return ""
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

// claimed is what a member says of the unit at present, or nil.
func (c *Core) claimed(now time.Time, u *ownUnit, m *member) *heldClaim {
	h := m.claims[u.view.Name]
	if h == nil || now.Sub(h.at) > max(u.view.fresh(c.interval), 3*m.interval) {
		return nil
	}
	return h
}

// stale reports whether a member answers although it does not hold the unit.
func (c *Core) stale(now time.Time, u *ownUnit, node string, a *answerer) bool {
	since := time.Time{} // when it should have fallen silent
	if m := c.table.member(node); m != nil {
		if h := c.claimed(now, u, m); h != nil {
			if h.State == Master {
				return false
			}
			since = h.at.Add(-h.StateAge)
		}
	}
	if since.IsZero() {
		_, since = c.holder(now, u) // it does not speak: has another one taken over?
	}
	return !since.IsZero() && a.last.Sub(since) > staleAfter
}

// holder is who was the last to take the unit over, of those that hold it now, and
// when; zero: nobody does.
func (c *Core) holder(now time.Time, u *ownUnit) (node string, since time.Time) {
	if u.view.State == Master {
		node, since = c.node, u.view.Since
	}
	for _, m := range c.table.members {
		if h := c.claimed(now, u, m); h != nil && h.State == Master && h.masterSince.After(since) {
			node, since = m.Name, h.masterSince
		}
	}
	return node, since
}

// staleSummary says only of who speaks that he does not hold the unit.
func (c *Core) staleSummary(now time.Time, u *ownUnit, node string, t *target) string {
	if m := c.table.member(node); m != nil && c.claimed(now, u, m) == nil {
		holder, _ := c.holder(now, u)
		return fmt.Sprintf("%s: %s answers for %v, which %s holds, and nothing is heard of %s: it may hold it too",
			u.view.Name, node, t.addr, holder, node)
	}
	return fmt.Sprintf("%s: %s answers for %v and does not hold it", u.view.Name, node, t.addr)
}
