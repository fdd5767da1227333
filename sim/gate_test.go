package sim

import (
	"time"

	"github.com/hacluster/hacluster/vrrp"
)

// The engine of package vrrp does real I/O and has no place here; these files are
// its steps in virtual time: what it reads, sends and stores, in its order, each a
// place where the process may be stopped.

// gate is the kernel's side of a unit's slot. It outlives every process.
type gate struct {
	deadline time.Time // true time; closed from then on
	granted  vrrp.Lease
}

// leastPause is how long the engine may have stood still between looking at the
// evidence and opening the gate.
const leastPause = 20 * time.Millisecond

func (n *node) open() bool { return n.w.now.Before(n.gate.deadline) }

// serves reports whether the node has the VIP, and its gate is open.
func (n *node) serves() bool { return n.holds && n.open() }

// answers reports whether the node takes packets for the VIP.
func (n *node) answers() bool { return n.serves() || n.stuck && !n.off }

// store opens the gate until a deadline, and makes the checker look when it closes.
func (n *node) store(deadline time.Time) {
	n.gate.deadline = deadline
	w := n.w
	w.check.dirty = true
	w.schedule(deadline, nil, errand(func() { w.check.dirty = true }))
}

func (n *node) shut() {
	n.gate.deadline = time.Time{}
	n.w.check.dirty = true
}

// kernelLease is K of rule R7.
func (w *world) kernelLease() time.Duration { return 2 * w.interval }

// after is when the kernel's clock is by so much further than at a true time.
func (n *node) after(from time.Time, span time.Duration) time.Time {
	return from.Add(time.Duration(float64(span) / n.clock.mono))
}

// enter opens the gate for a tenure that began on evidence looked at after t0. It
// reports for how long the process stood still since, if that was too long.
func (n *node) enter(t0 time.Time, tenure uint64) time.Duration {
	w := n.w
	if n.byEvents() {
		if n.gate.granted.Tenure == tenure {
			n.store(n.deadline(n.gate.granted))
		} else {
			n.shut()
		}
		return 0
	}
	if stood := w.now.Sub(t0); stood >= leastPause {
		n.shut()
		return stood
	}
	n.store(n.after(t0, w.kernelLease()))
	return 0
}

// deadline is when the kernel's clock has gone as far as the raw one has to go
// until the lease ends. The two are read together.
func (n *node) deadline(l vrrp.Lease) time.Time {
	left := l.Until.Sub(n.clock.instant(n.w.now))
	return n.after(n.w.now, left)
}

// prolong renews the gate after adverts that left between two readings.
func (n *node) prolong(before time.Time) {
	switch {
	case n.unit.Status().State != vrrp.Master:
	case !n.open():
		n.lapse()
	case !n.byEvents():
		n.store(n.after(before, n.w.kernelLease()))
	}
}

// lapse ends a tenure whose gate ran out.
func (n *node) lapse() {
	n.w.logf("%s: the gate has run out", n.name)
	n.event(vrrp.Paused{For: n.w.kernelLease()})
}

// grant takes a lease, for the tenure that it names.
func (n *node) grant(l vrrp.Lease) {
	n.gate.granted = l
	s := n.unit.Status()
	if s.State != vrrp.Master || s.Tenure.Seq != l.Tenure {
		return // kept for the tenure that it names
	}
	if !n.open() {
		n.lapse()
		return
	}
	n.store(n.deadline(l))
}
