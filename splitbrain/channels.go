package splitbrain

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Waits of the alerts that concern members and strangers.
const (
	startGrace   = 10 * time.Second // after our start, while records may still be missing
	silentGrace  = 10 * time.Second // for members that were never heard
	doubtGrace   = 2 * time.Second  // for which a channel must look broken
	gossipGrace  = 15 * time.Second // gossip takes so long to notice a death
	strayMemory  = 3                // Master_Down_Intervals that a stranger is remembered
	maxStrangers = 64
	formerMemory = 10 * time.Minute // longer than an advert is evidence
)

// strayKey is a router that is no member, on one of our virtual routers.
type strayKey struct {
	unit string
	from netip.Addr
}

// stray is what was seen of it.
type stray struct {
	first, last time.Time
	ev          AdvertEvidence
}

// Observe takes an advert as evidence (R10). Views of a unit are given when
// something changes, so it is here that adverts in steady state are noted.
func (c *Core) Observe(ev AdvertEvidence) {
	u := c.units[ev.Unit]
	if u == nil || !ev.From.IsValid() {
		return
	}
	if ev.Refused == "" {
		u.hear(Advert{From: ev.From, Priority: ev.Priority, At: ev.At})
	}
	goodbye := ev.Refused == "" && ev.Priority == 0 // a member that has just left says it, too
	if goodbye || c.ours(u, ev.From) {
		return
	}
	c.noteStray(ev)
}

// hear notes an accepted advert, unless a later one is known.
func (u *ownUnit) hear(a Advert) {
	if a.At.After(u.view.Heard.At) {
		u.view.Heard = a
	}
}

func (c *Core) noteStray(ev AdvertEvidence) {
	if left, ok := c.former[ev.From]; ok && (left.IsZero() || !ev.At.After(left)) {
		return // it was a member when it said so
	}
	key := strayKey{ev.Unit, ev.From}
	s := c.strays[key]
	if s == nil {
		if len(c.strays) >= maxStrangers {
			return
		}
		s = &stray{first: ev.At}
		c.strays[key] = s
	}
	s.last, s.ev = ev.At, ev
}

// judge brings the alerts up to date: what the rules found in the units, what
// the channels show of the members, and strangers.
func (c *Core) judge(now time.Time, out *Output) {
	c.judged = now
	standing := make(map[alertKey]Alert, len(c.alerts))
	for _, u := range c.order {
		for _, a := range u.alerts {
			standing[a.key()] = a
		}
	}
	for _, m := range c.table.members {
		a, ok := c.channel(now, m)
		switch {
		case !ok:
			m.doubted = time.Time{}
		case m.doubted.IsZero() || m.doubt != a.Summary:
			m.doubted, m.doubt = now, a.Summary
		case now.Sub(m.doubted) >= doubtGrace:
			standing[a.key()] = a
		}
	}
	c.strangers(now, standing)
	c.quorumLost(now, standing)
	c.answering(now, standing)
	for key, a := range standing {
		s := c.alerts[key]
		if s == nil {
			s = &shownAlert{}
			c.alerts[key] = s
		} else {
			a.Since = s.Since
		}
		if s.show(now, a) {
			out.Alerts = append(out.Alerts, a)
		}
	}
	for key, s := range c.alerts {
		if _, ok := standing[key]; ok {
			continue
		}
		delete(c.alerts, key)
		out.Alerts = append(out.Alerts, resolved(now, s.Alert))
	}
	slices.SortFunc(out.Alerts, Alert.compare)
}

// shownAlert is a condition that stands.
type shownAlert struct {
	Alert
	summary, remedy string    // as last told
	differs         time.Time // since when Alert says otherwise; zero: it does not
}

// show takes the present text, and reports whether it is to be told: at first,
// and when the diagnosis has been another one for a while.
func (s *shownAlert) show(now time.Time, a Alert) bool {
	first := s.Kind == ""
	s.Alert = a
	switch {
	case first:
	case a.Summary == s.summary && a.Remedy == s.remedy:
		s.differs = time.Time{}
		return false
	case s.differs.IsZero():
		s.differs = now
		return false
	case now.Sub(s.differs) < doubtGrace:
		return false
	}
	s.summary, s.remedy, s.differs = a.Summary, a.Remedy, time.Time{}
	return true
}

// resolved is the end of a condition.
func resolved(now time.Time, a Alert) Alert {
	lasted := now.Sub(a.Since).Round(time.Millisecond)
	a.Resolved, a.Remedy = true, ""
	if a.Kind == SplitBrain {
		a.Kind = SplitBrainResolved
		a.Summary = fmt.Sprintf("%s: one holder again after %v", a.Unit, lasted)
		return a
	}
	a.Summary = fmt.Sprintf("over after %v: %s", lasted, a.Summary)
	return a
}

// noteAccepted takes the last advert that a unit accepted as evidence.
func (c *Core) noteAccepted(u *ownUnit) {
	h := u.view.Heard
	if h.At.IsZero() || h.Priority == 0 || c.ours(u, h.From) {
		return
	}
	if s := c.strays[strayKey{u.view.Name, h.From}]; s != nil && !s.last.Before(h.At) {
		return
	}
	c.noteStray(AdvertEvidence{Unit: u.view.Name, From: h.From, Priority: h.Priority, VIPs: u.view.VIPs, At: h.At})
}

// ours reports whether an address is this node's, a member's, or allowed.
func (c *Core) ours(u *ownUnit, a netip.Addr) bool {
	if slices.Contains(c.sources, a) {
		return true
	}
	for _, p := range u.view.AllowForeign {
		if p.Contains(a) {
			return true
		}
	}
	return c.table.owner(a) != nil
}

// strangers raises foreign_master (R10).
func (c *Core) strangers(now time.Time, standing map[alertKey]Alert) {
	for a, left := range c.former {
		switch {
		case left.IsZero():
			c.former[a] = now
		case now.Sub(left) > formerMemory:
			delete(c.former, a)
		}
	}
	for key, s := range c.strays {
		u := c.units[key.unit]
		if u == nil || c.ours(u, key.from) || now.Sub(s.last) > strayMemory*u.view.masterDown() {
			delete(c.strays, key)
			continue
		}
		if !c.settled(now, u) {
			continue
		}
		a := c.foreign(now, u, s)
		standing[a.key()] = a
	}
}

// settled reports whether every member was heard, or had the time: until then
// a member could be taken for a stranger.
func (c *Core) settled(now time.Time, u *ownUnit) bool {
	if now.Sub(c.started) >= max(startGrace, strayMemory*u.view.masterDown()) {
		return true
	}
	for _, m := range c.table.members {
		// A record that comes in parts names the addresses in one of them.
		if m.boot == 0 || now.Sub(m.begun) < c.interval {
			return false
		}
	}
	return true
}

func (c *Core) foreign(now time.Time, u *ownUnit, s *stray) Alert {
	shared := 0
	for _, vip := range s.ev.VIPs {
		if slices.Contains(u.vips.of, vip) {
			shared++
		}
	}
	who := s.ev.From.String()
	if s.ev.MAC != "" {
		who += " (" + s.ev.MAC + ")"
	}
	a := Alert{
		Kind: ForeignMaster, Unit: u.view.Name, Peer: s.ev.From.String(), Since: s.first,
		Evidence: []string{fmt.Sprintf("vrrp: advert of %s with priority %d for %v, %v ago",
			who, s.ev.Priority, s.ev.VIPs, now.Sub(s.last).Round(time.Millisecond))},
	}
	unless := c.unless()
	switch {
	case shared == 0:
		a.Summary = fmt.Sprintf("%s: %s, no member of this cluster%s, uses the same virtual router for other addresses; its adverts are rejected", u.view.Name, who, unless)
		a.Remedy = "give one of them another virtual_router_id"
	case s.ev.Refused != "":
		a.Summary = fmt.Sprintf("%s: %s, no member of this cluster%s, advertises our addresses; its adverts are rejected: %s", u.view.Name, who, unless, s.ev.Refused)
		a.Remedy = "stop VRRP there, or make its settings equal and list it under allow_foreign"
	default:
		a.Summary = fmt.Sprintf("%s: %s, no member of this cluster%s, advertises our addresses; the units follow VRRP with it", u.view.Name, who, unless)
		a.Remedy = "stop VRRP there, or list the address under allow_foreign if it belongs there"
	}
	return a
}

// unless names those that a stranger may be after all: members that have not told
// this node which addresses are theirs, in this life or an earlier one. It is empty
// when all have.
func (c *Core) unless() string {
	var names []string
	for _, m := range c.table.members {
		if m.boot == 0 && !m.Witness && len(m.Before.Addrs)+len(m.Before.MACs) == 0 {
			names = append(names, m.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(", unless it is %s, of which nothing was heard since %s started", strings.Join(names, " or "), c.node)
}

// channel compares what the channels show of one member.
func (c *Core) channel(now time.Time, m *member) (Alert, bool) {
	if m.leaving || c.leaving > 0 || m.Gossip == GossipLeft {
		return Alert{}, false
	}
	window := max(c.window, time.Second)
	if m.directAt.IsZero() {
		return c.neverDirect(now, m)
	}
	direct := now.Sub(m.directAt) <= window
	arrives := now.Sub(m.directAt) <= 3*max(c.interval, m.interval)
	// What it heard of us is judged as of its last word.
	back := m.heardDirectAt
	heard := m.directAt.Sub(later(back, m.begun)) <= window
	if direct && heard && m.Gossip != GossipLost {
		return Alert{}, false
	}
	a := Alert{Kind: MeshChannelLost, Peer: m.Name, Since: m.directAt}
	said := fmt.Sprintf("mesh: last record of %s received directly %v ago", m.Name, now.Sub(m.directAt).Round(time.Millisecond))
	if direct {
		if !arrives {
			// Lost datagrams, or the last ones of a member that has just died:
			// too early to say anything new.
			if s := c.alerts[a.key()]; s != nil {
				return s.Alert, true
			}
			return Alert{}, false
		}
		a.Since = now
		if heard {
			a.Summary = fmt.Sprintf("gossip has lost %s, but its heartbeats arrive; nothing moves", m.Name)
			a.Evidence = []string{said, "gossip: " + m.Name + " does not answer"}
			a.Remedy = fmt.Sprintf("look for a firewall that drops the gossip port between %s and %s", c.node, m.Name)
		} else {
			a.Summary = fmt.Sprintf("heartbeats of %s do not reach %s, while those of %s arrive", c.node, m.Name, m.Name)
			a.Evidence = []string{said, fmt.Sprintf("mesh: %s acknowledges no record of %s received directly", m.Name, c.node)}
			a.Remedy = fmt.Sprintf("look for a firewall that drops UDP heartbeats from %s to %s", c.node, m.Name)
		}
		return a, true
	}
	signs := c.signs(now, m, m.directAt)
	a.Evidence = append([]string{said}, signs...)
	if len(signs) > 0 {
		a.Summary = fmt.Sprintf("heartbeats of %s do not reach %s, but it is alive", m.Name, c.node)
		a.Remedy = fmt.Sprintf("look for a firewall that drops UDP heartbeats between %s and %s, and at the mesh network", m.Name, c.node)
		return a, true
	}
	a.Kind = MemberSilent
	a.Summary = fmt.Sprintf("nothing is heard of %s: it is down or cut off", m.Name)
	a.Remedy = c.lookFirst(now) + fmt.Sprintf("look whether %s runs and is connected", m.Name)
	if held := m.held(); held != "" {
		a.Evidence = append(a.Evidence, fmt.Sprintf("mesh: by its last word it is MASTER of %s", held))
	}
	return a, true
}

// neverDirect judges a member of which no record ever came directly.
func (c *Core) neverDirect(now time.Time, m *member) (Alert, bool) {
	if now.Sub(c.started) < silentGrace {
		return Alert{}, false
	}
	a := Alert{Kind: MemberSilent, Peer: m.Name, Since: c.started}
	if signs := c.signs(now, m, c.started); len(signs) > 0 {
		a.Kind, a.Evidence = MeshChannelLost, signs
		a.Summary = fmt.Sprintf("no heartbeat of %s has reached %s, but it is alive", m.Name, c.node)
		a.Remedy = fmt.Sprintf("look for a firewall that drops UDP heartbeats between %s and %s, and at the mesh network", m.Name, c.node)
		return a, true
	}
	a.Summary = fmt.Sprintf("nothing was heard of %s since %s started", m.Name, c.node)
	a.Remedy = c.lookFirst(now) + fmt.Sprintf("start %s, or remove it from the cluster", m.Name)
	return a, true
}

// lookFirst is where to look before at any one member, when the records of none of
// several arrive: it is rather this node that is cut off.
func (c *Core) lookFirst(now time.Time) string {
	for _, m := range c.table.members {
		if m.boot != 0 && c.counts(now, m) {
			return ""
		}
	}
	if len(c.table.members) < 2 {
		return ""
	}
	return fmt.Sprintf("look first whether %s is connected itself, it hears no member; then ", c.node)
}

// held names the units of which the member's last word was that it holds them; empty:
// there are none.
func (m *member) held() string {
	var held []string
	for _, unit := range slices.Sorted(maps.Keys(m.claims)) {
		if m.claims[unit].State == Master {
			held = append(held, unit)
		}
	}
	if len(held) > 3 {
		return fmt.Sprintf("%d units", len(held))
	}
	return strings.Join(held, ", ")
}

// signs are the proofs of life of a member, other than its direct records,
// that are clearly newer than since.
func (c *Core) signs(now time.Time, m *member, since time.Time) []string {
	after := since.Add(3 * max(c.interval, m.interval))
	var signs []string
	if m.via != "" && m.at.After(after) && c.counts(now, m) {
		signs = append(signs, fmt.Sprintf("mesh: its record, relayed by %s, %v ago", m.via, now.Sub(m.at).Round(time.Millisecond)))
	}
	for _, u := range c.order {
		h := u.view.Heard
		if h.At.After(after) && now.Sub(h.At) <= u.view.masterDown() && m.has(h.From) {
			signs = append(signs, fmt.Sprintf("vrrp: its advert for %s %v ago", u.view.Name, now.Sub(h.At).Round(time.Millisecond)))
			break
		}
	}
	if m.Gossip == GossipAlive && now.Sub(since) > gossipGrace {
		signs = append(signs, "gossip: it answers")
	}
	return signs
}
