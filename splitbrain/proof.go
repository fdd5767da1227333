package splitbrain

import (
	"fmt"
	"time"
)

// missedRecords is after how long without a record of a holder this node looks
// whether it still answers (R9).
func (d *decider) missedRecords(holder *Peer) time.Duration {
	return 2 * max(d.Heartbeat, holder.Interval)
}

// proofSpread is by how much one node may come to the same proof later than
// another: a burst, the time for its answers and a rest.
const proofSpread = 12*burstGap + answerTime + burstRest

// proveGone applies R9.3: no record of the holder comes any more, and while its
// own address answers, the unit's addresses do not: they are gone, not the
// network between. Silence alone would prove nothing, because what swallows
// records swallows probes too (S60).
func (d *decider) proveGone(holder *Peer) {
	m := &d.Memory
	if missed := d.missedRecords(holder); d.Now.Before(holder.At.Add(missed)) {
		d.Overdue = Overdue{Node: holder.Node, At: holder.At, After: missed}
		return
	}
	own := TenureID{holder.Boot, holder.Claim.Tenure.Seq}
	if holder.Claim.Policy == PolicyOff || m.acted == own || !d.Unit.Eligible {
		return
	}
	d.Burst = holder.Node
	if d.Disarmed || d.advertsGoOn(holder) || !d.answersWithout(holder, d.served(holder)) {
		return
	}
	m.acted, m.holder, m.actedAt = own, own, d.Now
	m.hold = Hold{}
	after := d.rank(own)
	after += after / d.step() * proofSpread
	d.takeOver(after, fmt.Sprintf("the addresses of %s are gone: no record for %v, its own address answers and they do not",
		holder.Node, d.Now.Sub(holder.At).Round(time.Millisecond)))
}

// justStale is the last holder while its claim counts no more, but another node may
// only now come to the proof that it is gone. A kernel takes a dead holder's
// addresses away shortly before its claim grows old.
func (d *decider) justStale() *Peer {
	for i := range d.Peers {
		p := &d.Peers[i]
		if p.Claim.State == Master && d.Memory.holder == (TenureID{p.Boot, p.Claim.Tenure.Seq}) &&
			d.Now.Before(d.freshUntil(p).Add(proofSpread)) {
			return p
		}
	}
	return nil
}

// advertsGoOn reports whether the holder's adverts came on when its records did
// not, and none is overdue yet: only the mesh may be cut. One that died between
// two records may have sent an advert last.
func (d *decider) advertsGoOn(holder *Peer) bool {
	h := d.Unit.Heard
	if !h.At.After(holder.At) || !holder.has(h) {
		return false
	}
	overdue := h.At.Add(2 * d.Unit.AdvertInterval)
	d.wake(overdue)
	return d.Now.Before(overdue)
}

// served is when somebody was last known to serve, by the holder's record, by an
// advert of anybody, or as this node: silence from before proves nothing.
func (d *decider) served(holder *Peer) time.Time {
	return later(later(holder.At, d.Unit.Heard.At), d.Unit.Since)
}

// answersWithout reports whether, on every network of the unit and in probes
// sent after the given time, the member's own address answers and the unit's
// addresses do not.
func (d *decider) answersWithout(p *Peer, after time.Time) bool {
	if len(d.Evidence.Networks) == 0 {
		return false
	}
	for i := range d.Evidence.Networks {
		n := &d.Evidence.Networks[i]
		if n.vipSilence(p.Node, after) != SilenceVIP {
			return false
		}
	}
	return true
}

// vipSilence is what the probes of the unit's address on the network, sent
// after the given time, prove of the member that should answer for it.
func (n *NetworkEvidence) vipSilence(node string, after time.Time) Silence {
	if n.Fabric || !n.silent(n.VIP) || !n.VIP.SilentSince.After(after) {
		return SilenceNone
	}
	own := n.member(node)
	if own == nil || !own.known() {
		return SilenceNone
	}
	// The latest probes of both went out together. An answer to that one shows
	// that the network, and our own reception, would have brought the other.
	if !own.Began.Before(n.VIP.Asked) {
		return SilenceVIP
	}
	if !n.silent(own.Echo) || !own.SilentSince.After(after) {
		return SilenceNone
	}
	// Is it deaf, or are we? Only another voice tells.
	for _, g := range n.Gateways {
		if g.Began.After(own.SilentSince) {
			return SilencePath
		}
	}
	for i := range n.Members {
		if m := &n.Members[i]; m.Node != node && m.Began.After(own.SilentSince) {
			return SilencePath
		}
	}
	return SilenceNone
}
