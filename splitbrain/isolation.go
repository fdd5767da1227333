package splitbrain

import (
	"fmt"
	"time"
)

// Contact is what is heard of the other members of the cluster, whatever units
// they have.
type Contact struct {
	Members int           // configured, and not known to be leaving
	Last    time.Time     // of the latest record of one of these, direct or relayed; zero: none
	Every   time.Duration // the longest of their heartbeat intervals
}

// doubtAfter is how long no record of anybody makes a node doubt that it is
// still connected.
func (d *decider) doubtAfter() time.Duration { return 3 * max(d.Heartbeat, d.Contact.Every) }

// doubtful reports whether this node may be cut off: there are other members,
// and nothing is heard of any of them, neither by records nor by adverts.
func (d *decider) doubtful() bool {
	c := &d.Contact
	if c.Members == 0 || d.Unit.Policy != PolicyMesh {
		return false
	}
	at := later(c.Last, d.Started)
	due := at.Add(d.doubtAfter())
	if d.Now.Before(due) {
		d.wake(due)
		return false
	}
	return true
}

// voice is when anything was last heard of any member or gateway on the unit's
// networks, counted from the sending of what it answered.
type voice struct {
	gateway       time.Time // last answer of a gateway; zero: never
	gatewayGone   time.Time // when the first probe was sent that none of them answered; zero: one answers
	members       time.Time // last answer or word of a member
	membersGone   time.Time
	silent        bool // three rounds of probes without any answer on any network
	gatewayTarget bool // there is a gateway to be probed at all
}

// listen sums up what the probes show of the surroundings (R5).
func (d *decider) listen() voice {
	v := voice{silent: len(d.Evidence.Networks) > 0, members: d.Contact.Last}
	v.membersGone = v.members.Add(max(d.Heartbeat, d.Contact.Every))
	gateways, answering := 0, false
	for i := range d.Evidence.Networks {
		n := &d.Evidence.Networks[i]
		v.gatewayTarget = v.gatewayTarget || len(n.Gateways) > 0
		targets := 0
		if n.Fabric {
			v.silent = false // nobody can tell
			continue
		}
		for _, g := range n.Gateways {
			if !g.known() {
				continue
			}
			gateways, targets = gateways+1, targets+1
			v.gateway = later(v.gateway, g.Answered)
			v.silent = v.silent && n.silent(g)
			if g.Silent == 0 {
				answering = true
			} else {
				v.gatewayGone = later(v.gatewayGone, g.SilentSince)
			}
		}
		for j := range n.Members {
			m := &n.Members[j]
			if !m.known() {
				continue
			}
			targets++
			v.silent = v.silent && n.silent(m.Echo)
			v.members = later(v.members, m.Answered)
			if m.Silent > 0 {
				v.membersGone = later(v.membersGone, m.SilentSince)
			}
		}
		v.silent = v.silent && targets > 0
	}
	if gateways == 0 || answering {
		v.gatewayGone = time.Time{}
	}
	if h := d.Unit.Heard.At; h.After(v.members) {
		v.members = h
		v.membersGone = later(v.membersGone, h.Add(d.Unit.AdvertInterval))
	}
	return v
}

// coincide reports whether gateway and members fell silent within one
// Master_Down_Interval of each other. A peer that is off for long, and a
// gateway that dies, or the other way round, are two events and no cut (S51).
func (d *decider) coincide(v voice) bool {
	if v.gateway.IsZero() || v.gatewayGone.IsZero() || v.members.IsZero() {
		return false
	}
	// Each fell silent somewhere between its last word and the first question
	// without an answer.
	var apart time.Duration
	switch {
	case v.members.After(v.gatewayGone):
		apart = v.members.Sub(v.gatewayGone)
	case v.gateway.After(v.membersGone):
		apart = v.gateway.Sub(v.membersGone)
	}
	return apart <= d.Unit.masterDown()
}

// isolated makes a holder let go that hears nobody any more, when all fell
// silent together, so that the fault is here (R5).
func (d *decider) isolated() {
	if !d.doubtful() {
		return
	}
	d.Look = true
	v := d.listen()
	if !v.silent || !d.coincide(v) || d.Memory.yielding == d.Unit.Tenure.Seq {
		return
	}
	d.Memory.cutOff = d.Now
	d.yield("", fmt.Sprintf("isolated: neither a member nor a gateway is heard: last record %s; arp/nd: %s",
		d.ago(d.Contact.Last), d.Evidence.describe(d.Now)))
}

// cutOffHold is how long one hold of a node lasts that waits for a sign of
// life, and how long it stays BACKUP after the first one, so that what else
// comes back is heard: the other side may hold the unit.
const cutOffHold = time.Second

// waitForAnswer keeps a BACKUP that hears nobody from taking over before
// something answers (R5).
func (d *decider) waitForAnswer() {
	m := &d.Memory
	until, reason := d.cutOff()
	if until.IsZero() {
		if m.waiting {
			m.waiting, m.hold = false, Hold{}
			d.unheld = true // what else holds it is said anew
		}
		return
	}
	d.wake(until)
	d.wake(d.Now.Add(cutOffHold / 2))
	if m.waiting = true; until.After(m.hold.Until) {
		d.reserve(until, m.hold.Rank, reason)
	}
}

// cutOff is until when a BACKUP should wait at least; zero: it need not. A
// gateway that has answered before tells a dead holder from a dead link. At
// power-on a node waits for a first answer, but no longer than alone_after
// (S53). Without any gateway a peer's death must not take the address down, and
// VRRP decides (S51a).
func (d *decider) cutOff() (until time.Time, reason string) {
	m := &d.Memory
	doubtful := d.doubtful()
	if doubtful {
		d.Look = true
	}
	// What answered before all were missing may be cut off by now.
	if !doubtful || d.answersSince(later(d.Contact.Last, d.Started).Add(d.doubtAfter())) {
		if free := m.cutOff.Add(cutOffHold); !m.cutOff.IsZero() && d.Now.Before(free) {
			return free, "was isolated until now"
		}
		m.cutOff = time.Time{}
		return time.Time{}, ""
	}
	v := d.listen()
	switch {
	case !v.gateway.IsZero():
		if !v.gatewayGone.IsZero() && !d.coincide(v) && m.cutOff.IsZero() {
			return time.Time{}, "" // the gateway died while members were heard
		}
		if v.silent {
			m.cutOff = d.Now
		}
		return d.Now.Add(cutOffHold), "neither a member nor a gateway answers"
	case v.gatewayTarget && d.Now.Before(d.Started.Add(d.AloneAfter)):
		return earlier(d.Now.Add(cutOffHold), d.Started.Add(d.AloneAfter)),
			"alone since the start, and no gateway has answered yet"
	}
	m.cutOff = time.Time{}
	return time.Time{}, ""
}

// answersSince reports whether anything on the unit's networks answered a probe
// that was sent at the given time or after it.
func (d *decider) answersSince(at time.Time) bool {
	for i := range d.Evidence.Networks {
		n := &d.Evidence.Networks[i]
		for _, g := range n.Gateways {
			if !g.Began.Before(at) {
				return true
			}
		}
		for j := range n.Members {
			if !n.Members[j].Began.Before(at) {
				return true
			}
		}
	}
	return false
}
