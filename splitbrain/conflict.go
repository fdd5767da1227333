package splitbrain

import (
	"fmt"
	"time"
)

// yieldPatience is how long a unit may take to let go after a Yield before
// that counts as failed.
const yieldPatience = time.Second

// master decides for a unit in MASTER.
func (d *decider) master() {
	m := &d.Memory
	own := TenureID{d.Boot, d.Unit.Tenure.Seq}
	if m.holder != own {
		m.holder, m.letGo, m.acted = own, time.Time{}, TenureID{}
		m.yielded, m.release, m.released = TenureID{}, promise{}, time.Time{}
		m.yielding, m.won = 0, nil
		m.ask, m.wish = asking{}, time.Time{}
	}
	m.hold = Hold{}
	m.masterSince = d.Unit.Since
	if m.yielding == own.Seq {
		if due := m.toldAt.Add(yieldPatience); d.Now.Before(due) {
			d.wake(due)
		} else {
			d.yieldFailed()
		}
	}
	for i := range d.Peers {
		p := &d.Peers[i]
		if d.holds(p) {
			d.conflict(p)
		}
		if d.isFresh(p) && p.Claim.Yielded == own {
			d.won(p)
		}
		d.unheard(p)
	}
	d.answerRequests()
	d.showFailure()
	d.announceOnPath()
	d.defend()
	d.isolated()
}

// conflict applies R2: this node and the peer both hold the unit. The values
// compared are those with which each tenure began: they cannot change, so both
// sides come to the same answer.
func (d *decider) conflict(p *Peer) {
	if p.At.Before(d.Unit.Since) {
		return // not repeated since: this node took over on proof that it is over
	}
	d.Look = true
	since := later(p.At.Add(-p.Claim.StateAge), d.Unit.Since) // whether we knew of it or not
	if due := since.Add(d.Heartbeat); d.Now.After(due) {
		d.Alerts = append(d.Alerts, d.splitBrain(p, since))
	} else {
		d.wake(due.Add(1))
	}
	if d.Unit.Policy == PolicyQuorum || d.Memory.yielding == d.Unit.Tenure.Seq {
		return // the valid lease wins, and who has none lets go
	}
	if p.Claim.Policy == PolicyQuorum && d.twoWay(p) {
		d.yield(p.Node, fmt.Sprintf("%s holds the unit too, by policy quorum: %s", p.Node, d.heard(p)))
	}
	if p.Claim.Policy != PolicyMesh {
		return
	}
	mine, theirs := d.Unit.Tenure, p.Claim.Tenure
	// That it knew of this tenure once, before its own began, proves nothing:
	// the acknowledgement must be of a record that still counts.
	if d.First != 0 && p.Knows >= d.First && d.twoWay(p) {
		if d.wins(p) {
			return
		}
		d.yield(p.Node, fmt.Sprintf(
			"%s holds the unit too, with priority %d from %v when its tenure began, against %d from %v: %s",
			p.Node, theirs.Priority, theirs.Primary, mine.Priority, mine.Primary, d.heard(p)))
		d.Memory.yielded = TenureID{p.Boot, theirs.Seq}
		return
	}
	if !d.twoWay(p) && d.pathDead(p) {
		return // it serves nobody, and R5 ends it there
	}
	// One-way: its claim stands and acknowledges nothing of ours. Only this
	// node knows of the conflict, so it is the one to end it.
	if d.twoWay(p) {
		return
	}
	stood := later(later(p.MasterSince, p.Regained), d.Unit.Since)
	due := stood.Add(3 * max(d.Heartbeat, p.Interval))
	if d.Now.Before(due) || p.MasterCount < 3 {
		d.wake(due)
		return
	}
	d.yield(p.Node, fmt.Sprintf("%s holds the unit too and does not hear this node: %s", p.Node, d.heard(p)))
	d.Memory.yielded = TenureID{p.Boot, theirs.Seq}
}

// wins reports whether this node's tenure comes before the peer's.
func (d *decider) wins(p *Peer) bool {
	mine, theirs := d.Unit.Tenure, p.Claim.Tenure
	if mine.Priority == theirs.Priority && mine.Primary == theirs.Primary {
		return d.Boot > p.Boot // a mistake in the configuration; still one must go
	}
	return outranks(mine.Priority, mine.Primary, theirs.Priority, theirs.Primary)
}

func (d *decider) yield(successor, reason string) {
	d.Memory.yielding, d.Memory.toldAt = d.Unit.Tenure.Seq, d.Now
	d.wake(d.Now.Add(yieldPatience))
	d.say(Yield{Tenure: d.Unit.Tenure.Seq, Successor: successor, Reason: reason})
}

func (d *decider) splitBrain(p *Peer, since time.Time) Alert {
	a := Alert{
		Kind: SplitBrain, Unit: d.Unit.Name, Peer: p.Node, Since: since,
		Summary: fmt.Sprintf("%s: %s and %s both hold it", d.Unit.Name, d.Node, p.Node),
		Evidence: []string{
			fmt.Sprintf("mesh: %s became MASTER %s, with priority %d, by %s",
				p.Node, d.ago(p.At.Add(-p.Claim.StateAge)), p.Claim.Tenure.Priority, d.heard(p)),
			fmt.Sprintf("%s became MASTER %s, with priority %d", d.Node, d.ago(d.Unit.Since), d.Unit.Tenure.Priority),
		},
	}
	switch {
	case d.Unit.Policy == PolicyQuorum:
		a.Remedy = "the one that has the lease keeps it, and the gate of the other is closed; if it stays, compare the policies of both"
	case p.Claim.Policy != PolicyMesh:
		a.Remedy = fmt.Sprintf("split_brain policy is off on %s: nothing but VRRP ends this; set it to mesh", p.Node)
	case !d.twoWay(p):
		a.Evidence = append(a.Evidence, fmt.Sprintf("mesh: %s acknowledges nothing of %s", p.Node, d.Node))
		a.Remedy = fmt.Sprintf("look for a firewall between %s and %s that drops UDP heartbeats one way", d.Node, p.Node)
	default:
		a.Remedy = "it ends by itself when the loser has let go; if it stays, stop the daemon on one of them"
	}
	return a
}

// overlapped reports, once, a conflict that an advert ended before the records
// showed it: this node was MASTER beside the present holder, which may never have
// known. It learns of it here, and announces again (R2).
func (d *decider) overlapped(holder *Peer) {
	m := &d.Memory
	if m.masterSince.IsZero() || holder == nil {
		return
	}
	began := later(holder.At.Add(-holder.Claim.StateAge), m.masterSince)
	m.masterSince = time.Time{}
	if d.Unit.Since.Sub(began) <= d.Heartbeat {
		return // a change of holder
	}
	if m.yielded == (TenureID{}) {
		m.yielded = TenureID{holder.Boot, holder.Claim.Tenure.Seq}
	}
	d.bothHeld(holder, began,
		fmt.Sprintf("mesh: %s became MASTER %s, by %s", holder.Node, d.ago(holder.At.Add(-holder.Claim.StateAge)), d.heard(holder)),
		fmt.Sprintf("%s let go %s", d.Node, d.ago(d.Unit.Since)))
}

// outlasted reports the same on the side of the winner, to whom no record ever showed
// the tenure that ended for its own one.
func (d *decider) outlasted(loser *Peer) {
	ended := loser.At.Add(-loser.Claim.StateAge)
	if loser.MasterSeq == loser.Claim.Tenure.Seq || ended.Sub(d.Unit.Since) <= d.Heartbeat {
		return // judged by its length when it was seen; or a change of holder
	}
	d.bothHeld(loser, ended,
		fmt.Sprintf("mesh: %s let go for this tenure %s, by %s", loser.Node, d.ago(ended), d.heard(loser)),
		fmt.Sprintf("%s became MASTER %s, with priority %d", d.Node, d.ago(d.Unit.Since), d.Unit.Tenure.Priority))
}

// bothHeld raises, once, the alert of a conflict that is over.
func (d *decider) bothHeld(p *Peer, since time.Time, evidence ...string) {
	d.wake(d.Now.Add(d.Heartbeat))
	d.Alerts = append(d.Alerts, Alert{
		Kind: SplitBrain, Unit: d.Unit.Name, Peer: p.Node, Since: since,
		Summary:  fmt.Sprintf("%s: %s and %s both held it", d.Unit.Name, d.Node, p.Node),
		Evidence: evidence,
		Remedy:   fmt.Sprintf("find out what cut %s off from %s", d.Node, p.Node),
	})
}

// unheard raises R1's alert on the side of the holder, whose adverts a BACKUP
// does not hear.
func (d *decider) unheard(p *Peer) {
	c := p.Claim
	if !d.isFresh(p) || c.State != Backup || c.Wants != WantHeld || !d.allied(p) {
		return
	}
	if d.Unit.sends(c.Heard) && d.Now.Sub(p.At)+c.HeardAge <= d.Unit.masterDown() {
		return // it hears us well, and is held for another reason
	}
	if due := d.Unit.Since.Add(d.Unit.masterDown()); d.Now.Before(due) {
		d.wake(due)
		return
	}
	since := d.Unit.Since
	var last time.Time
	if d.Unit.sends(c.Heard) {
		last = p.heard().At
		since = later(since, last)
	}
	d.Alerts = append(d.Alerts, Alert{
		Kind: VRRPChannelLost, Unit: d.Unit.Name, Peer: p.Node, Since: since,
		Summary: fmt.Sprintf("%s: adverts of %s do not reach %s; the mesh keeps it from taking over", d.Unit.Name, d.Node, p.Node),
		Evidence: []string{
			fmt.Sprintf("mesh: %s says that its timer ended, in %s", p.Node, d.heard(p)),
			d.lastAdvert(d.Node, p.Node, last),
		},
		Remedy: fmt.Sprintf("look for a firewall that drops IP protocol 112 on %s or %s, and at IGMP snooping on the switch", d.Node, p.Node),
	})
}
