package splitbrain

import (
	"fmt"
	"hash/fnv"
	"time"
)

// Back-off of wishes after a refusal (R1).
const (
	firstBackoff = time.Second
	lastBackoff  = time.Minute
)

// asking is a wish of this node to get the unit, and what became of it.
type asking struct {
	tenure    TenureID // that it asks to end; zero: it does not ask
	preempt   bool
	silence   Silence // why it asks, if not by priority or for a person
	since     time.Time
	ids       [4]askedAt // the latest requests, newest first
	backoff   time.Duration
	notBefore time.Time
}

// askedAt is one request with the time that it was first sent, or earlier.
type askedAt struct {
	id uint64
	at time.Time
}

// maxReservation bounds R, whatever another node says.
const maxReservation = 5 * time.Second

// reservation is R of rule R4.
func reservation(rtt time.Duration) time.Duration {
	return min(max(500*time.Millisecond, 10*rtt), maxReservation)
}

// askHolder opens, repeats and closes this node's request (R4). Silence is what
// does not answer at the holder.
func (d *decider) askHolder(holder *Peer, silence Silence) {
	ask := &d.Memory.ask
	// Whose path is lost stays where it is, unless somebody wants it there.
	preempt := d.Unit.Wants == WantPreempt && !d.Evidence.Path.lastRank()
	wish := d.Now.Before(d.Memory.wish)
	why, ok := d.refused()
	if !ok && ask.silence == SilencePath && holder != nil && d.disproves(holder) {
		why, ok = "a probe of "+holder.Node+" is answered", true
	}
	if ok {
		d.Memory.silentSince, d.Memory.deadSince = time.Time{}, time.Time{} // it is to be proved anew
		d.Refused = why
		ask.backoff = min(max(2*ask.backoff, firstBackoff), lastBackoff)
		ask.notBefore = d.Now.Add(ask.backoff)
		ask.tenure, d.Memory.wish, wish = TenureID{}, time.Time{}, false
	}
	if holder == nil {
		return // an open request may have been answered
	}
	tenure := TenureID{holder.Boot, holder.Claim.Tenure.Seq}
	if ask.tenure != (TenureID{}) && ask.tenure != tenure {
		ask.tenure = TenureID{} // void: that tenure is over
	}
	wanted := d.Unit.Eligible && d.twoWay(holder) && d.allied(holder) &&
		(preempt || wish || silence != SilenceNone) && !d.besideBetter()
	if !wanted {
		ask.tenure = TenureID{}
		return
	}
	if d.Now.Before(ask.notBefore) && !wish {
		d.wake(ask.notBefore)
		return
	}
	if ask.tenure == (TenureID{}) {
		*ask = asking{tenure: tenure, since: d.Now, backoff: ask.backoff}
	}
	ask.preempt = preempt && !wish && silence == SilenceNone
	ask.silence = silence
	if wish {
		ask.silence = SilenceNone
	}
	if giveUp := ask.since.Add(max(d.Unit.masterDown(), time.Second)); !d.Now.Before(giveUp) {
		ask.backoff = min(max(2*ask.backoff, firstBackoff), lastBackoff)
		ask.notBefore = d.Now.Add(ask.backoff)
		ask.tenure, d.Memory.wish = TenureID{}, time.Time{}
		d.Refused = holder.Node + " does not answer"
		d.wake(ask.notBefore)
		return
	}
	// An answer counts for 0.8 R from the sending of what it answers, so a
	// request that may have been lost is made anew, under a new number.
	if again := ask.ids[0].at.Add(reservation(d.rtt()) / 4); ask.ids[0].id == 0 || !d.Now.Before(again) {
		copy(ask.ids[1:], ask.ids[:])
		ask.ids[0] = askedAt{ask.ids[1].id + 1, d.Now}
		if ask.ids[1].id == 0 {
			ask.ids[0].id = firstRequest(d.Unit.Name, d.Now)
		}
		d.Urgent = true
	}
	d.wake(ask.ids[0].at.Add(reservation(d.rtt()) / 4))
	d.Request = &Request{ID: ask.ids[0].id, Unit: d.Unit.Name, Tenure: tenure, Preempt: ask.preempt, Silence: ask.silence}
}

// firstRequest numbers the first request of a series, so that no other unit or
// series has the same number.
func firstRequest(unit string, now time.Time) uint64 {
	h := fnv.New64a()
	h.Write([]byte(unit))
	return max(h.Sum64()^uint64(now.UnixNano()), 1)
}

// refused gives the reason when a member refuses the open request.
func (d *decider) refused() (why string, ok bool) {
	if d.Memory.ask.tenure == (TenureID{}) {
		return "", false
	}
	for _, r := range d.Answers {
		if _, ok := d.Memory.ask.find(r.ID); ok {
			return r.Reason, true
		}
	}
	return "", false
}

func (a *asking) find(id uint64) (time.Time, bool) {
	for _, asked := range a.ids {
		if asked.id == id && id != 0 {
			return asked.at, true
		}
	}
	return time.Time{}, false
}

// answered takes the unit over when its holder has let go for this node's open
// request. The answer must be younger than 0.8 R since the request was sent:
// the others wait for R since the release, which came later.
func (d *decider) answered() bool {
	m := &d.Memory
	if m.ask.tenure == (TenureID{}) || m.acted == m.ask.tenure || !d.Unit.Eligible {
		return false
	}
	for i := range d.Peers {
		p := &d.Peers[i]
		c := p.Claim
		if p.Boot != m.ask.tenure.Boot || c.State == Master || !c.Released ||
			c.Tenure.Seq != m.ask.tenure.Seq || c.Reserved.For != d.Boot {
			continue
		}
		at, ok := m.ask.find(c.Reserved.Request)
		if !ok || d.Now.Sub(at) >= c.Reserved.Span*8/10 {
			return false // too late: R9's order decides
		}
		if m.ask.silence == SilenceVIP || m.ask.silence == SilencePath {
			m.shunned.extend(d.Now, m.ask.tenure.Boot)
		}
		m.acted, m.holder = m.ask.tenure, m.ask.tenure
		m.ask, m.wish = asking{}, time.Time{}
		m.hold = Hold{}
		d.takeOver(0, fmt.Sprintf("%s handed the unit over, %v after it was asked", p.Node, d.Now.Sub(at).Round(time.Millisecond)))
		return true
	}
	return false
}

// answerRequests lets go for a member that asks for it, or refuses (R4).
func (d *decider) answerRequests() {
	m := &d.Memory
	own := TenureID{d.Boot, d.Unit.Tenure.Seq}
	for _, r := range d.Requests {
		if r.Tenure != own || m.yielding == own.Seq {
			continue // it asks for another tenure, or this one ends already
		}
		p := &d.Peers[r.Peer]
		if r.Silence == SilencePath && d.awaitProbe() {
			continue // an answer to our own probe would refute it
		}
		if why := d.objection(p, &r.Request); why != "" {
			d.Refusals = append(d.Refusals, Refusal{ID: r.ID, To: p.Boot, Reason: why})
			continue
		}
		span := reservation(p.RTT)
		m.release = promise{request: r.ID, to: p.Boot, node: p.Node, span: span}
		why := "was asked to"
		if r.Preempt {
			why = fmt.Sprintf("has priority %d against %d", p.Claim.Priority, d.Unit.Priority)
		}
		if r.Silence != SilenceNone {
			why = r.Silence.about(d.Node)
		}
		d.yield(p.Node, fmt.Sprintf("hand-over: %s %s", p.Node, why))
		// The former holder comes last, and not before the reservation ends.
		d.reserve(d.Now.Add(span+yieldPatience+d.Heartbeat), d.rank(own), "handed over to "+p.Node+", which did not take it")
	}
}

// objection says why a request cannot be granted; empty: it can.
func (d *decider) objection(p *Peer, r *Request) string {
	c := p.Claim
	switch {
	case !d.isFresh(p):
		return "the claim of " + p.Node + " is old"
	case !d.twoWay(p):
		return p.Node + " does not hear " + d.Node
	case p.Leaving:
		return p.Node + " is leaving"
	case !c.Eligible || c.State != Backup:
		return fmt.Sprintf("%s could not serve: it is %v", p.Node, c.State)
	case !d.allied(p):
		return "the policy of " + p.Node + " is " + c.Policy.String()
	case c.VIPHash != HashVIPs(d.Unit.VIPs):
		return p.Node + " has other addresses for it; wait until both run one revision"
	case r.Preempt && c.Priority <= d.Unit.Priority:
		return fmt.Sprintf("%s has priority %d, not more than %d", p.Node, c.Priority, d.Unit.Priority)
	case r.Preempt && p.Boot == d.Memory.shunned.boot && d.Now.Before(d.Memory.shunned.until):
		return "the addresses did not answer when " + p.Node + " held them"
	case r.Preempt && p.Claim.Path.lastRank() && !d.Evidence.Path.lastRank():
		return "the data path of " + p.Node + " is " + p.Claim.Path.String()
	}
	return d.rebut(p, r.Silence)
}

// yieldFailed gives up on a Yield that the unit did not follow.
func (d *decider) yieldFailed() {
	m := &d.Memory
	if r := &m.release; r.request != 0 {
		d.Refusals = append(d.Refusals, Refusal{ID: r.request, To: r.to, Reason: d.Node + " could not let go"})
		m.failed, m.failedAt = r.node, d.Now
		*r = promise{}
	}
	m.yielding, m.yielded = 0, TenureID{}
	d.Urgent = true
}

// failureShown is how long the alert about a failed hand-over stands.
const failureShown = 30 * time.Second

// showFailure raises the alert of yieldFailed.
func (d *decider) showFailure() {
	m := &d.Memory
	if m.failed == "" {
		return
	}
	if until := m.failedAt.Add(failureShown); d.Now.Before(until) {
		d.wake(until)
		d.Alerts = append(d.Alerts, d.failure(m.failed, "it is still MASTER"))
		return
	}
	m.failed = ""
}

func (d *decider) failure(node, why string) Alert {
	return Alert{
		Kind: HandoverFailed, Unit: d.Unit.Name, Peer: node, Since: d.Memory.toldAt,
		Summary:  fmt.Sprintf("%s: %s could not hand it over to %s: %s", d.Unit.Name, d.Node, node, why),
		Evidence: []string{fmt.Sprintf("%s was told to let go %s", d.Node, d.ago(d.Memory.toldAt))},
		Remedy:   fmt.Sprintf("look at the log of %s, and at its addresses with `ip address`", d.Node),
	}
}

// noteRelease follows this node's own tenure to its end: it dates the release,
// complains when the addresses stay, and lets the former holder come back as
// the last in order when nobody took the unit.
func (d *decider) noteRelease() {
	m, u := &d.Memory, d.Unit
	if u.State == Master || u.Tenure.Seq == 0 || m.holder.Boot == d.Boot && m.holder.Seq != u.Tenure.Seq {
		return
	}
	if u.Released && m.released.IsZero() {
		m.released = d.Now
	}
	r := &m.release
	if r.request == 0 || m.holder != (TenureID{d.Boot, u.Tenure.Seq}) {
		return
	}
	if !u.Released {
		due := m.toldAt.Add(yieldPatience)
		if d.Now.Before(due) {
			d.wake(due)
			return
		}
		if !r.failed {
			r.failed = true
			d.Refusals = append(d.Refusals, Refusal{ID: r.request, To: r.to, Reason: d.Node + " could not remove its addresses"})
		}
		d.Alerts = append(d.Alerts, d.failure(r.node, "its addresses are not gone"))
		return
	}
	if u.State != Backup || m.acted == m.holder {
		return
	}
	free := m.released.Add(r.span + d.Heartbeat)
	if d.Now.Before(free) {
		d.wake(free)
		d.reserve(free, d.rank(m.holder), "handed over to "+r.node+", which did not take it")
		return
	}
	if d.outdone(m.released) {
		return
	}
	m.acted = m.holder
	m.hold = Hold{}
	d.takeOver(d.rank(m.holder)+d.step(), fmt.Sprintf("%s did not take the unit over", r.node))
}
