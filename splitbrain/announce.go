package splitbrain

import (
	"fmt"
	"slices"
	"time"
)

// This file says when a holder announces its addresses again, because what it
// announced before did not reach the neighbours, or another one announced itself
// since: they are to point at the holder (G4).

// won answers the word of a loser: it has let go, but what it announced may
// still stand in the caches of the neighbours. There may be several losers, who go
// on to say so.
func (d *decider) won(p *Peer) {
	m := &d.Memory
	over := TenureID{p.Boot, p.Claim.Tenure.Seq}
	if !p.Claim.Released || slices.Contains(m.won, over) {
		return
	}
	m.won = append(slices.DeleteFunc(slices.Clone(m.won), func(t TenureID) bool { return t.Boot == p.Boot }), over)
	d.say(Reannounce{Reason: p.Node + " let go"})
	d.outlasted(p)
}

// announceOnPath makes a holder announce its addresses again when its data path is
// back, or a gateway answers it for the first time: what it announced before that
// reached nobody, and the neighbours may point at the holder before it (G4).
func (d *decider) announceOnPath() {
	m := &d.Memory
	switch {
	case d.unreached():
		m.unreached = d.Unit.Tenure.Seq
	case m.unreached == d.Unit.Tenure.Seq:
		m.unreached = 0
		d.say(Reannounce{Reason: "the neighbours answer again"})
	}
}

// unreached reports whether the unit's neighbours on a network are silent.
func (d *decider) unreached() bool {
	return d.Evidence.Path == PathLost ||
		slices.ContainsFunc(d.Evidence.Networks, func(n NetworkEvidence) bool { return n.mute() })
}

// mute reports whether none of the gateways there answers, known or not.
func (n *NetworkEvidence) mute() bool {
	return len(n.Gateways) > 0 && !n.Fabric && !slices.ContainsFunc(n.Gateways, func(g Echo) bool { return !n.silent(g) })
}

// Pace at which a holder announces itself against another one: not before that has
// announced itself often enough, or the rules have made one of the two let go; and no
// more often than RFC 5227 section 2.4 lets a host defend its address
// (DEFEND_INTERVAL), because two that do it make the neighbours change their minds.
const (
	defendAfter = time.Second
	defendEvery = 10 * time.Second
)

// defend announces the addresses again when another machine announced itself for them
// in this tenure. Who it is may never be known: a rival whose records and adverts do
// not arrive took over and gave up again, and nothing but its announcement was heard.
func (d *decider) defend() {
	m := &d.Memory
	rival := d.Evidence.rival(d.Node, d.Unit.Since)
	if !rival.At.After(m.defended) || m.yielding == d.Unit.Tenure.Seq {
		m.rivalled = time.Time{}
		return
	}
	if m.rivalled.IsZero() {
		m.rivalled = d.Now
	}
	if due := later(m.rivalled.Add(defendAfter), m.defended.Add(defendEvery)); d.Now.Before(due) {
		d.wake(due)
		return
	}
	m.defended, m.rivalled = d.Now, time.Time{}
	who := rival.Node
	if who == "" {
		who = "a machine that is no member"
	}
	d.say(Reannounce{Reason: fmt.Sprintf("%s (%v) announced %v %s", who, rival.MAC, rival.VIP, d.ago(rival.At))})
}

// rival is who else was the last to announce one of the unit's addresses after the
// given time; the zero value: nobody did.
func (e *Evidence) rival(self string, since time.Time) (last Responder) {
	for i := range e.Networks {
		if e.Networks[i].Fabric {
			continue // it may announce anything
		}
		for _, a := range e.Networks[i].Answers {
			if a.Node != self && a.At.After(since) && a.At.After(last.At) {
				last = a
			}
		}
	}
	return last
}
