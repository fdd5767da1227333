package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// heed takes a Hold: whoever decides it knows of a holder by other means.
func (u *Unit) heed(now time.Time, ev Hold) {
	u.hold = ev
	if ev.Until.After(now) {
		u.takeOverAt = time.Time{}
		u.doubts = 0
	}
}

// succeed takes a TakeOver. It is newer knowledge than the hold before it.
func (u *Unit) succeed(now time.Time, ev TakeOver) {
	if u.state != Backup {
		return
	}
	// A timer that has ended already must not come before the delay.
	u.hold = Hold{Until: now.Add(ev.After), Rank: ev.After, Reason: ev.Reason}
	u.takeOverAt, u.takeOverReason = now.Add(ev.After), ev.Reason
}

// maxDoubts bounds how often in a row a take-over is put off by Late: a machine that
// is always late must still take over.
const maxDoubts = 3

// mayDoubt says whether Late would put off what the unit is about to do.
func (u *Unit) mayDoubt(now time.Time) bool {
	switch {
	case u.state != Backup || u.doubts == maxDoubts:
		return false
	case passed(u.takeOverAt, now):
		return true
	case u.asks():
		return u.wants == WantNothing && !now.Before(u.readyAt())
	default:
		return !now.Before(u.takeAt())
	}
}

// doubt takes Late. Whoever asks for a lease needs no turn: the voters decide.
func (u *Unit) doubt(now time.Time, hearing time.Duration) {
	if !u.mayDoubt(now) {
		return
	}
	u.doubts++
	until, rank := now.Add(hearing), u.hold.Rank
	switch {
	case u.asks():
		rank = 0
		if m := u.lastToWait(); u.wants == WantNothing && m.masterDownTimer.Before(until) {
			m.masterDownTimer = until
		}
	case until.After(u.hold.Until):
		u.hold.Until = until
		if u.hold.Reason == "" {
			u.hold.Reason = "for adverts that were not read yet"
		}
	}
	if passed(u.takeOverAt, now) {
		u.takeOverAt = until.Add(rank)
	}
}

// yield takes a Yield. A verdict about an ended tenure is void.
func (u *Unit) yield(now time.Time, ev Yield) {
	if u.state != Master || ev.Tenure != u.tenure.Seq {
		return
	}
	if ev.Successor == "" {
		u.becomeBackup(now, "yields: "+ev.Reason, withGoodbye)
	} else {
		u.becomeBackup(now, "yields to "+ev.Successor+": "+ev.Reason, silently)
	}
}

// resume is R8: this process did not run. A MASTER's right to the addresses is
// over, and the silence that a BACKUP heard proves nothing.
func (u *Unit) resume(now time.Time, pause time.Duration) {
	u.probation(now)
	u.takeOverAt = time.Time{}
	switch u.state {
	case Master:
		// A successor may reign already: a goodbye would send its backups after
		// it. Where none does, their timers are about to end.
		u.becomeBackup(now, fmt.Sprintf("did not run for %.2f s", pause.Seconds()), silently)
	case Backup:
		for _, m := range u.machines {
			if due := now.Add(m.masterDownInterval()); due.After(m.masterDownTimer) {
				m.masterDownTimer, m.goodbye = due, AdvertSeen{}
			}
		}
	case Init, Fault:
	default:
		panic(fmt.Sprintf("vrrp: unit %s: unknown state %d", u.spec.Name, u.state))
	}
}

// probation keeps a unit that has just failed from preempting before it has been in
// order for a while (R8).
func (u *Unit) probation(now time.Time) {
	for _, m := range u.machines {
		if until := now.Add(max(m.spec.PreemptDelay, 3*m.masterDownInterval())); until.After(u.mayPreempt) {
			u.mayPreempt = until
		}
	}
}

// reckonWants is what a BACKUP would do if no hold stood.
func (u *Unit) reckonWants(now time.Time) Want {
	switch {
	case u.state != Backup || now.Before(u.readyAt()):
		return WantNothing
	case !u.wantsUntil(now).IsZero():
		return WantPreempt
	default:
		return WantHeld
	}
}

// wantsUntil is when lower-priority adverts of members count as ended if no
// more come; zero when there are none.
func (u *Unit) wantsUntil(now time.Time) time.Time {
	var until time.Time
	for _, m := range u.machines {
		if m.lower.At.IsZero() || !u.isMember(m.lower.From) {
			continue
		}
		if end := m.lower.At.Add(m.masterDownInterval()); end.After(now) && end.After(until) {
			until = end
		}
	}
	return until
}

// unmet says that an advert comes from a member with which this node is not in
// two-way contact, or not yet again, although it settles with members who holds.
func (u *Unit) unmet(ev Advert) bool { return ev.Kin && u.members != nil && !u.isMember(ev.From) }

func (u *Unit) isMember(addr netip.Addr) bool { return slices.Contains(u.members, addr) }
