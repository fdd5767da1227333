package vrrp

import (
	"fmt"
	"time"
)

// A unit that holds by the event Lease and has no gate is bound by the lifetime of
// its addresses alone (rule R7b): it is the shortest that the kernel knows, and
// renewed only soon after the request that a majority has answered.

const (
	// lifetimeReach is how far ahead the lease must reach when addresses are added
	// or renewed for one second. The kernel removes them up to 1.05 s late, so they
	// are gone when a gate would have closed. At the shortest lease of 2.5 s, of
	// which the holder counts 0.85 and 20 ms less, a renewal comes within 75 ms of
	// its request.
	lifetimeReach = 2030 * time.Millisecond
	// lifetimeSlack is how much less may be left when the kernel has answered. The
	// lifetime is counted from then on, and nothing else tells a process that was
	// stopped in between.
	lifetimeSlack = 100 * time.Millisecond
	// lifetimeRetry is for how long a unit is in FAULT whose lease does not reach.
	lifetimeRetry = time.Second
)

// asks says that a unit with this specification becomes MASTER only when it is told
// to, and stays it for as long as the last Lease says.
func (s *UnitSpec) asks() bool {
	return s.KernelLease == LeaseByEvents || s.KernelLease == LeaseByLifetime
}

// byLifetime says whether the lease of the unit renews its addresses, and nothing
// else.
func (l *loop) byLifetime(u *unitShell) bool {
	return u.spec.asks() && u.gate.slot == nil && !l.bridges(u)
}

// leaseLeft is how far ahead the lease of the present tenure reaches.
func (l *loop) leaseLeft(u *unitShell) time.Duration {
	if u.machine.state != Master || u.gate.granted.Tenure != u.machine.tenure.Seq {
		return 0
	}
	return u.gate.granted.Until.Sub(l.opts.Clock())
}

// claimByLifetime is claim for such a unit. What its lease does not cover it must
// not hold: it is FAULT, and says why, until it gets a longer one. Addresses that
// are held already, and that somebody else has removed, come back with the next
// renewal.
func (l *loop) claimByLifetime(i *instanceShell) {
	u := i.unit
	if i.claimed && time.Now().Before(u.gate.expiry) && l.leaseLeft(u) < lifetimeReach {
		return
	}
	if left := l.leaseLeft(u); left < lifetimeReach {
		l.uncovered(u, i.spec.Name, left)
		return
	}
	u.gate.expiry = time.Now().Add(l.opts.Lease)
	l.claimNow(i)
	l.stillCovered(u)
}

// uncovered ends a tenure whose lease is too short for addresses without a gate.
func (l *loop) uncovered(u *unitShell, instance string, left time.Duration) {
	why := "kernel_lease is off"
	if u.gate.missing != "" {
		why = "no kernel gate: " + u.gate.missing
	}
	reason := fmt.Sprintf("addresses would outlast the lease: it has %v left, and they need %v (%s)",
		max(left, 0).Round(time.Millisecond), lifetimeReach, why)
	l.opts.Log.Error("addresses not added", "instance", instance, "reason", reason)
	l.step(u, ClaimFailed{Instance: instance, Reason: reason, Retry: lifetimeRetry})
}

// stillCovered ends a tenure if this process was stopped while the kernel was told:
// the addresses live on, for longer than the lease.
func (l *loop) stillCovered(u *unitShell) {
	if left := l.leaseLeft(u); u.machine.state == Master && left < lifetimeReach-lifetimeSlack {
		l.opts.Log.Error("this process stood still while addresses were renewed", "unit", u.spec.Name)
		l.step(u, Paused{For: lifetimeReach - left})
	}
}

// notRenewed names the instances that a pass of renewals must leave out, and says
// whether that is all that is held. A unit whose addresses have not been renewed
// for their lifetime has lost its tenure.
func (l *loop) notRenewed() (except []string, all bool) {
	now := time.Now()
	left := l.claims
	for _, u := range l.units {
		u.gate.renews = false
		if !l.byLifetime(u) {
			continue
		}
		held := u.holds()
		if held && u.gate.expiry.IsZero() {
			// It asks since a moment ago. The last pass was RenewEvery ago at most.
			u.gate.expiry = now.Add(l.opts.Lease - l.opts.RenewEvery)
		}
		if held && !now.Before(u.gate.expiry) {
			l.opts.Log.Error("addresses were not renewed in their lifetime: no majority has answered soon enough", "unit", u.spec.Name)
			l.step(u, Paused{For: now.Sub(u.gate.expiry) + l.opts.Lease})
			left = l.claims
			held = false
		}
		if held && l.leaseLeft(u) >= lifetimeReach {
			u.gate.renews, u.gate.expiry = true, now.Add(l.opts.Lease)
			continue
		}
		for _, i := range u.instances {
			except = append(except, i.spec.Name)
			if i.claimed {
				left--
			}
		}
	}
	return except, left <= 0
}

// renewedByLifetime looks at the clock after a pass.
func (l *loop) renewedByLifetime() {
	for _, u := range l.units {
		if u.gate.renews {
			u.gate.renews = false
			l.stillCovered(u)
		}
	}
}

// unguarded is for a MASTER whose gate has gone. Its addresses live for as long as
// suits one: they are claimed again for less, or given up where that is too long
// for the lease.
func (l *loop) unguarded(u *unitShell) {
	if l.byLifetime(u) {
		l.uncovered(u, u.spec.Instances[0].Name, 0)
		return
	}
	for _, i := range u.instances {
		if i.claimed {
			l.accept(u, Claim{Instance: i.spec.Name})
		}
	}
}
