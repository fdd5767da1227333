package vrrp

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// What the findings of the project's review say of the engine and its gate, one test
// for each that no other test answers. The table is docs/findings.md.

// S21, S22, S26, R7a: a process that works out how long it may hold, is stopped, and
// then says so to the kernel, prolongs by the time that it stood; and one that renews
// before it speaks holds by an advert that nobody heard. Wherever it stops, the gate
// closes K after an advert that left, and a gate that has closed stays closed.
func TestNoStopAnywhereProlongsTheGate(t *testing.T) {
	const (
		k     = 2 * time.Second
		steps = 8 // clock readings in some rounds, and the sending itself
	)
	for where := range steps + 1 {
		for _, stop := range []time.Duration{900 * time.Millisecond, 1900 * time.Millisecond, 2500 * time.Millisecond} {
			name := fmt.Sprintf("%v at reading %d of the clock", stop, where)
			if where == steps {
				name = fmt.Sprintf("%v in the sending", stop)
			}
			t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { stopAnywhere(t, where, steps, stop, k) }) })
		}
	}
}

// stopAnywhere stops an engine once, at the reading of the gate's clock with the
// given number, or, after the last one, right before the next advert leaves.
func stopAnywhere(t *testing.T, where, steps int, stop, k time.Duration) {
	lan := newMemoryLAN()
	a := gatedNode(t, lan, plainKernel)
	bound := func(when string) {
		if open := a.gate.left() + time.Since(lan.lastSent("a")); a.gate.left() > 0 && open > k {
			t.Errorf("%s: the gate closes %v after the last advert, want %v at most", when, open, k)
		}
	}
	a.apply(gated(LeaseByAdverts, unitSpec(51, 150)))
	time.Sleep(5 * time.Second)
	a.wantState("vi_51", Master)

	lost := false // the gate closed while the process stood still
	halt := func() {
		bound("before the stop")
		time.Sleep(stop)
		lost = a.gate.left() == 0
		bound("after the stop")
	}
	reads := 0
	if where < steps {
		a.gate.with(func() {
			a.gate.onNow = func() {
				if reads++; reads-1 == where {
					halt()
				}
			}
		})
	} else {
		lan.setOnSend(func() {
			if reads++; reads == 1 {
				halt()
			}
		})
	}
	changes := a.transitionCount()
	for range 400 {
		time.Sleep(23 * time.Millisecond)
		synctest.Wait()
		bound("later")
	}
	switch moved := a.transitionCount() > changes; {
	case reads == 0:
		t.Error("the process was not stopped")
	case lost && !moved:
		t.Error("the gate closed, and the tenure went on")
	}
}

// S28, R6, R7a: with a lease of two intervals one late advert would close the gate of
// a holder that all voters stand by. The voters' answers renew it, and nothing else.
func TestALeaseIsProlongedByTheVotersAndNotByAdverts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := gatedNode(t, newMemoryLAN(), plainKernel)
		a.apply(gated(LeaseByEvents, unitSpec(51, 150, func(i *InstanceSpec) { i.AdvertInterval = 40 * time.Second })))
		grant := func(events ...Event) {
			t.Helper()
			lease := Lease{Tenure: 1, Until: a.gate.in(1680 * time.Millisecond)}
			if err := a.engine.Deliver(t.Context(), Delivery{Unit: "vi_51", Events: append([]Event{lease}, events...)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(time.Second)
		grant(TakeOver{Reason: "granted"})
		for range 100 * 5 { // two adverts in a hundred seconds
			time.Sleep(200 * time.Millisecond)
			if left := a.gate.left(); left != 1480*time.Millisecond {
				t.Fatalf("the gate closes in %v a heartbeat after the last grant, want 1.48s", left)
			}
			grant()
		}
		a.wantState("vi_51", Master)
		time.Sleep(1680 * time.Millisecond) // no answers any more, and an advert is due in a while
		if left := a.gate.left(); left > 0 {
			t.Errorf("the gate is open for %v more without a grant", left)
		}
	})
}

// S27, R7a: in one transaction for all units, one that had run out undid the renewal
// of all others. Here each has a deadline of its own.
func TestAUnitWhoseGateRanOutHindersNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a := gatedNode(t, lan, plainKernel)
		var units []UnitSpec
		for n := range 17 { // the first and the last send in one round: see Stagger
			units = append(units, gated(LeaseByAdverts, unitSpec(VRID(51+n), 150)))
		}
		a.apply(units...)
		time.Sleep(5 * time.Second)
		a.wantState("vi_51", Master)
		a.gate.with(func() { a.gate.slots[0].deadline = 1 }) // as if it had hung
		time.Sleep(1100 * time.Millisecond)
		a.wantState("vi_51", Backup)
		a.wantState("vi_67", Master)
		if left := a.gate.left(); left < 900*time.Millisecond {
			t.Errorf("the gate of the other closes in %v, want more than 900ms", left)
		}
	})
}
