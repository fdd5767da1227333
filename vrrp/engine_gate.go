package vrrp

import (
	"slices"
	"time"
)

// unitGate is a unit's slot in the kernel gate, and what the engine knows of it.
type unitGate struct {
	slot    GateSlot      // nil while there is nothing to guard
	renewal time.Duration // for how long one opens it at most; 0: the unit has no gate
	missing string        // why it has none though the spec wants one
	granted Lease         // the last one, for the tenure that it names
	expiry  time.Time     // of the addresses, while the granted lease alone renews them
	renews  bool          // the present pass renews them by it
	bridged time.Time     // until when it holds without a lease; see engine_policy.go
	due     bool          // the unit is in loop.renewing
	closing bool          // the unit is in loop.closing
}

// guarded says whether u is to have a slot.
func (l *loop) guarded(u *unitShell) bool { return u.gate.renewal > 0 && l.opts.Gate != nil }

// setGate finds out whether a unit with this specification can have a gate.
func (l *loop) setGate(u *unitShell) {
	u.gate.renewal, u.gate.missing = 0, ""
	if u.spec.KernelLease == NoKernelLease || u.spec.KernelLease == LeaseByLifetime {
		return
	}
	if l.opts.Gate == nil {
		u.gate.missing = l.opts.GateMissing
		return
	}
	u.gate.renewal, u.gate.missing = u.spec.renewal()
}

// look reads the clocks before a unit behind a gate that may become MASTER is told
// anything, and returns when. A tenure counts from there: the evidence is looked at
// afterwards, and however long this process stands still in between, the gate
// closes in time.
func (l *loop) look(u *unitShell) time.Duration {
	if !l.guarded(u) || u.holds() {
		return 0
	}
	t0 := l.opts.Gate.Now()
	l.now = time.Now()
	return t0
}

// enter opens the gate for a tenure that began on evidence looked at after t0. What
// it returns is for how long the process stood still since, if that was too long:
// others may have spoken meanwhile.
func (l *loop) enter(u *unitShell, t0 time.Duration) (stood time.Duration) {
	if !l.guarded(u) || !l.guard(u) {
		return 0
	}
	if u.spec.KernelLease == LeaseByEvents {
		l.openByEvent(u)
		return 0
	}
	for _, i := range u.instances {
		i.speaks = t0 + i.spec.lease()
	}
	if stood = l.opts.Gate.Now() - t0; stood >= leastPause {
		l.shut(u)
		return stood
	}
	l.openByAdverts(u)
	return 0
}

// reguard makes the gate of a MASTER fit what has changed: its specification, or
// the number of its link.
func (l *loop) reguard(u *unitShell) {
	switch {
	case u.machine.state != Master:
	case !l.guarded(u):
		l.free(u)
	case u.gate.slot == nil && l.bridges(u): // its first lease opens one
	case u.gate.slot == nil:
		// It begins in the middle of a tenure. The last adverts left an interval
		// ago at most, which the lease allows for.
		if stood := l.enter(u, l.opts.Gate.Now()); stood > 0 {
			l.step(u, Paused{For: stood})
		}
	case !l.guard(u):
		l.unguarded(u)
	}
}

// guard enters what the unit holds, and what it could not remove, into its slot. It
// says whether that worked: a unit without a gate is served all the same, and its
// status says so.
func (l *loop) guard(u *unitShell) bool {
	err := l.tryGuard(u)
	if err == nil {
		u.gate.missing = ""
		return true
	}
	l.opts.Log.Error("unit has no kernel gate: should this process hang, its addresses answer until their lifetime ends",
		"unit", u.spec.Name, "err", err)
	u.gate.missing = err.Error()
	l.free(u)
	return false
}

func (l *loop) tryGuard(u *unitShell) error {
	var what Guarded
	for _, i := range u.instances {
		index := l.links[i.spec.Interface].Index
		err := l.opts.Gate.Guards(index)
		for _, a := range i.spec.held() {
			if err == nil && a.Interface != i.spec.Interface {
				err = l.opts.Gate.Guards(l.links[a.Interface].Index)
			}
		}
		if err != nil {
			return err
		}
		what.Routers = append(what.Routers, GuardedRouter{index, i.spec.Family, i.spec.VRID})
		what.Addresses = l.guardedAddresses(what.Addresses, i.spec.held())
		for _, o := range l.leftovers {
			if o.instance == i.spec.Name {
				what.Addresses = l.guardedAddresses(what.Addresses, o.addrs)
			}
		}
	}
	if u.gate.slot == nil {
		slot, err := l.opts.Gate.NewSlot()
		if err != nil {
			return err
		}
		u.gate.slot = slot
	}
	return u.gate.slot.Guard(what)
}

func (l *loop) guardedAddresses(list []GuardedAddress, addrs []Address) []GuardedAddress {
	for _, a := range addrs {
		list = append(list, GuardedAddress{a.Prefix.Addr(), l.links[a.Interface].Index})
	}
	return list
}

// openByAdverts lets the unit pass for as long as the last adverts of all its
// instances speak for it. With several intervals in one group that is the least of
// their ends, and not a number of the shortest interval: the timer that a peer runs
// for one instance knows nothing of the adverts of another.
func (l *loop) openByAdverts(u *unitShell) {
	deadline := u.instances[0].speaks
	for _, i := range u.instances[1:] {
		deadline = min(deadline, i.speaks)
	}
	l.openUntil(u, deadline)
}

// openByEvent lets the unit pass for as long as it was granted. Without a grant for
// this tenure the gate stays closed.
func (l *loop) openByEvent(u *unitShell) {
	var deadline time.Duration
	if u.gate.granted.Tenure == u.machine.tenure.Seq {
		deadline = l.opts.Gate.At(u.gate.granted.Until)
	}
	l.openUntil(u, deadline)
}

func (l *loop) openUntil(u *unitShell, deadline time.Duration) {
	from := deadline
	if from == 0 {
		from = l.opts.Gate.Now()
	}
	u.gate.slot.Open(deadline, from+l.lifetime(u)+lifetimeBeyond+lingering)
}

// shut closes the gate of a unit that lets go. What it guards stays entered until
// the addresses are known to be gone.
func (l *loop) shut(u *unitShell) {
	u.gate.bridged = time.Time{} // its tenure is over
	if u.gate.slot == nil {
		return
	}
	u.gate.slot.Close()
	if !u.gate.closing {
		u.gate.closing = true
		l.closing = append(l.closing, u)
	}
}

// speak notes that an advert of i is about to leave.
func (l *loop) speak(i *instanceShell) {
	if i.unit.gate.slot == nil {
		return
	}
	l.speaking = append(l.speaking, i)
}

// prolong renews the gates whose adverts left between two readings of the clock.
// That the deadline in force was still ahead after the last one had been sent
// proves that the gate dropped none. A gate found closed is a lost tenure.
func (l *loop) prolong(before, after time.Duration) {
	l.renewing = l.renewing[:0]
	for _, i := range l.speaking {
		u := i.unit
		i.speaks = before + i.spec.lease()
		if u.gate.slot != nil && !u.gate.due {
			u.gate.due = true
			l.renewing = append(l.renewing, u)
		}
	}
	clear(l.speaking)
	l.speaking = l.speaking[:0]
	for _, u := range l.renewing {
		u.gate.due = false
		switch deadline := u.gate.slot.Deadline(); {
		case after >= deadline:
			l.lapse(u, after-deadline)
		case u.spec.KernelLease == LeaseByAdverts || l.bridges(u):
			l.openByAdverts(u)
		}
	}
}

// lapse ends a tenure whose gate ran out. Others may hold the addresses.
func (l *loop) lapse(u *unitShell, since time.Duration) {
	if u.machine.state != Master {
		return
	}
	l.opts.Log.Error("kernel lease ran out before it was renewed", "unit", u.spec.Name)
	l.step(u, Paused{For: since + u.gate.renewal})
}

// grant takes a Lease. It belongs to one tenure, and cannot revive one that is
// lost.
func (l *loop) grant(u *unitShell, lease Lease) {
	if !u.spec.asks() {
		return
	}
	u.gate.granted = lease
	if u.machine.state != Master || lease.Tenure != u.machine.tenure.Seq {
		return // kept for the tenure that it names
	}
	bridged := !u.gate.bridged.IsZero()
	u.gate.bridged = time.Time{}
	if u.gate.slot == nil {
		if bridged {
			lifetime := l.lifetime(u)
			l.reguard(u)
			l.relive(u, lifetime)
		}
		l.renewAt = l.now // which finds out whether it may
		return
	}
	now, deadline := l.opts.Gate.Now(), u.gate.slot.Deadline()
	if now >= deadline {
		l.lapse(u, now-deadline)
		return
	}
	l.openByEvent(u)
}

// ballot is that of the lease by which the unit holds, or held last: 0 for none.
func (u *unitShell) ballot() uint64 {
	if !u.spec.asks() || u.gate.granted.Tenure != u.machine.tenure.Seq {
		return 0
	}
	return u.gate.granted.Ballot
}

// freeClosed gives back the slots whose addresses are known to be gone.
func (l *loop) freeClosed() {
	if len(l.closing) == 0 {
		return
	}
	l.closing = slices.DeleteFunc(l.closing, func(u *unitShell) bool {
		switch {
		case u.machine.state == Master: // again, with the same slot
		case u.pending > 0 || u.holds() || l.lingers(u):
			return false
		default:
			l.free(u)
		}
		u.gate.closing = false
		return true
	})
}

func (l *loop) free(u *unitShell) {
	if u.gate.slot == nil {
		return
	}
	if err := u.gate.slot.Free(); err != nil {
		l.opts.Log.Warn("slot of the kernel gate was not freed", "unit", u.spec.Name, "err", err)
	}
	u.gate.slot = nil
}

// lifetime is that of the addresses of a unit.
func (l *loop) lifetime(u *unitShell) time.Duration {
	if u.gate.slot == nil {
		return l.opts.Lease
	}
	return lifetimeBehind(u.gate.renewal)
}

// renewAfter is the longest time between two renewals of addresses that live so
// long: RenewEvery for those that have only the lifetime Lease, and more for those
// that have more.
func (l *loop) renewAfter(lifetime time.Duration) time.Duration {
	if lifetime <= l.opts.Lease {
		return l.opts.RenewEvery
	}
	return time.Duration(float64(l.opts.RenewEvery) * (float64(lifetime) / float64(l.opts.Lease)))
}

// renewEvery is the time between two passes over all addresses.
func (l *loop) renewEvery() time.Duration {
	shortest := longestLifetime
	for _, u := range l.units {
		if u.holds() {
			shortest = min(shortest, l.lifetime(u))
		}
	}
	return l.renewAfter(shortest)
}

// gateStatus is what is published of the gate.
func (l *loop) gateStatus(u *unitShell) GateStatus {
	s := GateStatus{Lease: u.gate.renewal, Missing: u.gate.missing}
	if s.Missing != "" {
		s.Lease = 0
	}
	if u.gate.slot != nil {
		s.Left = max(0, u.gate.slot.Deadline()-l.opts.Gate.Now())
	}
	return s
}
