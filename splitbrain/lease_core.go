package splitbrain

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// leases is the part of a Core that deals with leases: this node as a voter,
// and as one that asks for those of its units.
type leases struct {
	self    owner
	elect   electorates
	voter   *voter // nil before the first Step
	bound   time.Duration
	setBack bool // a peer knows of words that this life does not remember
	holders map[string]*holder
	ballots Ballot // highest of those that are no more: none is used twice
	inbox   []leaseTalk
	ended   []owner // lives that an agent has ended
	sent    [sentSlots]sentReading
	wake    time.Time // when the voter has something to do

	// contact is since when a majority of the voters hears this node and is
	// heard; zero: it does not.
	contact   time.Time
	lostSince time.Time // since when no majority was there, while units need one
}

// leaseTalk is what one datagram says of leases.
type leaseTalk struct {
	from     owner
	seq      uint64
	interval time.Duration
	requests []LeaseRequest
	grants   []Grant
	releases []Release
}

// sentReading is the clock before one of our records was built.
type sentReading struct {
	seq uint64
	at  kclock.Instant
}

func (l *leases) reading(seq uint64) (kclock.Instant, bool) {
	s := l.sent[seq%sentSlots]
	return s.at, seq != 0 && s.seq == seq
}

// SetElectorate gives the electorate by Raft. It counts when it is newer than
// what is known.
func (c *Core) SetElectorate(e Electorate) { c.leases.elect.learn(e) }

// ElectorateStored says that an electorate is stored durably: at the start of
// a life, and after Output.Store. It is used from then on.
func (c *Core) ElectorateStored(e Electorate) {
	if c.leases.elect.keep(e) {
		c.allDirty()
		c.urgent, c.changed = true, true
	}
}

// SetLeaseBound gives the longest lease of the last three revisions that this
// node has run. It is to be stored durably before: a voter without memory waits
// for as long as it says (R6d), and none grants a longer one.
func (c *Core) SetLeaseBound(bound time.Duration) { c.leases.bound = min(bound, MaxLease) }

// hearLeases keeps what a datagram says of leases until the next Step, which
// has read the clock after it was received.
func (c *Core) hearLeases(r *Record) {
	l := &c.leases
	l.elect.learn(r.Electorate)
	for _, a := range r.Acks {
		if a.Boot == l.self.boot && a.Known > c.seq {
			c.seq, l.setBack = a.Known, true
		}
	}
	if len(r.LeaseRequests)+len(r.Grants)+len(r.Releases) == 0 {
		return
	}
	l.inbox = append(l.inbox, leaseTalk{
		owner{r.Node, r.Boot}, r.Seq, r.Interval, r.LeaseRequests, r.Grants, r.Releases,
	})
}

// vote processes what was heard, and lets this node's voter answer.
func (c *Core) vote(now time.Time, raw kclock.Instant) {
	l := &c.leases
	if l.voter == nil {
		l.voter = newVoter(c.node, raw)
	}
	v := l.voter
	if v.elect.Epoch != l.elect.stored.Epoch {
		v.elect = l.elect.stored
		c.contactChanged(now)
	}
	if l.bound != v.bound {
		v.setBound(l.bound)
	}
	if l.setBack {
		l.setBack = false
		v.forget(raw)
		c.dropLeases(raw)
	}
	news := false
	for i := range l.inbox {
		news = c.hearVoice(now, raw, &l.inbox[i]) || news
	}
	clear(l.inbox)
	l.inbox = l.inbox[:0]
	for _, of := range l.ended {
		v.end(raw, of)
	}
	l.ended = l.ended[:0]
	news = v.settle(raw) || news
	c.noteOwn(raw)
	c.urgent = c.urgent || news
	l.wake = c.dated(now, raw, v.next(raw))
}

// dated is an instant on the clock of Step's other argument; zero stays zero.
func (c *Core) dated(now time.Time, raw, at kclock.Instant) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return now.Add(at.Sub(raw))
}

// hearVoice processes one datagram. A request comes before a release in it:
// it replaces what the same life has, so that nobody gets in between.
func (c *Core) hearVoice(now time.Time, raw kclock.Instant, t *leaseTalk) (news bool) {
	l := &c.leases
	stands := raw.Add(3*max(c.interval, min(t.interval, maxHeartbeat)) + 20*time.Millisecond)
	requests := t.requests
	if !c.reaches(now, c.table.member(t.from.node)) {
		// It would never learn of a grant, and so would neither use it nor give it
		// back, and keep all others from the unit for as long as it asks.
		requests = nil
	}
	for _, r := range requests {
		r.Lease = min(max(r.Lease, 0), MaxLease)
		news = l.voter.ask(raw, t.from, t.seq, r, stands) || news
		if h := l.holders[r.Unit]; h != nil && !r.Held {
			h.competes(now, t.from.boot, r.Priority, r.Primary)
		}
	}
	for _, r := range t.releases {
		news = l.voter.release(raw, t.from, r, stands) || news
	}
	for _, g := range t.grants {
		h := l.holders[g.Unit]
		switch {
		case h == nil:
		case g.To == l.self.boot:
			c.noteGrant(raw, h, t.from.node, g)
		default:
			h.saw(g)
			if g.Answer > AnswerFreed {
				h.competes(now, g.To, 0, netip.Addr{})
			}
		}
	}
	return news
}

func (c *Core) noteGrant(raw kclock.Instant, h *holder, voter string, g Grant) {
	l := &c.leases
	reading, known := l.reading(g.Seq)
	if h.note(raw, voter, g, reading, known, l.elect.stored) {
		if u := c.units[h.unit]; u != nil {
			u.dirty = true
		}
	}
}

// noteOwn gives this node's units the answers of its own voter: they are
// candidates like any other.
func (c *Core) noteOwn(raw kclock.Instant) {
	l := &c.leases
	for unit, h := range l.holders {
		b := l.voter.units[unit]
		if b == nil || h.ballot == 0 && len(h.releases) == 0 {
			continue
		}
		for _, g := range b.answersTo(raw, l.self) {
			c.noteGrant(raw, h, c.node, g)
		}
	}
}

// dropLeases ends all leases of this node at once, whatever its clock says.
func (c *Core) dropLeases(raw kclock.Instant) {
	for unit, h := range c.leases.holders {
		h.until = min(h.until, raw)
		if u := c.units[unit]; u != nil {
			u.dirty = true
		}
	}
}

// Resumed says that the machine stood still, with the clock that leases are
// counted by: none of this node's counts any more (R8), nor will one for a
// request from before.
func (c *Core) Resumed(raw kclock.Instant) {
	c.dropLeases(raw)
	clear(c.leases.sent[:])
	for _, h := range c.leases.holders {
		for i := range h.replies {
			h.replies[i].granted = false
		}
	}
}

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

// sayLeases adds to a record what this node asks, answers and gives back.
func (c *Core) sayLeases(now time.Time, raw kclock.Instant, r *Record) {
	l := &c.leases
	l.sent[c.seq%sentSlots] = sentReading{c.seq, raw}
	r.Electorate = l.elect.stored
	repeated := raw.Add(3*c.interval + 20*time.Millisecond)
	for _, u := range c.order {
		h := l.holders[u.view.Name]
		if h == nil || h.ballot == 0 || !h.asking {
			continue
		}
		q := h.request(c.seq, raw, l.elect.stored, u.view.Priority, u.view.Primary)
		l.voter.ask(raw, l.self, c.seq, q, repeated)
		r.LeaseRequests = append(r.LeaseRequests, q)
	}
	for _, unit := range slices.Sorted(maps.Keys(l.holders)) {
		h := l.holders[unit]
		for i := range h.releases {
			rel := h.releases[i].Release
			l.voter.release(raw, l.self, rel, repeated)
			r.Releases = append(r.Releases, rel)
		}
	}
	l.voter.settle(raw)
	r.Grants = l.voter.answers(raw)
	c.noteOwn(raw)
	l.wake = c.dated(now, raw, l.voter.next(raw))
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

// voters sorts the electorate into those that this node is in two-way contact
// with, itself among them, and the others.
func (c *Core) voters(now time.Time) (here, missing []string) {
	for _, name := range c.leases.elect.stored.Voters {
		if name == c.node {
			here = append(here, name)
			continue
		}
		if m := c.table.member(name); c.reaches(now, m) {
			here = append(here, name)
		} else {
			missing = append(missing, name)
		}
	}
	return here, missing
}

// contactChanged notes since when a majority of the voters is in contact.
func (c *Core) contactChanged(now time.Time) {
	l := &c.leases
	here, _ := c.voters(now)
	switch ok := len(here) >= l.elect.stored.Majority(); {
	case !ok:
		l.contact = time.Time{}
	case l.contact.IsZero():
		l.contact = now
		c.allDirty()
	}
}

// quorumLost raises the alert of that name.
func (c *Core) quorumLost(now time.Time, standing map[alertKey]Alert) {
	l := &c.leases
	c.contactChanged(now)
	if !slices.ContainsFunc(c.order, func(u *ownUnit) bool { return u.view.Policy == PolicyQuorum }) || c.leaving > 0 {
		l.lostSince = time.Time{}
		return
	}
	e := l.elect.stored
	here, missing := c.voters(now)
	if len(here) >= e.Majority() {
		l.lostSince = time.Time{}
		return
	}
	if l.lostSince.IsZero() {
		l.lostSince = now
	}
	if now.Sub(l.lostSince) < doubtGrace {
		return
	}
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
