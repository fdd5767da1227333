package splitbrain

import (
	"fmt"
	"time"
)

// deadPath applies R1 to a holder whose records arrive and whose adverts do
// not: is its path dead, so that it serves nobody (S42)? It returns what is
// proved, for which this node asks for the unit.
func (d *decider) deadPath(holder *Peer) Silence {
	m := &d.Memory
	// A holder may be too young to have been heard; and adverts of whoever it
	// is show a path.
	settled := holder.MasterSince.Add(d.Unit.AdvertInterval + d.Heartbeat)
	if d.Unit.Wants != WantHeld || d.advertises(holder) || d.Now.Before(settled) {
		m.silence, m.silentSince = SilenceNone, time.Time{}
		return SilenceNone
	}
	d.Burst = holder.Node
	if m.silentSince.IsZero() {
		m.silentSince = d.Now // probes sent from now on count
	}
	m.silence = SilenceNone
	for i := range d.Evidence.Networks {
		s := d.Evidence.Networks[i].vipSilence(holder.Node, m.silentSince)
		if s == SilenceNone {
			m.silence = SilenceNone
			break
		}
		m.silence = max(m.silence, s)
	}
	if m.silence == SilenceNone || d.seenByOthers(holder, m.silentSince) {
		m.deadSince, m.silence = time.Time{}, SilenceNone
		return SilenceNone
	}
	if m.deadSince.IsZero() {
		m.deadSince = d.Now
	}
	d.Alerts = append(d.Alerts, d.silentHolder(holder))
	return m.silence
}

// seenByOthers reports whether a third member has seen the holder answer for
// the unit since: then the fault lies between the holder and this node.
func (d *decider) seenByOthers(holder *Peer, since time.Time) bool {
	for i := range d.Peers {
		p := &d.Peers[i]
		s := p.Claim.Sight
		if p != holder && d.isFresh(p) && s.Kind == SightOne && s.Of == holder.Boot && p.At.Add(-s.Age).After(since) {
			return true
		}
	}
	return false
}

// disproves reports whether the holder shows, by a probe of its own that began
// after the silence, that its path is alive: that is its refusal. It says
// nothing of addresses that do not answer beside one that does.
func (d *decider) disproves(holder *Peer) bool {
	return d.Memory.silence == SilencePath && holder.provesPath(d.Memory.silentSince)
}

// overrule takes the unit over from a holder with a dead path that neither lets
// go nor refuses for one Master_Down_Interval (R1).
func (d *decider) overrule(holder *Peer) {
	m := &d.Memory
	if m.deadSince.IsZero() || m.silence == SilenceNone {
		return
	}
	since := later(m.deadSince, m.ask.notBefore)
	due := since.Add(d.Unit.masterDown())
	if d.Now.Before(due) {
		d.wake(due)
		return
	}
	own := TenureID{holder.Boot, holder.Claim.Tenure.Seq}
	if m.acted == own || d.Disarmed || !d.Unit.Eligible {
		return
	}
	m.acted, m.holder, m.overruled, m.actedAt = own, own, own, d.Now
	m.hold = Hold{}
	d.takeOver(d.rank(own), fmt.Sprintf("dead_path: %s claims the unit, its addresses have not answered for %v, and it neither lets go nor refuses",
		holder.Node, d.Now.Sub(m.deadSince).Round(time.Millisecond)))
}

// pathDead reports whether a peer that claims the unit has a dead data path,
// as far as this node's probes and its own record show.
func (d *decider) pathDead(p *Peer) bool {
	if p.Claim.Path == PathLost {
		return true
	}
	if d.Memory.overruled == (TenureID{p.Boot, p.Claim.Tenure.Seq}) && !p.provesPath(d.Memory.silentSince) {
		return true
	}
	if p.Claim.Path == PathAlive || p.Claim.Path == PathSuspended || len(d.Evidence.Networks) == 0 {
		return false // it gets answers, whether this node does or not
	}
	for i := range d.Evidence.Networks {
		n := &d.Evidence.Networks[i]
		if m := n.member(p.Node); n.Fabric || m == nil || !m.known() || !n.silent(m.Echo) {
			return false
		}
	}
	return true
}

func (d *decider) silentHolder(holder *Peer) Alert {
	what := "neither its own address nor those of the unit answer"
	if d.Memory.silence == SilenceVIP {
		what = "its own address answers, those of the unit do not"
	}
	return Alert{
		Kind: DeadPath, Unit: d.Unit.Name, Peer: holder.Node, Since: d.Memory.deadSince,
		Summary: fmt.Sprintf("%s: %s claims it, but %s", d.Unit.Name, holder.Node, what),
		Evidence: []string{
			fmt.Sprintf("mesh: %s claims MASTER in %s", holder.Node, d.heard(holder)),
			fmt.Sprintf("arp/nd: %s", d.Evidence.describe(d.Now)),
			d.lastAdvert(holder.Node, d.Node, heardFrom(d.Unit, holder)),
		},
		Remedy: fmt.Sprintf("look at the cable, switch port and VLAN of %s, and at its firewall", holder.Node),
	}
}

// complaint is why this node asks the holder for the unit, apart from
// priorities and wishes; SilenceNone: it does not.
func (d *decider) complaint(holder *Peer) Silence {
	m := &d.Memory
	if holder == nil {
		m.relief, m.lossSeen = time.Time{}, time.Time{}
		m.silence, m.silentSince, m.deadSince = SilenceNone, time.Time{}, time.Time{}
		return SilenceNone
	}
	relieve, silence := d.mayRelieve(holder), d.deadPath(holder)
	switch {
	case d.Evidence.Path.lastRank():
		return SilenceNone // it would be no better here
	case relieve:
		return SilenceSaid
	}
	return silence
}

// probePatience is how long a holder waits for an answer to its own probe
// before it lets go because its path is said to be dead.
const probePatience = time.Second

// awaitProbe reports whether the holder should still wait for an answer to a
// probe that it began after somebody said that its path is dead.
func (d *decider) awaitProbe() bool {
	a := &d.Memory.accused
	if a.first.IsZero() || d.Now.Sub(a.last) > refusalLife {
		a.first = d.Now
	}
	a.last = d.Now
	e := &d.Evidence
	if e.Path == PathLost || !e.PathBegan.Before(a.first) {
		return false
	}
	d.Look = true
	due := a.first.Add(probePatience)
	d.wake(due)
	return d.Now.Before(due)
}

// rebut is the holder's answer to one who says that it does not answer; empty:
// it lets go.
func (d *decider) rebut(p *Peer, s Silence) string {
	e := &d.Evidence
	switch s {
	case SilenceSaid:
		switch {
		case !e.Path.lastRank():
			return "the data path of " + d.Node + " is alive again"
		case !p.provesPath(e.PathSince):
			return "the data path of " + p.Node + " is not proved since"
		}
	case SilencePath:
		if e.Path == PathAlive && !e.PathBegan.Before(d.Memory.accused.first) {
			return "a probe of " + d.Node + " is answered"
		}
	}
	return ""
}

// about says what a request means, for people.
func (s Silence) about(holder string) string {
	switch s {
	case SilenceVIP:
		return "gets no answer from the unit's addresses, while that of " + holder + " answers"
	case SilencePath:
		return "gets no answer from " + holder + ", while others answer (dead_path)"
	case SilenceSaid:
		return "has a live data path, and " + holder + " has none"
	}
	return "was asked to"
}

// extend keeps the life from preempting, for longer each time.
func (s *shunning) extend(now time.Time, boot BootID) {
	span := firstSuspension
	if s.boot == boot && now.Sub(s.until) < lastSuspension {
		span = min(max(2*s.span, firstSuspension), lastSuspension)
	}
	*s = shunning{boot, now.Add(span), span}
}
