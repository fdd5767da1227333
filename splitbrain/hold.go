package splitbrain

import (
	"fmt"
	"slices"
	"time"
)

// backup decides for a unit in BACKUP.
func (d *decider) backup() {
	m := &d.Memory
	holder := d.holder()
	if holder != nil {
		m.holder, m.letGo = TenureID{holder.Boot, holder.Claim.Tenure.Seq}, time.Time{}
	}
	d.overlapped(holder)
	d.waitForAnswer()
	d.askHolder(holder, d.complaint(holder))
	switch {
	case holder != nil:
		d.hold(holder)
	case d.heldElsewhere():
	case d.answered():
	default:
		d.succeed()
		if gone := d.justStale(); gone != nil {
			d.proveGone(gone)
		}
	}
	// Only now: a unit whose timer has ended follows each verdict at once.
	if d.unheld && m.hold == (Hold{}) && !slices.ContainsFunc(d.Verdicts, takesOver) {
		d.say(Hold{})
	}
}

func takesOver(v Verdict) bool { _, ok := v.(TakeOver); return ok }

// holder is the peer whose claim of MASTER counts longest, or nil.
func (d *decider) holder() *Peer {
	var best *Peer
	for i := range d.Peers {
		p := &d.Peers[i]
		if d.holds(p) && (best == nil || d.freshUntil(p).After(d.freshUntil(best))) {
			best = p
		}
	}
	return best
}

// hold applies R1: a fresh record claims MASTER, so silence of its adverts is
// no reason to take over. The hold ends with the claim's freshness, and R9's
// order follows by itself.
func (d *decider) hold(holder *Peer) {
	if holder.Claim.Policy == PolicyOff && d.advertises(holder) {
		// It takes part in plain VRRP only, and its adverts arrive: they rule.
		return
	}
	d.proveGone(holder)
	d.overrule(holder)
	if d.overcome(holder) {
		return
	}
	until := d.freshUntil(holder)
	d.wake(until.Add(1))
	until = later(until, d.lapsesForBetter(holder))
	until = later(until, d.timersOfBetter(holder))
	rank := d.rank(TenureID{Boot: holder.Boot})
	if d.news(until, rank) && (rank != d.Memory.hold.Rank || !d.heldLongEnough(holder)) {
		d.Memory.held = heldBy{TenureID{holder.Boot, holder.Claim.Tenure.Seq}, d.Now}
		d.reserve(until, rank, fmt.Sprintf("%s claimed MASTER and has not repeated it for %v",
			holder.Node, d.freshUntil(holder).Sub(holder.At).Round(time.Millisecond)))
	}
	if d.Unit.Wants != WantHeld || d.advertises(holder) {
		return
	}
	// A holder may be too young to have been heard; its first advert follows
	// its first record.
	if due := holder.MasterSince.Add(d.Unit.AdvertInterval + d.Heartbeat); d.Now.Before(due) {
		d.wake(due)
		return
	}
	d.Alerts = append(d.Alerts, d.deaf(holder))
}

// lapsesForBetter is when the holder's claim grows old for the last of those
// that come before this node in the order of succession, by their own word:
// ranks are counted from there. Records reach one node sooner than another, and
// may be read later still. The zero time: for all of them about as soon as here.
func (d *decider) lapsesForBetter(holder *Peer) time.Time {
	heard := holder.At
	for i := range d.Peers {
		p := &d.Peers[i]
		if p == holder || !d.candidate(p) || !d.before(p) {
			continue
		}
		for _, a := range p.Acks {
			if a.Boot == holder.Boot && a.Direct != 0 {
				heard = later(heard, p.AckedAt.Add(-a.Age))
			}
		}
	}
	more := heard.Sub(holder.At)
	if more < d.step()/4 {
		return time.Time{} // not worth another word to the unit at each record
	}
	return d.freshUntil(holder).Add(min(more, 3*max(d.Heartbeat, holder.Interval)))
}

// timersOfBetter is when the timers of those end that come before this node in
// the order of succession: ranks are counted from there. Timers of equal
// priorities end at one instant, and those of neighbouring ones hardly apart
// (F24); and where this node comes later only because its path is lost, its own
// timer may end before theirs (S50). The zero time: there are none.
func (d *decider) timersOfBetter(holder *Peer) time.Time {
	heard := heardFrom(d.Unit, holder)
	if d.Evidence.Path.lastRank() {
		heard = holder.At.Add(d.step())
	}
	if heard.IsZero() {
		return time.Time{}
	}
	var until time.Time
	for i := range d.Peers {
		p := &d.Peers[i]
		if p == holder || !d.candidate(p) || !d.before(p) {
			continue
		}
		u := *d.Unit
		u.Priority = p.Claim.Priority
		until = later(until, heard.Add(u.masterDown()))
	}
	return until
}

// overcome reports whether this node takes the unit over from the holder on
// proof. A record that comes after a proof that it is gone refutes that.
func (d *decider) overcome(holder *Peer) bool {
	m := &d.Memory
	own := TenureID{holder.Boot, holder.Claim.Tenure.Seq}
	if m.acted != own {
		return false
	}
	if m.overruled != own && holder.At.After(m.actedAt) {
		m.acted = TenureID{}
		return false
	}
	return true
}

// news reports whether a Hold would say more than the last one did.
func (d *decider) news(until time.Time, rank time.Duration) bool {
	return until.After(d.Memory.hold.Until) || rank != d.Memory.hold.Rank
}

// heldElsewhere keeps the unit from adding an address that another unit holds:
// a VIP changes its unit by being dropped first (R0).
func (d *decider) heldElsewhere() bool {
	e := d.Elsewhere
	if e == nil {
		return false
	}
	until := e.At.Add(max(d.fresh, 3*e.Interval))
	if !d.Now.Before(until) {
		return false
	}
	d.wake(until)
	d.reserve(until, d.rank(TenureID{}), fmt.Sprintf("%s held an address of it in %s and has not repeated that for %v",
		e.Node, e.Unit, until.Sub(e.At).Round(time.Millisecond)))
	return true
}

// reserve delivers a Hold when it says more than the last one did.
func (d *decider) reserve(until time.Time, rank time.Duration, reason string) {
	if d.Memory.waiting {
		until = later(until, d.Memory.hold.Until)
	}
	if d.news(until, rank) {
		d.Memory.hold = Hold{Until: until, Rank: rank, Reason: reason}
		d.say(d.Memory.hold)
	}
}

// advertises reports whether the last advert of the unit came from the peer,
// within Master_Down_Interval.
func (d *decider) advertises(p *Peer) bool {
	return d.Now.Sub(d.Unit.Heard.At) <= d.Unit.masterDown() && p.has(d.Unit.Heard)
}

func (p *Peer) has(a Advert) bool {
	if slices.Contains(p.Addrs, a.From) {
		return true
	}
	return a.From.IsValid() && a.From == p.Claim.Primary
}

// deaf is the alert of R1, raised by the node that does not hear.
func (d *decider) deaf(holder *Peer) Alert {
	u := d.Unit
	since := holder.MasterSince
	if p := u.Heard.At; holder.has(u.Heard) && p.After(since) {
		since = p
	}
	a := Alert{
		Kind: VRRPChannelLost, Unit: u.Name, Peer: holder.Node, Since: since,
		Summary: fmt.Sprintf("%s: adverts of %s do not reach %s; it is alive, so %s stays BACKUP",
			u.Name, holder.Node, d.Node, d.Node),
		Evidence: []string{
			fmt.Sprintf("mesh: %s claims MASTER in %s", holder.Node, d.heard(holder)),
			d.lastAdvert(holder.Node, d.Node, heardFrom(u, holder)),
		},
	}
	hear, deaf := 0, 0
	for i := range d.Peers {
		p := &d.Peers[i]
		if p == holder || !d.candidate(p) {
			continue
		}
		// By its own word: half an interval later it has missed one.
		if holder.has(p.heard()) && p.Claim.HeardAge <= u.AdvertInterval*3/2 {
			hear++
			a.Evidence = append(a.Evidence, "vrrp: "+p.Node+" hears "+holder.Node)
		} else {
			deaf++
			a.Evidence = append(a.Evidence, "vrrp: "+p.Node+" does not hear "+holder.Node+" either")
		}
	}
	switch {
	case hear > 0:
		a.Remedy = fmt.Sprintf("others hear %s: look at %s for a firewall that drops IP protocol 112, at its cable, and at IGMP snooping on its switch port", holder.Node, d.Node)
	case deaf > 0:
		a.Remedy = fmt.Sprintf("nobody hears %s: look for a firewall that drops IP protocol 112 on %s or on all nodes, and at IGMP snooping on the switch", holder.Node, holder.Node)
	default:
		a.Remedy = fmt.Sprintf("look for a firewall that drops IP protocol 112 on %s or %s, at the cable between them, and at IGMP snooping on the switch", holder.Node, d.Node)
	}
	return a
}

// lastAdvert says when a node last heard an advert of another; zero: never.
func (d *decider) lastAdvert(from, to string, at time.Time) string {
	if at.IsZero() {
		return fmt.Sprintf("vrrp: %s has heard no advert of %s", to, from)
	}
	return fmt.Sprintf("vrrp: %s heard the last advert of %s %s", to, from, d.ago(at))
}

// heard is the last advert that the peer heard.
func (p *Peer) heard() Advert {
	c := p.Claim
	return Advert{From: c.Heard, Priority: c.HeardPriority, At: p.At.Add(-c.HeardAge)}
}

func heardFrom(u *UnitView, p *Peer) time.Time {
	if p.has(u.Heard) {
		return u.Heard.At
	}
	return time.Time{}
}

// succeed applies R9 as far as records prove it: the tenure that held the unit
// has ended, and nobody claims it.
func (d *decider) succeed() {
	m := &d.Memory
	former, at := d.ended()
	if former == nil || m.acted == m.holder {
		return
	}
	if m.letGo.IsZero() {
		m.letGo = at
	}
	c := former.Claim
	if r := c.Reserved; r.For != 0 {
		// Reserved for another: wait until its right has ended.
		free := m.letGo.Add(min(r.Span, maxReservation) + d.Heartbeat)
		if d.Now.Before(free) {
			d.wake(free)
			d.reserve(free, d.rank(m.holder), former.Node+" handed the unit to another member, which did not take it")
			return
		}
	}
	if d.claimedByAdverts(former) {
		return
	}
	if y := c.Yielded; y != (TenureID{}) && !d.hasEnded(y) {
		return
	}
	if d.Disarmed {
		return // VRRP's own timer takes over, and a priority of zero ends it
	}
	m.acted = m.holder
	m.hold = Hold{}
	d.takeOver(d.rank(m.holder), fmt.Sprintf("%s released the unit: %s", former.Node, d.heard(former)))
}

// ended returns the peer whose tenure was the latest known one, when its own
// record says that this has ended and its addresses are gone; and when they
// went.
func (d *decider) ended() (*Peer, time.Time) {
	m := &d.Memory
	if m.holder == (TenureID{}) || m.holder.Boot == d.Boot {
		return nil, time.Time{}
	}
	for i := range d.Peers {
		p := &d.Peers[i]
		if p.Boot == m.holder.Boot && p.Claim.State != Master &&
			p.Claim.Released && p.Claim.Tenure.Seq == m.holder.Seq {
			return p, p.At.Add(-p.Claim.Reserved.Age)
		}
	}
	return nil, time.Time{}
}

// hasEnded reports whether a tenure is known to be over.
func (d *decider) hasEnded(t TenureID) bool {
	if t.Boot == d.Boot {
		return d.Unit.State != Master || d.Unit.Tenure.Seq != t.Seq
	}
	for i := range d.Peers {
		p := &d.Peers[i]
		if p.Boot == t.Boot {
			return p.Claim.Tenure.Seq > t.Seq ||
				p.Claim.Tenure.Seq == t.Seq && p.Claim.State != Master && p.Claim.Released
		}
	}
	return false
}

// claimedByAdverts reports whether somebody else advertised while the former
// holder held the unit or after, so that it let go to that router by plain VRRP; or
// the former holder itself does after it said so.
func (d *decider) claimedByAdverts(former *Peer) bool {
	recent := func(from Advert) bool {
		since := former.MasterSince
		if former.has(from) {
			since = former.At
		}
		return from.From.IsValid() && from.Priority > 0 && from.At.After(since) && d.Now.Sub(from.At) <= d.Unit.masterDown()
	}
	return recent(d.Unit.Heard) || recent(former.heard())
}
