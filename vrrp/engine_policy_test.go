package vrrp

import (
	"testing"
	"testing/synctest"
	"time"
)

// heldUnit is an engine that holds unit vi_51, and a function that tells it events.
func heldUnit(t *testing.T, by KernelLease, spec UnitSpec) (*testNode, func(...Event)) {
	t.Helper()
	a := gatedNode(t, newMemoryLAN(), plainKernel)
	tell := func(events ...Event) {
		t.Helper()
		if err := a.engine.Deliver(t.Context(), Delivery{Unit: "vi_51", Events: events}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	}
	a.apply(gated(by, spec))
	time.Sleep(5 * time.Second)
	if by == LeaseByEvents {
		tell(Lease{Tenure: 1, Until: a.gate.in(700 * time.Millisecond)}, TakeOver{Reason: "granted"})
	}
	a.wantState("vi_51", Master)
	return a, tell
}

// F26, S76: the tenure goes on by its adverts until the first lease is there, and by
// leases only from then on.
func TestMasterWhosePolicyBecomesQuorumHoldsUntilItsFirstLease(t *testing.T) {
	for _, before := range []KernelLease{LeaseByAdverts, NoKernelLease} {
		synctest.Test(t, func(t *testing.T) {
			a, tell := heldUnit(t, before, unitSpec(51, 150))
			a.apply(gated(LeaseByEvents, unitSpec(51, 150)))
			for range 50 {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				if before == LeaseByAdverts && a.gate.left() == 0 {
					t.Fatal("the gate is closed before the first lease")
				}
			}
			tell(Lease{Tenure: 1, Until: a.gate.in(1500 * time.Millisecond)})
			if left := a.gate.left(); left != 1500*time.Millisecond {
				t.Errorf("from %v: the gate closes in %v, want 1.5s", before, left)
			}
			if a.kernel.lifetime != 4*time.Second {
				t.Errorf("from %v: addresses live for %v, want 4s", before, a.kernel.lifetime)
			}
			a.wantState("vi_51", Master)
			if n := a.transitionCount(); n != 2 {
				t.Errorf("from %v: %d transitions, want none after the first two", before, n)
			}
			time.Sleep(1501 * time.Millisecond) // adverts have left meanwhile
			if left := a.gate.left(); left != 0 {
				t.Errorf("from %v: an advert kept the gate open after the lease for %v", before, left)
			}
		})
	}
}

func TestMasterWhosePolicyBecomesQuorumDoesNotHoldForEverWithoutALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, tell := heldUnit(t, LeaseByAdverts, unitSpec(51, 150))
		a.apply(gated(LeaseByEvents, unitSpec(51, 150)))
		time.Sleep(2*3*3500*time.Millisecond + 2*time.Second)
		a.wantState("vi_51", Backup)
		// What began under the other policy does not begin again.
		tell(Lease{Tenure: 2, Until: a.gate.in(1500 * time.Millisecond)}, TakeOver{Reason: "granted"})
		a.wantState("vi_51", Master)
		time.Sleep(1501 * time.Millisecond)
		if left := a.gate.left(); left != 0 {
			t.Errorf("the next tenure's gate is open for %v without a lease", left)
		}
	})
}

func TestMasterWhosePolicyBecomesMeshHoldsByItsAdverts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The lease is shorter than the time to the next advert.
		a, tell := heldUnit(t, LeaseByEvents, unitSpec(51, 150))
		a.apply(gated(LeaseByAdverts, unitSpec(51, 150)))
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if a.gate.left() == 0 {
				t.Fatal("the gate is closed")
			}
		}
		// There and back again: the old lease counts for nothing.
		a.apply(gated(LeaseByEvents, unitSpec(51, 150)))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if a.gate.left() == 0 {
			t.Error("the gate is closed before the first lease of the new policy")
		}
		tell(Lease{Tenure: 1, Until: a.gate.in(time.Second)})
		if left := a.gate.left(); left != time.Second {
			t.Errorf("the gate closes in %v, want 1s", left)
		}
		a.wantState("vi_51", Master)
		if n := a.transitionCount(); n != 2 {
			t.Errorf("%d transitions, want none after the first two", n)
		}
	})
}

func TestMasterWithoutAGateWhosePolicyBecomesQuorumHoldsUntilItsFirstLease(t *testing.T) {
	for _, before := range []KernelLease{LeaseByAdverts, NoKernelLease} {
		synctest.Test(t, func(t *testing.T) {
			a, _ := heldUnit(t, before, unitSpec(51, 150))
			a.apply(gated(LeaseByLifetime, unitSpec(51, 150)))
			time.Sleep(5 * time.Second)
			a.wantState("vi_51", Master)
			if n := a.transitionCount(); n != 2 || a.kernel.lifetime != time.Second {
				t.Errorf("from %v: %d transitions, and addresses live for %v; want none after the first two, and 1s", before, n, a.kernel.lifetime)
			}
			time.Sleep(20 * time.Second)
			a.wantState("vi_51", Backup) // without a lease not for ever
		})
	}
}
