package splitbrain

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/internal/rules"
)

// leaseEnd is until when a grant of the given length counts for the holder that
// read the clock before it built its request.
func leaseEnd(reading kclock.Instant, lease time.Duration) kclock.Instant {
	return reading.Add(rules.Usable(lease))
}

// holder gets, keeps and gives back the lease of one unit of this node.
type holder struct {
	unit string
	self owner

	// The attempt that is under way. Ballot 0: none is.
	ballot  Ballot
	asking  bool // the next records ask; without it, it runs out or waits to be given back
	heir    bool // another process of this life began it, and its unit has not gone on yet
	tenure  uint64
	lease   time.Duration // L
	began   time.Time
	asked   uint64 // the last record that asked with this ballot
	epoch   uint64 // of the electorate that was asked
	replies []reply
	until   kclock.Instant // the lease runs before it; 0: not got yet

	notBefore time.Time // no attempt before, after a split vote
	highest   Ballot    // seen at any voter
	rivals    []rival
	releases  []releasing
}

// reply is the latest answer of one voter to the attempt.
type reply struct {
	voter string
	grant Grant
	// The latest request that it granted: its length, and the clock when it was
	// built.
	granted bool
	reading kclock.Instant
	lease   time.Duration
}

// rival is another life that asks for the unit and does not have it.
type rival struct {
	boot     BootID
	priority uint8
	primary  netip.Addr
	at       time.Time
}

// releasing is a release that voters have not acknowledged yet.
type releasing struct {
	Release
	waiting []string       // voters
	until   kclock.Instant // then the grants have run out
}

// ask begins an attempt to get the lease for a tenure, unless one is under
// way. It reports whether voters should hear of it at once.
func (h *holder) ask(now time.Time, tenure uint64, lease time.Duration) bool {
	if h.ballot != 0 && h.tenure != tenure {
		return false // the one before must be given back first
	}
	h.lease = lease
	if h.ballot != 0 || now.Before(h.notBefore) {
		return false
	}
	h.begin(now, tenure)
	return true
}

// begin takes a ballot above all that are known and all that it had before,
// whether a voter has granted them or not: a release must never match again.
func (h *holder) begin(now time.Time, tenure uint64) {
	h.highest++
	h.ballot, h.tenure, h.began = h.highest, tenure, now
	h.asked, h.replies, h.until = 0, h.replies[:0], 0
}

// request is what the record with that number asks. It is built after the
// clock was read for it.
func (h *holder) request(seq uint64, now kclock.Instant, e Electorate, priority uint8, primary netip.Addr) LeaseRequest {
	if h.epoch != e.Epoch {
		// Grants of two electorates make no majority together.
		h.epoch, h.replies = e.Epoch, h.replies[:0]
	}
	h.asked = seq
	return LeaseRequest{
		Unit: h.unit, Tenure: h.tenure, Ballot: h.ballot, Epoch: e.Epoch, Lease: h.lease,
		Held: now < h.until, Priority: priority, Primary: primary,
	}
}

// note takes the answer of a voter. reading is the clock before the request
// that it answers was built, unless that is forgotten. It reports whether the
// lease lasts longer by it, or something else changed.
func (h *holder) note(now kclock.Instant, voter string, g Grant, reading kclock.Instant, known bool, e Electorate) bool {
	h.saw(g)
	if g.Answer == AnswerFreed {
		return h.acknowledged(voter, g)
	}
	// Only the ballot tells the answers of this attempt from those to an
	// earlier one, which may have been released since (S1).
	if h.ballot == 0 || g.Ballot != h.ballot || g.Seq > h.asked || !e.Has(voter) {
		return false
	}
	r := h.reply(voter)
	if g.Seq < r.grant.Seq {
		return false
	}
	changed := r.grant.Answer != g.Answer || r.grant.Seq == 0
	r.grant = g
	if g.Answer != AnswerGranted {
		if g.Answer == AnswerHeld {
			r.granted = false // that has run out, or another could not have it
			if h.refused(e) {
				h.until = min(h.until, now)
			}
		}
		return changed
	}
	if g.Epoch != e.Epoch || g.Epoch != h.epoch || !known {
		return changed
	}
	if !r.granted || reading > r.reading {
		r.granted, r.reading, r.lease = true, reading, g.Lease
	}
	// What has run out is not taken up again: others may have had it since.
	if end := h.majority(e); end > h.until && !h.lapsed(now) {
		h.until, changed = end, true
	}
	return changed
}

// lapsed reports whether the attempt got the lease, and it has run out.
func (h *holder) lapsed(now kclock.Instant) bool { return h.until != 0 && now >= h.until }

// saw keeps the ballots that are known of the unit, whoever has them.
func (h *holder) saw(g Grant) {
	h.highest = max(h.highest, g.Highest)
	if g.Answer == AnswerGranted {
		h.highest = max(h.highest, g.Ballot)
	}
}

func (h *holder) reply(voter string) *reply {
	for i := range h.replies {
		if h.replies[i].voter == voter {
			return &h.replies[i]
		}
	}
	h.replies = append(h.replies, reply{voter: voter})
	return &h.replies[len(h.replies)-1]
}

// majority is until when a majority of the voters grants nobody else: they have
// all answered the same request, or a later one with the same ballot, which
// binds them from before this moment and for longer. 0: no majority has.
func (h *holder) majority(e Electorate) kclock.Instant {
	ends := make([]kclock.Instant, 0, MaxVoters)
	for i := range h.replies {
		if r := &h.replies[i]; r.granted && e.Has(r.voter) {
			ends = append(ends, leaseEnd(r.reading, r.lease))
		}
	}
	if len(ends) < e.Majority() {
		return 0
	}
	slices.SortFunc(ends, func(x, y kclock.Instant) int { return cmp.Compare(y, x) })
	return ends[e.Majority()-1]
}

// refused reports whether so many voters have granted another life that no
// majority can be left (R8): this life's grants have run out there, whatever
// its own clock says.
func (h *holder) refused(e Electorate) bool {
	n := 0
	for i := range h.replies {
		if r := &h.replies[i]; r.grant.Answer == AnswerHeld && e.Has(r.voter) {
			n++
		}
	}
	return len(e.Voters) > 0 && n > len(e.Voters)-e.Majority()
}

// partial reports whether some voters have granted, but no majority has yet.
func (h *holder) partial() bool {
	return h.until == 0 && slices.ContainsFunc(h.replies, func(r reply) bool { return r.granted })
}

// outdated reports whether a voter has granted a higher ballot before.
func (h *holder) outdated() bool {
	return h.until == 0 && slices.ContainsFunc(h.replies, func(r reply) bool {
		return r.grant.Answer == AnswerOutdated
	})
}

// stop ends the attempt and gives back what it got (R6c). Whoever calls it has
// made sure that nothing is done with the lease any more: the unit is not
// MASTER, its gate is closed, and it cannot become MASTER by what it was told.
// It reports whether there is something to give back.
func (h *holder) stop(now kclock.Instant, e Electorate, successor BootID, span time.Duration) bool {
	asked := h.asked != 0
	if asked {
		h.releases = append(h.releases, releasing{
			Release: Release{Unit: h.unit, Ballot: h.ballot, Seq: h.asked, Successor: successor, Span: span},
			waiting: slices.Clone(e.Voters),
			until:   now.Add(h.lease + h.lease/10),
		})
		// More are not open at once but in a storm of attempts; the grants of
		// the oldest run out by themselves.
		if n := len(h.releases) - maxReleases; n > 0 {
			h.releases = slices.Delete(h.releases, 0, n)
		}
	}
	h.abandon()
	return asked
}

// abandon ends the attempt without giving anything back: what was granted runs
// out by itself.
func (h *holder) abandon() {
	h.ballot, h.tenure, h.asked, h.until = 0, 0, 0, 0
	h.heir = false
	h.replies = h.replies[:0]
}

const maxReleases = 4

// acknowledged notes that a voter holds nothing any more for a ballot.
func (h *holder) acknowledged(voter string, g Grant) bool {
	for i := range h.releases {
		r := &h.releases[i]
		if r.Ballot != g.Ballot || r.Seq != g.Seq {
			continue
		}
		r.waiting = slices.DeleteFunc(r.waiting, func(v string) bool { return v == voter })
	}
	n := len(h.releases)
	h.releases = slices.DeleteFunc(h.releases, func(r releasing) bool { return len(r.waiting) == 0 })
	return len(h.releases) != n
}

// expire forgets releases whose grants have run out, and rivals that ask no
// more.
func (h *holder) expire(now time.Time, raw kclock.Instant, patience time.Duration) {
	h.releases = slices.DeleteFunc(h.releases, func(r releasing) bool { return raw >= r.until })
	h.rivals = slices.DeleteFunc(h.rivals, func(r rival) bool { return now.Sub(r.at) > patience })
}

// competes notes that another life asks for the unit. Without an order of its
// own it is known only by a voter's answer to it.
func (h *holder) competes(now time.Time, boot BootID, priority uint8, primary netip.Addr) {
	for i := range h.rivals {
		r := &h.rivals[i]
		if r.boot == boot {
			r.at = now
			if primary.IsValid() {
				r.priority, r.primary = priority, primary
			}
			return
		}
	}
	h.rivals = append(h.rivals, rival{boot, priority, primary, now})
}

// split resolves a split vote (R6f): an attempt that has got some grants, but
// no majority in the time that it takes, gives them back when others ask too,
// and asks again when those that come before it have had their turn. The best
// one waits for the others to do so, but not for ever: views differ. pause is
// max(3 round trips, 20 ms). It reports whether the attempt is to be stopped,
// or when to look again.
func (h *holder) split(now time.Time, priority uint8, primary netip.Addr, pause time.Duration) (stop bool, again time.Time) {
	if h.ballot == 0 || !h.partial() || len(h.rivals) == 0 {
		return false, time.Time{}
	}
	rank := 0
	for _, r := range h.rivals {
		if outranks(r.priority, r.primary, priority, primary) || r.priority == priority && r.primary == primary && r.boot > h.self.boot {
			rank++
		}
	}
	turn := pause
	if rank == 0 {
		turn = 4 * pause
	}
	if due := h.began.Add(turn); now.Before(due) {
		return false, due
	}
	h.notBefore = now.Add(time.Duration(max(rank, 1))*pause + h.jitter(pause))
	return true, h.notBefore
}

// jitter is up to half of a pause, another one for each attempt.
func (h *holder) jitter(pause time.Duration) time.Duration {
	f := fnv.New64a()
	fmt.Fprintf(f, "%s %d %d", h.unit, h.self.boot, h.ballot)
	return time.Duration(f.Sum64() % uint64(pause/2+1))
}

// granters and missing say, for people, which voters have granted the attempt
// and what the others say.
func (h *holder) granters(e Electorate) []string {
	var names []string
	for i := range h.replies {
		if r := &h.replies[i]; r.grant.Answer == AnswerGranted && e.Has(r.voter) {
			names = append(names, r.voter)
		}
	}
	slices.Sort(names)
	return names
}

func (h *holder) missing(now kclock.Instant, e Electorate) []string {
	var words []string
	for _, v := range e.Voters {
		i := slices.IndexFunc(h.replies, func(r reply) bool { return r.voter == v })
		switch {
		case i < 0:
			words = append(words, v+" does not answer")
		case h.replies[i].grant.Answer != AnswerGranted:
			words = append(words, v+": "+h.replies[i].grant.says())
		case now >= leaseEnd(h.replies[i].reading, h.replies[i].lease):
			words = append(words, fmt.Sprintf("%s has not answered for %v", v, now.Sub(h.replies[i].reading).Round(time.Millisecond)))
		}
	}
	return words
}

// says is why a voter does not grant, for people.
func (g Grant) says() string {
	left := g.Left.Round(time.Millisecond)
	switch g.Answer {
	case AnswerHeld:
		return fmt.Sprintf("%s has it for %v more", g.Holder, left)
	case AnswerReserved, AnswerQuarantined:
		return fmt.Sprintf("%v for %v more", g.Answer, left)
	case AnswerElectorate:
		return fmt.Sprintf("its electorate is number %d", g.Epoch)
	default:
		return g.Answer.String()
	}
}

// why says what stands between an attempt and its lease, for people.
func (h *holder) why(now kclock.Instant, e Electorate) string {
	if e.Epoch == 0 {
		return "this node does not know the voters yet"
	}
	if m := h.missing(now, e); len(m) > 0 {
		return strings.Join(m, "; ")
	}
	return "the voters answer again, but it had run out"
}
