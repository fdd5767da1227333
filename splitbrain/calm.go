package splitbrain

import "time"

// This file keeps what repeats itself from being judged over and over: five
// nodes say five times a second of each unit what they said before.
//
// A decision follows from what the members say and from how long ago they said
// it. What says the same again can only put off what follows from silence, and
// for that the unit wakes in time and goes by the freshest word then.

// repeats reports whether the claim says what the one before it said, ages
// apart. The last advert that its author heard counts only for units that are
// not calm.
func (c *Claim) repeats(old *Claim) bool {
	return c.Policy == old.Policy && c.State == old.State && c.Wants == old.Wants &&
		c.Eligible == old.Eligible && c.Released == old.Released && c.Tenure == old.Tenure &&
		c.Priority == old.Priority && c.Primary == old.Primary && c.Yielded == old.Yielded &&
		c.Reserved.Request == old.Reserved.Request && c.Reserved.For == old.Reserved.For &&
		c.VIPHash == old.VIPHash && c.Path == old.Path &&
		c.Sight.Kind == old.Sight.Kind && c.Sight.Of == old.Sight.Of
}

// punctual reports whether a record follows the one before it so soon that
// nothing has ceased to count in between: neither its author nor, by its
// acknowledgements, this node.
func (m *member) punctual(r *Record, made time.Time) bool {
	return m.seq != 0 && r.Interval == m.interval && made.Sub(m.at) <= 3*m.interval &&
		!m.heardAt.IsZero() && made.Sub(m.heardAt) <= 3*m.interval
}

// calm reports whether the unit need not be decided anew before Wake for claims
// that only repeat themselves: it serves and nobody else claims to, or it is
// backed up and its one holder repeats its claim in time, and nothing is under
// way.
func (d *decider) calm() bool {
	m := &d.Memory
	quiet := d.Unit.Policy == PolicyMesh && d.Unit.Wants == WantNothing && d.Elsewhere == nil &&
		len(d.Alerts)+len(d.Refusals)+len(d.Requests)+len(d.Answers) == 0 && d.Request == nil &&
		!d.Look && d.Burst == "" && !d.Evidence.Path.lastRank() &&
		m.yielding == 0 && m.release.request == 0 && m.ask.tenure == (TenureID{}) &&
		!m.waiting && m.cutOff.IsZero() && !d.Now.Before(m.wish)
	if !quiet {
		return false
	}
	holders := 0
	for i := range d.Peers {
		if d.holds(&d.Peers[i]) {
			holders++
		}
	}
	switch d.Unit.State {
	case Master:
		return holders == 0
	case Backup:
		return holders == 1 && d.repeatedInTime(d.holder())
	}
	return false
}

// repeatedInTime reports whether the holder's latest claim is one of a series
// without a gap, and was not overcome.
func (d *decider) repeatedInTime(holder *Peer) bool {
	return holder.Claim.Policy == PolicyMesh && d.Memory.acted != TenureID{holder.Boot, holder.Claim.Tenure.Seq} &&
		d.Now.Before(holder.At.Add(d.missedRecords(holder)))
}

// overdue is whose silence would end the calm of a unit. All five of its records a
// second would be just in time to put that off, were it not for the network: a unit
// that is decided a moment before one of them is decided before each of them.
type overdue struct {
	claim *heldClaim // nil: nobody's. All units are decided when its author begins a new life
	after time.Duration
	rest  time.Time // when the unit is to be decided whoever speaks; zero: never
}

// overdue is whom a decision waits for.
func (c *Core) overdue(u *ownUnit, d *Decision) overdue {
	if m := c.table.member(d.Overdue.Node); m != nil && d.Calm {
		return overdue{m.claims[u.view.Name], d.Overdue.After, d.Rest}
	}
	return overdue{}
}

// putOff reports whether a unit whose time has come need not be decided: whom it
// waited for has repeated its claim. It wakes when that is overdue again.
func (u *ownUnit) putOff(now time.Time) bool {
	o := &u.overdue
	if o.claim == nil || u.dirty {
		return false
	}
	due := o.claim.at.Add(o.after)
	if !o.rest.IsZero() {
		due = earlier(due, o.rest)
	}
	if !now.Before(due) {
		return false
	}
	u.wake = due
	return true
}

// heldBy notes for whom a Hold was delivered, and when.
type heldBy struct {
	holder TenureID
	at     time.Time
}

// minHold is how much of a Hold must be left for it not to be prolonged yet.
const minHold = time.Second

// heldLongEnough reports whether the last Hold, which ends sooner than the
// holder's claim, need not be prolonged yet: its unit hears adverts, the holder
// repeats its claim in time, and half of it is left. It wakes when it must be.
func (d *decider) heldLongEnough(holder *Peer) bool {
	m := &d.Memory
	if m.held.holder != (TenureID{holder.Boot, holder.Claim.Tenure.Seq}) || m.held.at.Before(d.Unit.Since) ||
		m.waiting || d.Unit.Wants != WantNothing || d.Unit.Policy != PolicyMesh || !d.repeatedInTime(holder) {
		return false
	}
	due := m.hold.Until.Add(-max(m.hold.Until.Sub(m.held.at)/2, minHold))
	d.wake(due)
	return d.Now.Before(due)
}
