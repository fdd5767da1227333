package splitbrain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/internal/rules"
)

// LeaseView is what is known of the lease of a unit, for policy quorum.
type LeaseView struct {
	Raw kclock.Instant // now
	// The attempt that is under way; Ballot 0: none is.
	Ballot   Ballot
	Tenure   uint64
	Until    kclock.Instant // the lease runs before it; 0: not got yet
	Granters []string       // voters, while it runs
	Why      string         // what stands between the attempt and its lease
	// Contact is since when a majority of the voters is in two-way contact;
	// zero: it is not.
	Contact time.Time
}

// runs reports whether the lease for a tenure runs now.
func (v *LeaseView) runs(tenure uint64) bool {
	return v.Ballot != 0 && v.Tenure == tenure && v.Raw < v.Until
}

// lease is L of rule R6.
func (u *UnitView) lease() time.Duration {
	if u.Lease == 0 {
		return rules.DefaultLease(u.AdvertInterval)
	}
	return min(max(u.Lease, MinLease), MaxLease)
}

// firstLeaseWithin is for how long a MASTER goes on without a lease whose policy
// has become quorum.
func (u *UnitView) firstLeaseWithin() time.Duration { return max(u.lease(), 3*u.masterDown()) }

// bid is the wish of a BACKUP to get the lease and take over.
type bid struct {
	since  time.Time // when it began
	from   time.Time // when it asks; zero: it does not
	reason string
	won    Ballot    // whose lease the unit was told to take over with
	at     time.Time // and when
}

// quorum applies policy quorum: who has the lease holds, and nobody else. The
// rules of mesh say when to ask for it.
func (d *decider) quorum() {
	d.tellMembers()
	m := &d.Memory
	switch d.Unit.State {
	case Master:
		m.bid = bid{}
		d.master()
		d.keepLease()
		d.pathLoss()
	case Backup:
		d.backup()
		d.bidForLease()
	case Init, Fault:
		m.hold, m.bid = Hold{}, bid{}
		m.ask = asking{backoff: m.ask.backoff, notBefore: m.ask.notBefore}
	}
	d.noteRelease()
}

// takeOver makes a BACKUP the next holder after a delay; in policy quorum, it
// makes it ask for the lease then.
func (d *decider) takeOver(after time.Duration, reason string) {
	if d.Unit.Policy != PolicyQuorum {
		d.say(TakeOver{After: after, Reason: reason})
		return
	}
	if from := d.Now.Add(after); d.Memory.bid.from.IsZero() || from.Before(d.Memory.bid.from) {
		d.Memory.bid = bid{since: d.Now, from: from, reason: reason}
	}
}

// keepLease prolongs the lease of a MASTER, and ends its tenure when that has
// run out (R6g).
func (d *decider) keepLease() {
	m, l := &d.Memory, &d.Lease
	own := d.Unit.Tenure.Seq
	switch {
	case l.runs(own):
		d.Asks = true
		m.unleased = time.Time{}
		d.tellLease(own)
		d.wake(d.instant(l.Until).Add(1))
		return
	case m.yielding == own:
		return
	case m.lease.Tenure != own && m.unleased.IsZero():
		// The policy has just become quorum, with the unit in MASTER: it goes on
		// as before until its first lease comes (S76).
		m.unleased = d.Now
	}
	if due := m.unleased.Add(d.Unit.firstLeaseWithin()); !m.unleased.IsZero() && d.Now.Before(due) {
		d.Asks = true
		d.wake(due)
		return
	}
	m.unleased = time.Time{}
	reason := "it has no lease: " + l.Why
	if m.lease.Tenure == own {
		reason = fmt.Sprintf("its lease, ballot %d.%s, ended %v ago: %s", l.Ballot, d.Node, l.Raw.Sub(m.lease.Until).Round(time.Millisecond), l.Why)
	}
	// Nobody is named: who gets the lease next is the voters' choice.
	d.yield("", reason)
}

// tellLease delivers the lease when it lasts longer than the unit knows, by
// enough to be worth a word.
func (d *decider) tellLease(tenure uint64) {
	m, l := &d.Memory, &d.Lease
	told := m.lease
	if told.Tenure == tenure && (l.Until.Sub(told.Until) < d.Unit.lease()/20 || told.Until >= l.Until) && l.Raw < told.Until {
		return
	}
	m.lease = Lease{Tenure: tenure, Until: l.Until, Ballot: l.Ballot}
	d.say(m.lease)
}

// instant is when the raw clock shows the given instant.
func (d *decider) instant(i kclock.Instant) time.Time { return d.Now.Add(i.Sub(d.Lease.Raw)) }

// bidForLease asks the voters when this node is to succeed, and takes over
// with the lease.
func (d *decider) bidForLease() {
	m, l := &d.Memory, &d.Lease
	next := d.Unit.Tenure.Seq + 1
	if m.bid.won == 0 && d.outdone(m.bid.since) {
		m.bid = bid{}
	}
	holder := d.holder()
	switch due := d.expects(); {
	case !d.Unit.Eligible || d.barred():
		m.bid = bid{}
	case m.ask.tenure != (TenureID{}) && !d.outdone(m.ask.since):
		// The voters answer as soon as the holder has let go (S56).
		d.takeOver(0, "hand-over")
	case holder != nil && !d.overcome(holder):
		if m.bid.won == 0 {
			m.bid = bid{}
		}
	case d.Unit.Wants == WantHeld || !d.Now.Before(due):
		if m.bid.from.IsZero() {
			// So early that the answers are there when the timer ends.
			d.takeOver(d.rank(m.holder), "no holder is heard")
		}
	default:
		d.wake(due)
	}
	b := &m.bid
	if b.won != 0 && !d.Now.Before(b.at.Add(yieldPatience)) {
		// The unit did not become MASTER: somebody else advertises.
		*b = bid{}
	}
	if b.from.IsZero() {
		return
	}
	if d.Now.Before(b.from) {
		d.wake(b.from)
		return
	}
	d.Asks = true
	if !l.runs(next) {
		return
	}
	d.wake(d.instant(l.Until).Add(1))
	d.tellLease(next)
	if b.won == l.Ballot {
		d.wake(b.at.Add(yieldPatience))
		return
	}
	b.won, b.at = l.Ballot, d.Now
	m.hold = Hold{}
	d.wake(b.at.Add(yieldPatience))
	d.say(TakeOver{Reason: fmt.Sprintf("%s; lease with ballot %d.%s granted by %s",
		b.reason, l.Ballot, d.Node, strings.Join(l.Granters, ", "))})
}

// outdone reports whether a router that is no member has advertised since a time: it
// asks no voter, and VRRP says when this node may follow it (R10). Members' adverts
// prove no lease.
func (d *decider) outdone(since time.Time) bool {
	heard := d.Unit.Heard
	return heard.Priority > 0 && heard.At.After(since) && d.Unit.Wants != WantHeld &&
		!slices.ContainsFunc(d.Peers, func(p Peer) bool { return p.has(heard) })
}

// besideBetter reports whether a router that is no member and comes before this node
// advertises: this node would let go as soon as it had taken over.
func (d *decider) besideBetter() bool {
	return d.Unit.Heard.Priority > d.Unit.Priority && d.outdone(d.Now.Add(-d.Unit.masterDown()))
}

// expects is when Master_Down_Timer is about to end, as far as the view tells:
// the voters are asked two heartbeats before.
func (d *decider) expects() time.Time {
	u := d.Unit
	due := later(u.Since, u.Heard.At).Add(u.masterDown())
	if u.Heard.Priority == 0 && u.Heard.At.After(u.Since) {
		due = u.Heard.At.Add(u.skew())
	}
	return due.Add(-2 * d.Heartbeat)
}

// barred reports whether this node could not know yet that nobody has one of
// the unit's addresses in another unit (R0): it must have been in contact with
// a majority for the time of a lease, and have heard of nobody in it.
func (d *decider) barred() bool {
	span := d.Unit.lease()
	since := d.Lease.Contact
	if since.IsZero() {
		return false // no voter would grant anything
	}
	if e := d.Elsewhere; e != nil {
		since = later(since, e.At)
	}
	due := since.Add(span)
	if d.Now.Before(due) {
		d.wake(due)
		return true
	}
	return false
}
