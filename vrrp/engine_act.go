package vrrp

import (
	"fmt"
	"time"
)

// claimRetry is for how long an instance stays in FAULT after its addresses
// could not be added.
const claimRetry = 5 * time.Second

// retryEvery is the time between two attempts at what did not work: opening a
// socket, releasing addresses.
const retryEvery = time.Second

// op is one action that waits for the kernel, or for one that does. Ops run in
// order, so what a unit asked for happens in the order it asked.
type op struct {
	unit   *unitShell
	action Action
}

// leftover is what an instance no longer holds but could not remove.
type leftover struct {
	instance string
	addrs    []Address
	routes   []Route
}

// accept starts an action, or queues it. Adverts of all units of a wake-up go
// out together and before any call of the kernel, unless they have to follow
// one (a goodbye follows the release).
func (l *loop) accept(u *unitShell, a Action) {
	if release, ok := a.(Release); ok {
		// From now on nothing is restored or announced any more.
		if i := u.instance(release.Instance); i != nil {
			l.setClaimed(i, false)
		}
		u.gate.expiry = time.Time{}
		l.shut(u) // before any address goes
	}
	switch a.(type) {
	case Claim, Release:
	default:
		if u.pending == 0 {
			l.perform(op{u, a})
			return
		}
	}
	u.pending++
	l.ops = append(l.ops, op{u, a})
}

// performNext does the oldest op. It says whether there was one.
func (l *loop) performNext() bool {
	if l.nextOp == len(l.ops) {
		clear(l.ops)
		l.ops, l.nextOp = l.ops[:0], 0
		return false
	}
	o := l.ops[l.nextOp]
	l.nextOp++
	o.unit.pending--
	l.perform(o)
	return true
}

func (l *loop) perform(o op) {
	u := o.unit
	switch a := o.action.(type) {
	case SendAdvert:
		if i := u.instance(a.Instance); i != nil {
			l.stage(i, a.Priority)
		}
	case Claim:
		if i := u.instance(a.Instance); i != nil {
			l.claim(i)
		}
	case Release:
		if i := u.instance(a.Instance); i != nil {
			l.setClaimed(i, false) // a claim may have been queued before
			l.release(i.spec.Name, i.spec.held(), i.spec.Routes)
			l.testify(i.spec.Name, i, false)
		}
	case AnnounceAddrs:
		if i := u.instance(a.Instance); i != nil && i.claimed {
			l.announces.add(i, a.Repeat)
		}
	case Notify:
		attrs := []any{"unit", u.spec.Name, "instance", a.Instance,
			"from", a.From.String(), "to", a.To.String(), "priority", a.Priority, "reason", a.Reason}
		ballot := u.ballot()
		if ballot != 0 {
			attrs = append(attrs, "ballot", ballot)
		}
		l.opts.Log.Info("state changed", attrs...)
		if l.opts.Notify != nil {
			l.opts.Notify(Transition{
				At: l.now, Unit: u.spec.Name, Instance: a.Instance,
				From: a.From, To: a.To, Priority: a.Priority, Reason: a.Reason, Ballot: ballot,
			})
		}
	case NoteLowerPriority:
		if l.opts.NoteLower != nil {
			l.opts.NoteLower(LowerPriority{
				At: l.now, Unit: u.spec.Name, Instance: a.Instance, From: a.From, Priority: a.Priority,
			})
		}
	default:
		panic(fmt.Sprintf("vrrp: unknown action %T", a))
	}
}

// claim adds the addresses of an instance. What cannot be added makes it
// FAULT: a master that does not answer is worse than none.
func (l *loop) claim(i *instanceShell) {
	if l.byLifetime(i.unit) {
		l.claimByLifetime(i)
		return
	}
	l.claimNow(i)
}

func (l *loop) claimNow(i *instanceShell) {
	l.forget(i)
	l.testify(i.spec.Name, i, true)
	err := l.opts.Kernel.Claim(i.spec.Name, i.spec.held(), i.spec.Routes, l.lifetime(i.unit))
	l.setClaimed(i, err == nil)
	if err == nil {
		i.claimedAt = time.Now()
		return
	}
	l.opts.Log.Error("addresses were not added", "instance", i.spec.Name, "iface", i.spec.Interface, "err", err)
	l.step(i.unit, ClaimFailed{Instance: i.spec.Name, Reason: err.Error(), Retry: claimRetry})
}

// release removes addresses, and remembers them when that does not work.
func (l *loop) release(instance string, addrs []Address, routes []Route) {
	if len(addrs) == 0 && len(routes) == 0 {
		return
	}
	err := l.opts.Kernel.Release(instance, addrs, routes)
	if err == nil {
		return
	}
	l.opts.Log.Error("addresses were not removed; trying again", "instance", instance, "err", err)
	l.leftovers = append(l.leftovers, leftover{instance, addrs, routes})
	l.retryAt = sooner(l.retryAt, l.now.Add(retryEvery))
}

// forget drops what was to be removed and is claimed again.
func (l *loop) forget(i *instanceShell) {
	for n := range l.leftovers {
		if o := &l.leftovers[n]; o.instance == i.spec.Name {
			o.addrs = without(o.addrs, i.spec.held())
			o.routes = without(o.routes, i.spec.Routes)
		}
	}
}

// retry tries again what did not work before.
func (l *loop) retry() {
	if l.retryAt.IsZero() || l.now.Before(l.retryAt) {
		return
	}
	l.retryAt = time.Time{}
	again := l.leftovers
	l.leftovers = nil
	if len(again) > 0 {
		l.dirty = true // what lingers is part of the status
		l.soilAll()
	}
	for _, o := range again {
		l.release(o.instance, o.addrs, o.routes)
		i := l.named(o.instance)
		l.testify(o.instance, i, i != nil && i.claimed)
	}
	l.connect()
}

func (l *loop) setClaimed(i *instanceShell, claimed bool) {
	if i.claimed == claimed {
		return
	}
	i.claimed = claimed
	if !claimed {
		l.claims--
		l.announces.drop(i)
		return
	}
	l.claims++
	after := l.renewAfter(l.lifetime(i.unit))
	if l.claims == 1 || l.now.Add(after).Before(l.renewAt) {
		l.renewIn(after)
	}
	if l.claims == 1 && l.opts.Suspended != nil {
		l.suspended = l.opts.Suspended()
	}
}

// held is everything that moves with the state.
func (s *InstanceSpec) held() []Address {
	if len(s.Excluded) == 0 {
		return s.Addresses
	}
	return append(s.Addresses[:len(s.Addresses):len(s.Addresses)], s.Excluded...)
}

// instance finds an instance by name, or returns nil.
func (u *unitShell) instance(name string) *instanceShell {
	for _, i := range u.instances {
		if i.spec.Name == name {
			return i
		}
	}
	return nil
}
