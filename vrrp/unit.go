package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Unit is what changes state together: a sync group, or one instance in none.
// It is MASTER only when every member may be, and one member's fault is the
// fault of all. It belongs to one goroutine: it has no lock and starts nothing.
type Unit struct {
	spec     UnitSpec
	machines []*machine // as spec.Instances

	state  State
	since  time.Time
	reason string
	tenure Tenure

	started bool
	startAt time.Time // end of the start-up delay, or of what heir leaves
	heir    Heritage  // to be taken up; Held only until it is, or is lost

	hold           Hold
	takeOverAt     time.Time // zero: no TakeOver is pending
	takeOverReason string
	doubts         int // how often in a row Late has put a take-over off
	members        []netip.Addr
	mayPreempt     time.Time // no preemption before, after a pause or a crash

	wants    Want
	deadline time.Time
	actions  []Action
}

// NewUnit returns a unit in INIT. Startup wakes it. The unit has one instance
// at least.
func NewUnit(spec UnitSpec) *Unit {
	u := &Unit{spec: spec}
	for _, in := range spec.Instances {
		u.machines = append(u.machines, newMachine(in))
	}
	return u
}

// Stagger makes the second advert of each tenure, and with it all later ones, come
// a little early: by place modulo 16 times 1/256 of the interval. Units that became
// MASTER in one moment would otherwise send all their adverts in one batch for ever,
// and the time that the kernel takes for a batch of hundreds varies by a
// millisecond.
func (u *Unit) Stagger(place int) {
	for _, m := range u.machines {
		m.lead = time.Duration(place%16) * m.spec.AdvertInterval / 256
	}
}

// Deadline is when the shell must next deliver a Tick; zero means never.
func (u *Unit) Deadline() time.Time { return u.deadline }

// Step applies ev at time now and returns what the shell must do, in order.
// The slice is valid until the next call. An event that names an instance
// which the unit does not have is ignored.
//
// After a Respec the shell itself removes the addresses and routes that the
// new specification lacks; what a MASTER gains comes as Claim.
func (u *Unit) Step(now time.Time, ev Event) []Action {
	u.actions = u.actions[:0]
	// The event counts before the timers: an advert that is here already was
	// sent before the timer that waits for it ended.
	u.apply(now, ev)
	u.settle(now)
	u.wants = u.reckonWants(now)
	u.deadline = u.reckonDeadline(now)
	return u.actions
}

func (u *Unit) apply(now time.Time, ev Event) {
	switch ev := ev.(type) {
	case Tick:
	case Startup:
		if u.state == Init && !u.started {
			u.started, u.startAt = true, now.Add(ev.Delay)
			if ev.Recovered {
				u.probation(u.startAt)
			}
			u.tenure.Seq = max(u.tenure.Seq, ev.Heritage.Tenure.Seq)
			if ev.Heritage.Held {
				u.heir, u.tenure, u.startAt = ev.Heritage, ev.Heritage.Tenure, now.Add(ev.Heritage.Left)
			}
		}
	case Advert:
		if m := u.machine(ev.Instance); m != nil {
			u.hear(now, m, ev)
		}
	case Late:
		u.doubt(now, ev.Hearing)
	case TrackResult:
		for _, m := range u.machines {
			if m.result(ev) {
				m.reprioritize()
			}
		}
	case SourceChanged:
		if m := u.machine(ev.Instance); m != nil {
			m.source, m.sourceKnown = ev.Source, true
		}
	case ClaimFailed:
		if m := u.machine(ev.Instance); m != nil && u.state == Master {
			m.claimFault = ev.Reason
			m.claimRetry = now.Add(max(ev.Retry, minClaimRetry))
		}
	case Respec:
		u.respec(now, ev.Spec)
	case Shutdown:
		u.shutdown(now, ev.Reason)
	case Paused:
		u.resume(now, ev.For)
	case Hold:
		u.heed(now, ev)
	case TakeOver:
		u.succeed(now, ev)
	case Yield:
		u.yield(now, ev)
	case Members:
		u.members = slices.Clone(ev.Addrs)
	case Lease: // the shell's: it opens the kernel gate
	case Reannounce:
		if u.state == Master {
			u.announceAgain(now)
		}
	default:
		panic(fmt.Sprintf("vrrp: unit %s: unknown event %T", u.spec.Name, ev))
	}
}

// minClaimRetry keeps a claim that fails without a time to retry from being
// tried again in the same breath.
const minClaimRetry = 100 * time.Millisecond

// machine is the member of that name, or nil.
func (u *Unit) machine(name string) *machine {
	for _, m := range u.machines {
		if m.spec.Name == name {
			return m
		}
	}
	return nil
}

// hear takes an advert that passed the checks of reception. INIT and FAULT
// ignore it.
func (u *Unit) hear(now time.Time, m *machine, ev Advert) {
	if (u.state != Backup && u.state != Master) || m.ignores(ev) {
		return
	}
	m.last = AdvertSeen{From: ev.From, Priority: ev.Priority, Interval: ev.Interval, At: now}
	if u.state == Backup {
		if ev.Priority != 0 {
			u.takeOverAt = time.Time{} // somebody serves
			u.doubts = 0
		}
		m.hearInBackup(now, ev, u.mayPreempt, u.unmet(ev))
		return
	}
	u.hearInMaster(now, m, ev)
}

// hearInMaster is RFC 9568 section 6.4.3.
func (u *Unit) hearInMaster(now time.Time, m *machine, ev Advert) {
	switch {
	// "If the Priority in the ADVERTISEMENT is zero": another master leaves;
	// the others must hear at once that this one stays.
	case ev.Priority == 0:
		u.send(m, m.priority)
		m.adverTimer = now.Add(m.spec.AdvertInterval)

	case m.outranked(ev):
		if u.isMember(ev.From) {
			return // settled by comparing tenures, not present priorities
		}
		if m.spec.HigherPrioSendAdvert {
			u.send(m, m.priority)
		}
		reason := fmt.Sprintf("advert from %v with priority %d, ours is %d", ev.From, ev.Priority, m.priority)
		if ev.Priority == m.priority {
			reason = fmt.Sprintf("advert from %v with our priority %d and a higher address", ev.From, m.priority)
		}
		u.becomeBackup(now, u.about(m, reason), silently)
		if m.spec.Version == 3 {
			m.enterBackup(now, ev.Interval)
		}

	// RFC 9568: answer at once, so that the sender and the bridges learn who
	// is master. Earlier RFCs say nothing.
	case m.answer(now):
		u.actions = append(u.actions, NoteLowerPriority{m.spec.Name, ev.From, ev.Priority})
		if !m.spec.LowerPrioNoAdvert {
			u.send(m, m.priority)
		}
		u.announceAgain(now)
	}
}

// settle does what the timers and the health of the members call for.
func (u *Unit) settle(now time.Time) {
	healthy := true
	for _, m := range u.machines {
		m.expireClaimFault(now)
		healthy = healthy && m.healthy()
	}

	switch u.state {
	case Init:
		u.leaveInit(now, healthy)
	case Fault:
		if healthy {
			u.becomeBackup(now, "no fault is left", silently)
		}
	case Backup:
		switch ready, takeAt := u.readyAt(), u.takeAt(); {
		case !healthy:
			u.becomeFault(now)
		case passed(u.takeOverAt, now):
			u.becomeMaster(now, u.takeOverReason)
		case u.asks(), now.Before(takeAt):
		case takeAt.After(ready):
			u.becomeMaster(now, "hold ended "+ago(now, u.hold.Until)+" ("+u.hold.Reason+"), "+u.silence(now))
		default:
			u.becomeMaster(now, u.silence(now))
		}
	case Master:
		if !healthy {
			u.becomeFault(now)
			return
		}
		for _, m := range u.machines {
			if m.adverDue(now) {
				u.send(m, m.priority)
			}
			u.announce(m, m.announce.due(now, m.spec.Announce))
		}
	default:
		panic(fmt.Sprintf("vrrp: unit %s: unknown state %d", u.spec.Name, u.state))
	}
}

func (u *Unit) leaveInit(now time.Time, healthy bool) {
	if !u.started || u.leaveInitAsHeir(now) {
		return
	}
	if now.Before(u.startAt) {
		u.reason = "start-up delay"
		return
	}
	owner := true
	for _, m := range u.machines {
		if what := m.awaited(); what != "" {
			u.reason = u.about(m, what)
			return
		}
		owner = owner && m.spec.StartMaster && m.spec.Priority == Owner
	}
	switch {
	case !healthy:
		u.becomeFault(now)
	// RFC 9568 section 6.4.1: the owner of the addresses waits for nobody.
	case owner:
		u.becomeMaster(now, "started as owner of the addresses")
	default:
		u.becomeBackup(now, "started", silently)
		for _, m := range u.machines {
			if u.spec.Group && m.spec.StartMaster {
				// keepalived: in a group, `state MASTER` waits for one advert.
				m.masterDownTimer = now.Add(m.spec.AdvertInterval + m.spec.AdvertInterval/256)
			}
		}
	}
}

// asks says that the unit becomes MASTER only when it is told to: whoever does has
// a majority's word for it. Silence alone only makes it want to.
func (u *Unit) asks() bool { return u.spec.asks() }

// readyAt is when the last Master_Down_Timer of the members ends.
func (u *Unit) readyAt() time.Time { return u.lastToWait().masterDownTimer }

// takeAt is when the unit becomes MASTER if nothing is heard: when all timers
// have ended, but not before a hold and the rank behind it.
func (u *Unit) takeAt() time.Time {
	at := u.readyAt()
	if held := u.hold.Until; !held.IsZero() {
		if held = held.Add(u.hold.Rank); held.After(at) {
			at = held
		}
	}
	return at
}

// lastToWait is the member whose timer ends last.
func (u *Unit) lastToWait() *machine {
	last := u.machines[0]
	for _, m := range u.machines[1:] {
		if m.masterDownTimer.After(last.masterDownTimer) {
			last = m
		}
	}
	return last
}

func (u *Unit) reckonDeadline(now time.Time) time.Time {
	var due time.Time
	switch u.state {
	case Init:
		if u.started && now.Before(u.startAt) {
			due = u.startAt
		}
	case Fault:
		for _, m := range u.machines {
			due = earliest(due, m.claimRetry)
		}
	case Backup:
		due = u.readyAt()
		if !now.Before(due) {
			due = u.wantsUntil(now)
			if !u.asks() {
				due = earliest(u.takeAt(), due)
			}
		}
		due = earliest(due, u.takeOverAt)
	case Master:
		for _, m := range u.machines {
			due = earliest(due, earliest(m.adverTimer, m.announce.next()))
		}
	}
	return due
}
