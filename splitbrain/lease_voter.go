package splitbrain

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// maxSeen is how many lives a voter remembers the sequences of, for each unit.
const maxSeen = 16

// owner is who may have a grant: one life of one node (R6a). A restored or
// cloned machine is another life.
type owner struct {
	node string
	boot BootID
}

// voter grants leases: at most one life at a time has an unexpired grant of a
// unit (R6). It lives in memory only.
type voter struct {
	self  string
	elect Electorate

	// bound is the longest lease of the last three revisions, and what is
	// granted at most: what could outlive the quarantine of the next life must
	// not be granted by this one. 0: not known yet, and nothing is granted.
	bound time.Duration
	// From began on this life knows whom it granted what; nothing is granted
	// until quarantined (R6d).
	began       kclock.Instant
	lost        bool // an earlier life may have granted leases
	quarantined kclock.Instant
	// earlier is when the last grant of an earlier life ends; 0: not known, it
	// may have been granted just before began, for as long as the bound.
	earlier kclock.Instant
	// granted is when the last grant of this life ends.
	granted kclock.Instant

	units map[string]*ballotBox
}

// ballotBox is what a voter remembers of one unit.
type ballotBox struct {
	grant    grantee
	highest  Ballot // ever granted
	reserved reserved
	standing []standing // not granted, by arrival
	freed    []freed
	seen     []seen
}

// grantee is who has the unit. The zero value: nobody ever had.
type grantee struct {
	owner
	ballot Ballot
	until  kclock.Instant
	answer Grant
}

// reserved keeps a unit for the successor that its holder named.
type reserved struct {
	boot  BootID
	until kclock.Instant
}

// standing is a request that could not be granted. It counts until its sender
// should have repeated it.
type standing struct {
	owner
	request LeaseRequest
	seq     uint64
	until   kclock.Instant
	answer  Grant
}

// freed is a release to be acknowledged, as long as it is repeated.
type freed struct {
	answer Grant
	until  kclock.Instant
}

// seen is the highest sequence of one life: what is not above it is void.
type seen struct {
	boot BootID
	seq  uint64
	at   kclock.Instant
}

// newVoter begins the life of a voter that has lost its memory, or never had
// one. It grants nothing before it knows its electorate and the longest lease.
func newVoter(self string, began kclock.Instant) *voter {
	return &voter{self: self, began: began, lost: true, units: make(map[string]*ballotBox)}
}

// setBound gives the longest lease of the last three revisions. The first one
// says how long the quarantine lasts where what an earlier life granted is not known:
// longer leases were never granted.
func (v *voter) setBound(bound time.Duration) {
	if v.lost && v.bound == 0 && bound > 0 {
		v.quarantined, v.lost = v.began.Add(bound), false
		if v.earlier > 0 {
			// What was granted counts, whatever the bound has become since.
			v.quarantined = min(v.earlier, v.began.Add(MaxLease))
		}
	}
	v.bound = bound
}

// forget puts the voter into quarantine: a peer has seen words of this life
// that it does not remember, so that it was set back in time.
func (v *voter) forget(now kclock.Instant) {
	v.quarantined, v.earlier = max(v.quarantined, now.Add(v.bound)), 0
	if v.bound == 0 {
		v.began, v.lost = now, true
		v.granted = max(v.granted, now.Add(MaxLease)) // what the next life has to wait for
	}
}

// binding is until when the grants of this life, and of those before it, bind this
// node. 0: it is not known yet, and this life has granted nothing.
func (v *voter) binding() kclock.Instant { return max(v.quarantined, v.granted) }

func (v *voter) box(unit string) *ballotBox {
	b := v.units[unit]
	if b == nil {
		b = &ballotBox{}
		v.units[unit] = b
	}
	return b
}

// ask processes a request and reports whether its sender should hear of it at
// once: it is new, or granted at last. stands is until when the request stands
// if it is not repeated.
func (v *voter) ask(now kclock.Instant, from owner, seq uint64, r LeaseRequest, stands kclock.Instant) bool {
	b := v.box(r.Unit)
	if !b.above(now, from.boot, seq) {
		return false
	}
	// Whoever waited for the unit comes before one that happens to repeat its
	// request when it has become free.
	served := v.serve(now, b)
	i := b.find(from)
	if why, ok := v.refusal(now, b, from, r); !ok {
		s := standing{from, r, seq, stands, v.deny(now, b, from, seq, r, why)}
		if i < 0 {
			b.standing = append(b.standing, s)
			return true
		}
		fresh := b.standing[i].request.Ballot != r.Ballot || b.standing[i].answer.Answer != why
		b.standing[i] = s
		return served || fresh
	}
	if i >= 0 {
		b.standing = slices.Delete(b.standing, i, i+1)
	}
	return v.give(now, b, from, seq, r) || served
}

// refusal says why a request cannot be granted now; true: it can.
func (v *voter) refusal(now kclock.Instant, b *ballotBox, from owner, r LeaseRequest) (Answer, bool) {
	switch {
	case r.Epoch != v.elect.Epoch || !v.elect.Has(v.self):
		return AnswerElectorate, false
	case v.bound == 0:
		return AnswerNoLease, false
	case now < v.quarantined:
		return AnswerQuarantined, false
	case now < b.grant.until && b.grant.owner != from:
		return AnswerHeld, false
	case b.reserved.boot != 0 && b.reserved.boot != from.boot:
		return AnswerReserved, false
	case !r.Held && b.grant.owner != from && r.Ballot <= b.highest, r.Ballot < b.grant.ballot && b.grant.owner == from:
		return AnswerOutdated, false
	}
	return AnswerGranted, true
}

// give grants a request, for its own L from now (R6a).
func (v *voter) give(now kclock.Instant, b *ballotBox, from owner, seq uint64, r LeaseRequest) (news bool) {
	lease := min(r.Lease, v.bound)
	news = b.grant.owner != from || b.grant.ballot != r.Ballot || now >= b.grant.until
	b.grant = grantee{
		owner: from, ballot: r.Ballot,
		// A shorter lease does not take back what was granted before.
		until: max(now.Add(lease), b.unexpired(from)),
		answer: Grant{
			Unit: r.Unit, To: from.boot, Answer: AnswerGranted,
			Tenure: r.Tenure, Ballot: r.Ballot, Seq: seq, Epoch: r.Epoch, Lease: lease,
		},
	}
	v.granted = max(v.granted, b.grant.until)
	b.highest = max(b.highest, r.Ballot)
	if b.reserved.boot == from.boot {
		b.reserved = reserved{}
	}
	return news
}

// unexpired is until when the same life has the unit already.
func (b *ballotBox) unexpired(from owner) kclock.Instant {
	if b.grant.owner == from {
		return b.grant.until
	}
	return 0
}

func (v *voter) deny(now kclock.Instant, b *ballotBox, from owner, seq uint64, r LeaseRequest, why Answer) Grant {
	g := Grant{
		Unit: r.Unit, To: from.boot, Answer: why,
		Tenure: r.Tenure, Ballot: r.Ballot, Seq: seq, Epoch: v.elect.Epoch,
		Highest: b.highest,
	}
	switch why {
	case AnswerHeld:
		g.Holder, g.Left = b.grant.node, b.grant.until.Sub(now)
	case AnswerReserved:
		g.Left = b.reserved.until.Sub(now)
	case AnswerQuarantined:
		g.Left = v.quarantined.Sub(now)
	}
	return g
}

// release processes a release (R6c), and reports whether its sender should
// hear of it at once.
func (v *voter) release(now kclock.Instant, from owner, r Release, repeated kclock.Instant) bool {
	b := v.box(r.Unit)
	b.above(now, from.boot, r.Seq)
	if b.grant.owner == from && b.grant.ballot == r.Ballot && now < b.grant.until {
		b.grant.until = now
		if r.Successor != 0 && r.Successor != from.boot {
			b.reserved = reserved{r.Successor, now.Add(min(r.Span, maxReservation))}
		}
	}
	b.standing = slices.DeleteFunc(b.standing, func(s standing) bool { return s.owner == from && s.seq <= r.Seq })
	ack := freed{Grant{Unit: r.Unit, To: from.boot, Answer: AnswerFreed, Ballot: r.Ballot, Seq: r.Seq, Epoch: v.elect.Epoch}, repeated}
	for i := range b.freed {
		if f := &b.freed[i]; f.answer.To == from.boot && f.answer.Ballot == r.Ballot {
			*f = ack
			return false
		}
	}
	b.freed = append(b.freed, ack)
	return true
}

// settle drops what is not repeated any more, and answers the best of the
// requests that stand where a unit has become free (R6f). It reports whether
// somebody should hear of it at once.
func (v *voter) settle(now kclock.Instant) (news bool) {
	for unit, b := range v.units {
		b.freed = slices.DeleteFunc(b.freed, func(f freed) bool { return now >= f.until })
		news = v.serve(now, b) || news
		if b.idle(now) {
			delete(v.units, unit)
		}
	}
	return news
}

// serve is settle for one unit.
func (v *voter) serve(now kclock.Instant, b *ballotBox) (news bool) {
	b.standing = slices.DeleteFunc(b.standing, func(s standing) bool { return now >= s.until })
	b.reserve(now)
	slices.SortStableFunc(b.standing, func(x, y standing) int {
		switch {
		case outranks(x.request.Priority, x.request.Primary, y.request.Priority, y.request.Primary):
			return -1
		case outranks(y.request.Priority, y.request.Primary, x.request.Priority, x.request.Primary):
			return 1
		default:
			return cmp.Compare(x.boot, y.boot)
		}
	})
	for i := range b.standing {
		s := &b.standing[i]
		why, ok := v.refusal(now, b, s.owner, s.request)
		if ok {
			granted := *s
			b.standing = slices.Delete(b.standing, i, i+1)
			v.give(now, b, granted.owner, granted.seq, granted.request)
			return true
		}
		news = news || s.answer.Answer != why
		s.answer = v.deny(now, b, s.owner, s.seq, s.request, why)
	}
	return news
}

// idle reports whether nothing in the box matters any more.
func (b *ballotBox) idle(now kclock.Instant) bool {
	if now < b.grant.until || len(b.standing)+len(b.freed) > 0 || b.reserved.boot != 0 {
		return false
	}
	for _, s := range b.seen {
		if now.Sub(s.at) < boxMemory {
			return false
		}
	}
	return true
}

// boxMemory is how long a voter remembers ballots and sequences of a unit that
// nobody asks for.
const boxMemory = time.Hour

// all gives the answers that stand.
func (b *ballotBox) all(now kclock.Instant) iter.Seq[Grant] {
	return func(yield func(Grant) bool) {
		if now < b.grant.until && !yield(b.grant.answer) {
			return
		}
		for i := range b.standing {
			if !yield(b.standing[i].answer) {
				return
			}
		}
		for i := range b.freed {
			if !yield(b.freed[i].answer) {
				return
			}
		}
	}
}

// answersTo gives those for one life.
func (b *ballotBox) answersTo(now kclock.Instant, to owner) iter.Seq[Grant] {
	return func(yield func(Grant) bool) {
		for g := range b.all(now) {
			if g.To == to.boot && !yield(g) {
				return
			}
		}
	}
}

// answers is what this voter's next record says.
func (v *voter) answers(now kclock.Instant) []Grant {
	var out []Grant
	for _, b := range v.units {
		out = slices.AppendSeq(out, b.all(now))
	}
	// In one order, so that every run of a simulation is the same.
	slices.SortFunc(out, func(x, y Grant) int {
		return cmp.Or(cmp.Compare(x.Unit, y.Unit), cmp.Compare(x.To, y.To), cmp.Compare(x.Ballot, y.Ballot), cmp.Compare(x.Answer, y.Answer))
	})
	return out
}

// next is when settle is due: a unit becomes free for one that waits, or a
// quarantine ends. Zero: never.
func (v *voter) next(now kclock.Instant) kclock.Instant {
	var due kclock.Instant
	earliest := func(i kclock.Instant) {
		if i > now && (due == 0 || i < due) {
			due = i
		}
	}
	for _, b := range v.units {
		if len(b.standing) == 0 {
			continue
		}
		earliest(b.grant.until)
		earliest(v.quarantined)
		if b.reserved.boot != 0 {
			earliest(b.reserved.until)
		}
	}
	return due
}

// reserve drops a reservation that has ended.
func (b *ballotBox) reserve(now kclock.Instant) {
	if now >= b.reserved.until {
		b.reserved = reserved{}
	}
}

// above notes a sequence, and reports whether it is above all seen of its life.
func (b *ballotBox) above(now kclock.Instant, boot BootID, seq uint64) bool {
	oldest := 0
	for i := range b.seen {
		s := &b.seen[i]
		if s.boot == boot {
			if seq <= s.seq {
				return false
			}
			s.seq, s.at = seq, now
			return true
		}
		if s.at < b.seen[oldest].at {
			oldest = i
		}
	}
	s := seen{boot, seq, now}
	if len(b.seen) < maxSeen {
		b.seen = append(b.seen, s)
	} else {
		b.seen[oldest] = s
	}
	return true
}

func (b *ballotBox) find(from owner) int {
	return slices.IndexFunc(b.standing, func(s standing) bool { return s.owner == from })
}
