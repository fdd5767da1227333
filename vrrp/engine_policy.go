package vrrp

import "time"

// A tenure outlives a change of what keeps its gate open (F26, S76): policy mesh
// becomes quorum, or the other way round. Before its first lease is there it goes
// on by the rule under which it began; its gate closes in time all the same.

// changePolicy keeps a MASTER what it is when its specification names another
// kernel lease than before.
func (l *loop) changePolicy(u *unitShell, before *UnitSpec) {
	if u.spec.KernelLease == before.KernelLease {
		return
	}
	u.gate.expiry = time.Time{}
	if u.spec.asks() == before.asks() {
		return
	}
	// An earlier spell of policy quorum says nothing of this one.
	u.gate.granted, u.gate.bridged = Lease{}, time.Time{}
	switch {
	case u.machine.state != Master:
	case u.spec.asks():
		u.gate.bridged = l.now.Add(u.firstLeaseWithin())
	case u.gate.slot != nil && l.opts.Gate.Now() < u.gate.slot.Deadline():
		// The last advert may have to last for longer than the lease was good for.
		l.openByAdverts(u)
	}
}

// bridges says that a MASTER of policy quorum waits for its first lease.
func (l *loop) bridges(u *unitShell) bool { return l.now.Before(u.gate.bridged) }

// firstLeaseWithin is for how long at most a MASTER that needs a lease since a
// moment ago goes on without one. Whoever asks for it gives up in half that time
// and says why; this is for one that says nothing.
func (u *unitShell) firstLeaseWithin() time.Duration {
	within := u.spec.LeaseTime
	for _, m := range u.machine.machines {
		within = max(within, 3*m.masterDownInterval())
	}
	return 2 * within
}

// relive claims the addresses of a unit again when their lifetime was another one
// before.
func (l *loop) relive(u *unitShell, before time.Duration) {
	if l.lifetime(u) == before {
		return
	}
	for _, i := range u.instances {
		if i.claimed {
			l.accept(u, Claim{Instance: i.spec.Name})
		}
	}
}
