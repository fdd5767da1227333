package vrrp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// gone is when the kernel has removed an address of one second that is renewed now:
// up to 1.05 s late, by a clock that is slewed by 10 %.
func gone() time.Duration { return 2050 * time.Millisecond * 11 / 10 }

// S29, R7b: for every lease that may be asked for without a gate.
func TestAddressesAreGoneBeforeTheVotersGrantAnother(t *testing.T) {
	for _, lease := range []time.Duration{2500 * time.Millisecond, 3 * time.Second, 10 * time.Second, time.Minute} {
		until := lease*85/100 - 20*time.Millisecond // after the request was built
		latest := until - (lifetimeReach - lifetimeSlack)
		if end, free := latest+gone(), lease*98/100; end > free {
			t.Errorf("lease of %v: renewed %v after its request, gone after %v, and granted for %v", lease, latest, end, free)
		}
	}
}

func lifetimeUnit(t *testing.T, n *testNode, mode KernelLease) (tell func(...Event)) {
	t.Helper()
	spec := unitSpec(51, 150)
	spec.KernelLease, spec.LeaseTime = mode, 2500*time.Millisecond
	n.apply(spec)
	time.Sleep(5 * time.Second)
	n.wantState("vi_51", Backup)
	return func(events ...Event) {
		t.Helper()
		if err := n.engine.Deliver(t.Context(), Delivery{Unit: "vi_51", Events: events}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	}
}

// reach is a Lease as it comes when a majority has answered a request of so long
// ago, of a lease of 2.5 s.
func reach(tenure uint64, ago time.Duration) Lease {
	return Lease{Tenure: tenure, Until: bubbleClock().Add(2105*time.Millisecond - ago)}
}

// S29, R7b: no majority, no renewal: whatever else the engine does, the addresses
// live for one second after the last request that a majority answered in time.
func TestOnlyALeaseRenewsAddressesWithoutAGate(t *testing.T) {
	for _, mode := range []KernelLease{LeaseByLifetime, LeaseByEvents} {
		synctest.Test(t, func(t *testing.T) {
			n := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
			tell := lifetimeUnit(t, n, mode)
			tell(reach(1, 2*time.Millisecond), TakeOver{Reason: "granted"})
			n.wantState("vi_51", Master)
			if n.kernel.lifetime != time.Second {
				t.Errorf("addresses live for %v, want 1s", n.kernel.lifetime)
			}
			var last time.Time
			for range 50 { // heartbeats of 200 ms
				time.Sleep(198 * time.Millisecond)
				last = time.Now()
				tell(reach(1, 2*time.Millisecond))
				n.kernel.with(func() {
					if at := n.kernel.prolonged["vi_51"]; at != last {
						t.Fatalf("renewed %v ago, want now: a majority has just answered", time.Since(at))
					}
				})
			}
			for range 3 { // answers that come too late: the lease runs on
				time.Sleep(200 * time.Millisecond)
				tell(reach(1, 200*time.Millisecond))
			}
			n.wantState("vi_51", Master)
			n.kernel.with(func() {
				if at := n.kernel.prolonged["vi_51"]; at != last {
					t.Errorf("renewed %v after the last request that was answered in time", at.Sub(last))
				}
			})
			time.Sleep(800 * time.Millisecond)
			n.wantState("vi_51", Backup)
			if held := n.kernel.holds(); len(held) > 0 {
				t.Errorf("%v are held beyond their lifetime", held)
			}
		})
	}
}

// What cannot be promised is not served: the status says why.
func TestAUnitWhoseLeaseIsTooShortForItsAddressesIsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
		tell := lifetimeUnit(t, n, LeaseByLifetime)
		tell(Lease{Tenure: 1, Until: bubbleClock().Add(400 * time.Millisecond)}, TakeOver{Reason: "granted"})
		n.wantState("vi_51", Fault)
		s := n.engine.Status()[0]
		if !strings.Contains(s.Reason, "addresses would outlast the lease") || !strings.Contains(s.Reason, "kernel_lease is off") {
			t.Errorf("reason %q", s.Reason)
		}
		n.kernel.with(func() {
			for _, c := range n.kernel.calls {
				if strings.HasPrefix(c, "claim") {
					t.Errorf("the kernel was told %q", n.kernel.calls)
				}
			}
		})
		time.Sleep(lifetimeRetry + time.Millisecond)
		n.wantState("vi_51", Backup)
		tell(reach(2, time.Millisecond), TakeOver{Reason: "granted"})
		n.wantState("vi_51", Master)
	})
}

// A gate that goes away leaves addresses that live for as long as suits one.
func TestAUnitThatLosesItsGateLetsGoOfWhatItsLeaseDoesNotCover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := gatedNode(t, newMemoryLAN(), plainKernel)
		tell := lifetimeUnit(t, a, LeaseByEvents)
		tell(Lease{Tenure: 1, Until: a.gate.in(2 * time.Second)}, TakeOver{Reason: "granted"})
		a.wantState("vi_51", Master)
		a.gate.with(func() { a.gate.unguard = errors.New("eth0 is taken") })
		link := Link{Name: "eth0", Index: 3, Up: true, MTU: 1500, Addrs: []netip.Prefix{netip.PrefixFrom(a.addr, 24)}}
		if err := a.engine.SetLink(t.Context(), link); err != nil {
			t.Fatal(err)
		}
		a.wantState("vi_51", Fault)
		if s := a.engine.Status()[0]; !strings.Contains(s.Reason, "eth0 is taken") || s.Gate.Missing == "" {
			t.Errorf("reason %q, gate %+v", s.Reason, s.Gate)
		}
		if held := a.kernel.holds(); len(held) > 0 {
			t.Errorf("%v are still held", held)
		}
	})
}

// slowKernel takes its time for a claim.
type slowKernel struct {
	*memoryKernel
	claims time.Duration
}

func (k *slowKernel) Claim(instance string, addrs []Address, routes []Route, lifetime time.Duration) error {
	time.Sleep(k.claims)
	return k.memoryKernel.Claim(instance, addrs, routes, lifetime)
}

// S21: the lifetime is counted from when the kernel hears of it.
func TestAProcessThatWasStoppedInAClaimLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newTestNode(t, newMemoryLAN(), "a", "192.0.2.1")
		k := &slowKernel{memoryKernel: n.kernel, claims: 300 * time.Millisecond}
		n.start(k)
		tell := lifetimeUnit(t, n, LeaseByLifetime)
		tell(reach(1, 0), TakeOver{Reason: "granted"})
		time.Sleep(400 * time.Millisecond)
		n.wantState("vi_51", Backup)
		if held := n.kernel.holds(); len(held) > 0 {
			t.Errorf("%v are still held", held)
		}
	})
}

func TestAPolicyThatBecomesQuorumHasTimeToGetALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
		n.apply(unitSpec(51, 150), unitSpec(52, 150))
		time.Sleep(5 * time.Second)
		spec := unitSpec(51, 150)
		spec.KernelLease = LeaseByLifetime
		n.apply(spec, unitSpec(52, 150))
		for range 20 {
			time.Sleep(200 * time.Millisecond)
			if err := n.engine.Deliver(t.Context(), Delivery{Unit: "vi_51", Events: []Event{reach(1, 0)}}); err != nil {
				t.Fatal(err)
			}
		}
		n.wantState("vi_51", Master)
		time.Sleep(2 * time.Second) // the other one needs no lease
		n.wantState("vi_51", Backup)
		n.wantState("vi_52", Master)
		if s := n.engine.Status()[1]; s.Tenure.Seq != 1 {
			t.Errorf("vi_52 is in tenure %d: it was not concerned", s.Tenure.Seq)
		}
	})
}

func TestAddressesOfALifetimeAreNotHandedToAnHeir(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
		tell := lifetimeUnit(t, n, LeaseByLifetime)
		tell(reach(1, 0), TakeOver{Reason: "granted"})
		n.wantState("vi_51", Master)
		left, err := n.engine.Freeze(t.Context(), 400*time.Millisecond)
		if err != nil || len(left) != 1 || left[0].Held {
			t.Errorf("left %+v, %v; want nothing that is held", left, err)
		}
		if held := n.kernel.holds(); len(held) > 0 {
			t.Errorf("%v are still held", held)
		}
	})
}
