package vrrp

import (
	"context"
	"time"
)

// Heritage is what a process that ends hands to the next one, of one unit: the
// tenure goes on, and nobody else sees a change of state.
type Heritage struct {
	Unit   string
	Tenure Tenure // the present one when Held, the last one otherwise
	Held   bool   // the unit is MASTER, and its addresses are claimed

	Age  time.Duration // for which it has held
	Left time.Duration // within which it must advertise again, or the tenure is lost

	Granted Lease // the last one, of a unit that is told when to hold
}

// Freeze ends the engine without letting go: no goodbye, and the addresses stay,
// with their whole lifetime. Units whose Left would be below least say goodbye as
// ever, because nobody can start a process so soon. The engine has stopped when it
// returns; Run goes on until its context ends.
func (e *Engine) Freeze(ctx context.Context, least time.Duration) ([]Heritage, error) {
	var all []Heritage
	err := e.do(ctx, func(l *loop) { all = l.freeze(least) })
	return all, err
}

func (l *loop) freeze(least time.Duration) []Heritage {
	l.speakLast()
	for _, u := range l.units {
		if l.inheritable(u) < least {
			l.step(u, Shutdown{Reason: "the daemon is restarted"})
		}
	}
	l.settle()
	l.publish()
	var all []Heritage
	for _, u := range l.units {
		h := Heritage{Unit: u.spec.Name, Tenure: u.machine.tenure, Granted: u.gate.granted}
		if u.machine.state == Master && u.pending == 0 {
			h.Held = true
			for _, i := range u.instances {
				h.Held = h.Held && i.claimed
			}
			h.Age, h.Left = l.now.Sub(u.machine.since), l.inheritable(u)
		}
		all = append(all, h)
	}
	if l.claims > 0 {
		except, _ := l.notRenewed()
		if err := l.opts.Kernel.Renew(except...); err != nil {
			l.opts.Log.Error("addresses were not renewed", "err", err)
		}
	}
	l.closeSockets()
	// What is left of this turn finds nothing to do, and tells nobody that the
	// units are no more.
	l.units, l.schedule, l.ops, l.nextOp, l.leftovers = nil, nil, nil, 0, nil
	l.claims, l.announces.bursts, l.announces.next = 0, nil, time.Time{}
	l.dirty, l.publishAt, l.retryAt = false, time.Time{}, time.Time{}
	l.ended = true
	return all
}

// speakLast sends an advert of all that is held: the peers' timers and the gates
// count from now on, and not from the last advert that was due, which may lie almost
// an interval back.
func (l *loop) speakLast() {
	for _, u := range l.units {
		if u.machine.state != Master || u.pending > 0 {
			continue
		}
		for n, i := range u.instances {
			l.stage(i, u.machine.machines[n].priority)
		}
	}
	l.flush()
}

// inheritMargin is what the heir may be late by between its look at the clock and
// its first advert.
const inheritMargin = 50 * time.Millisecond

// inheritable is for how long the tenure of a unit outlives its process: until then
// no backup's Master_Down_Timer ends (RFC 9568 section 6.1), and its gate is open.
// Addresses that the lease alone renews live for less than a restart takes, and an
// heir would find no lease for a unit that waits for its first.
func (l *loop) inheritable(u *unitShell) time.Duration {
	if (l.byLifetime(u) || l.bridges(u)) && u.machine.state == Master {
		return 0
	}
	left := 2 * u.shortest
	if u.gate.slot != nil && u.machine.state == Master {
		left = min(left, u.gate.slot.Deadline()-l.opts.Gate.Now())
	}
	return left - inheritMargin
}

// inherit makes the unit go on with the tenure of the process before: it sends
// and claims what it holds already, and nothing else changes for anybody.
func (u *Unit) inherit(now time.Time) {
	for _, m := range u.machines {
		m.enterMaster(now)
		u.send(m, m.priority)
	}
	for _, m := range u.machines {
		u.actions = append(u.actions, Claim{m.spec.Name})
	}
	u.state, u.since, u.reason = Master, now.Add(-u.heir.Age), "goes on from the process before"
	u.heir = Heritage{}
}

// disinherit gives up what could not be taken up in time. The kernel lets the
// addresses go; Release says that they are not this process's.
func (u *Unit) disinherit(now time.Time) {
	for _, m := range u.machines {
		u.actions = append(u.actions, Release{m.spec.Name})
	}
	u.heir, u.startAt = Heritage{}, now
}

// leaveInitAsHeir says whether the unit is an heir: it waits for what it needs in
// order to send, and for nothing else, until its time is over.
func (u *Unit) leaveInitAsHeir(now time.Time) bool {
	switch {
	case !u.heir.Held:
		return false
	case !now.Before(u.startAt):
		u.disinherit(now)
		return false
	}
	for _, m := range u.machines {
		if !m.sourceKnown {
			u.reason = u.about(m, "waiting for the source address on "+m.spec.Interface)
			return true
		}
		if !m.healthy() {
			u.disinherit(now)
			return false
		}
	}
	u.inherit(now)
	return true
}
