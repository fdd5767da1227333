package splitbrain

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/internal/rules"
)

// leases is the part of a Core that deals with leases: this node as a voter,
// and as one that asks for those of its units.
type leases struct {
	self    owner
	elect   electorates
	voter   *voter // nil before the first Step
	bound   time.Duration
	earlier kclock.Instant // until when grants of earlier lives bind; 0: not known
	setBack bool           // a peer knows of words that this life does not remember
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

// SetBinding gives what Binding said last in the life before this one. It comes
// before the first Step. Without it the voter waits for as long as the bound.
func (c *Core) SetBinding(until kclock.Instant) { c.leases.earlier = until }

// Binding is until when what was granted binds this node, by this life and all
// before it. Whoever makes it outlive this life does so before he carries out
// anything that the last Step wants done: nobody has heard of a grant before. It
// never falls; 0: it is not known, and this life has granted nothing.
func (c *Core) Binding() kclock.Instant {
	if c.leases.voter == nil {
		return 0
	}
	return c.leases.voter.binding()
}

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
		l.voter.earlier = l.earlier
	}
	v := l.voter
	// Between two records nothing changes here until the voter is due.
	due := len(l.inbox)+len(l.ended) > 0 || !l.wake.IsZero() && !now.Before(l.wake)
	if v.elect.Epoch != l.elect.stored.Epoch {
		v.elect, due = l.elect.stored, true
		c.contactChanged(now)
	}
	if l.bound != v.bound {
		v.setBound(l.bound)
		due = true
	}
	if l.setBack {
		l.setBack, due = false, true
		v.forget(raw)
		c.dropLeases(raw)
	}
	if !due {
		return
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
	stands := raw.Add(3*max(c.interval, min(t.interval, rules.MaxHeartbeat)) + 20*time.Millisecond)
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
		for g := range b.answersTo(raw, l.self) {
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

// givingBack is who has releases to be acknowledged, by unit.
func (l *leases) givingBack() []*holder {
	var list []*holder
	for _, h := range l.holders {
		if len(h.releases) > 0 {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b *holder) int { return cmp.Compare(a.unit, b.unit) })
	return list
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
	for _, h := range l.givingBack() {
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
