package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// memoryGate is a kernel gate in memory. Its clock is the bubble's.
type memoryGate struct {
	kernel *memoryKernel // whose calls it adds to
	start  time.Time

	mu       sync.Mutex
	unguard  error // what Guards says
	slots    []*memorySlot
	onNow    func() // called by Now, before it reads the clock
	openings int
}

type memorySlot struct {
	gate            *memoryGate
	guarded         Guarded
	deadline, until time.Duration
	freed           bool
}

func newMemoryGate(k *memoryKernel) *memoryGate { return &memoryGate{kernel: k, start: time.Now()} }

func (g *memoryGate) Now() time.Duration {
	g.mu.Lock()
	hook := g.onNow
	g.mu.Unlock()
	if hook != nil {
		hook()
	}
	return time.Since(g.start)
}

// At takes the bubble's clock for the raw one.
func (g *memoryGate) At(i kclock.Instant) time.Duration { return time.Duration(i) }

// instant is one on that clock.
func (g *memoryGate) in(d time.Duration) kclock.Instant {
	return kclock.Instant(time.Since(g.start) + d)
}

func (g *memoryGate) Guards(int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.unguard
}

func (g *memoryGate) NewSlot() (GateSlot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &memorySlot{gate: g}
	g.slots = append(g.slots, s)
	return s, nil
}

func (s *memorySlot) Guard(what Guarded) error {
	s.note("guard %d", len(what.Addresses))
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.guarded = what
	return nil
}

func (s *memorySlot) Open(deadline, until time.Duration) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.deadline, s.until = deadline, until
	s.gate.openings++
}

func (s *memorySlot) Close() {
	s.note("close")
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.deadline = 0
}

func (s *memorySlot) Deadline() time.Duration {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return s.deadline
}

func (s *memorySlot) Free() error {
	s.note("free")
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.deadline, s.until, s.freed = 0, 0, true
	return nil
}

func (s *memorySlot) note(format string, args ...any) {
	s.gate.kernel.with(func() { s.gate.kernel.calls = append(s.gate.kernel.calls, fmt.Sprintf(format, args...)) })
}

// left is the time until the last slot closes; 0: it is closed, or there is none.
func (g *memoryGate) left() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.slots) == 0 {
		return 0
	}
	return max(0, g.slots[len(g.slots)-1].deadline-time.Since(g.start))
}

func (g *memoryGate) with(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// gatedNode runs an engine with a gate until the test ends.
func gatedNode(t *testing.T, lan *memoryLAN, kernel func(*memoryKernel) Kernel) *testNode {
	t.Helper()
	n := newTestNode(t, lan, "a", "192.0.2.1")
	n.gate = newMemoryGate(n.kernel)
	n.start(kernel(n.kernel))
	return n
}

func plainKernel(k *memoryKernel) Kernel { return k }

// gated makes a unit's spec want a gate.
func gated(by KernelLease, spec UnitSpec) UnitSpec {
	spec.KernelLease, spec.LeaseTime = by, 2*time.Second
	return spec
}

func TestKernelLeaseEndsBeforeAnyPeersTimerAndOutlastsAnAdvert(t *testing.T) {
	for n := 1; n <= 100; n++ {
		for _, interval := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 255 * time.Second} {
			s := InstanceSpec{AdvertInterval: interval, DownTimerAdverts: n}
			k := s.lease()
			if n == 1 {
				if k != 0 {
					t.Errorf("interval %v, 1 advert: lease %v, want none", interval, k)
				}
				continue
			}
			// R7: the clocks of two machines may be slewed apart by a tenth.
			if down := time.Duration(n) * interval; k+k/10 >= down {
				t.Errorf("interval %v, %d adverts: lease %v is not safely below %v", interval, n, k, down)
			}
			if k < interval*3/2 {
				t.Errorf("interval %v, %d adverts: lease %v leaves no time for the next advert", interval, n, k)
			}
		}
	}
}

func TestAdvertsRenewTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a := gatedNode(t, lan, plainKernel)
		a.apply(gated(LeaseByAdverts, unitSpec(51, 150)))
		time.Sleep(3 * time.Second)
		if left := a.gate.left(); left != 0 {
			t.Errorf("a backup's gate is open for %v", left)
		}
		for range 50 {
			time.Sleep(137 * time.Millisecond)
			synctest.Wait()
			if a.state("vi_51") != Master {
				continue
			}
			if want := 2*time.Second - time.Since(lan.lastSent("a")); a.gate.left() != want {
				t.Fatalf("the gate closes in %v, want %v: two intervals after the last advert", a.gate.left(), want)
			}
		}
		a.wantState("vi_51", Master)
		if a.kernel.lifetime != 4*time.Second {
			t.Errorf("addresses live for %v, want 4s", a.kernel.lifetime)
		}
		s := a.engine.Status()[0].Gate
		if s.Lease != 2*time.Second || s.Left == 0 || s.Missing != "" {
			t.Errorf("status of the gate = %+v, want an open one of 2s", s)
		}
		slot := a.gate.slots[0]
		if len(slot.guarded.Addresses) != 1 || len(slot.guarded.Routers) != 1 || slot.guarded.Routers[0] != (GuardedRouter{2, IPv4, 51}) {
			t.Errorf("guarded = %+v, want the address and VRID 51 on link 2", slot.guarded)
		}
	})
}

// A peer's timer for the slow instance knows nothing of the adverts of the fast
// one, and the other way round.
func TestGateOfAGroupClosesWithTheFirstOfItsAdvertsToExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a := gatedNode(t, lan, plainKernel)
		fast := unitSpec(1, 150, func(i *InstanceSpec) { i.Version, i.AdvertInterval = 3, 300*time.Millisecond })
		slow := unitSpec(2, 150, func(i *InstanceSpec) { i.Version, i.AdvertInterval, i.DownTimerAdverts = 3, 700*time.Millisecond, 2 })
		a.apply(gated(LeaseByAdverts, UnitSpec{Name: "group", Group: true, Instances: append(fast.Instances, slow.Instances...)}))
		time.Sleep(5 * time.Second)
		a.wantState("group", Master)
		last := func(vrid byte) (at time.Time) {
			for _, d := range lan.sent {
				if d.Payload[1] == vrid && d.Payload[2] > 0 {
					at = d.at
				}
			}
			return at
		}
		for range 100 {
			time.Sleep(31 * time.Millisecond)
			synctest.Wait()
			lan.mu.Lock()
			want := min(600*time.Millisecond-time.Since(last(1)), 1260*time.Millisecond-time.Since(last(2)))
			lan.mu.Unlock()
			if got := a.gate.left(); got != want {
				t.Fatalf("the gate closes in %v, want %v", got, want)
			}
		}
	})
}

// S26, R7a: a gate that has closed is a lost tenure. Opened again it would serve beside
// whoever took over.
func TestHolderThatHungFindsItsGateClosedAndLetsGo(t *testing.T) {
	tests := []struct {
		name string
		hang time.Duration
		want State
	}{
		{"shorter than its lease", 900 * time.Millisecond, Master},
		{"longer than its lease", 2500 * time.Millisecond, Backup},
		{"for ages", time.Hour, Backup},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hanging := &hangingKernel{}
				a := gatedNode(t, newMemoryLAN(), func(k *memoryKernel) Kernel { hanging.memoryKernel = k; return hanging })
				a.apply(gated(LeaseByAdverts, unitSpec(51, 150)))
				time.Sleep(5 * time.Second)
				a.wantState("vi_51", Master)

				a.engine.take(func(l *loop) { hanging.hang, l.renewAt = tt.hang, l.now }) // it hangs in here
				if got := a.gate.left() > 0; got != (tt.want == Master) {
					t.Errorf("the gate is open = %v right after the process went on", got)
				}
				time.Sleep(time.Second)
				a.wantState("vi_51", tt.want)
			})
		})
	}
}

// S25a, R7a: between its decision and the opening the process may stand still: the
// tenure is void, because others may have spoken meanwhile.
func TestTenureThatBeganBeforeAPauseIsVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := gatedNode(t, newMemoryLAN(), plainKernel)
		a.apply(gated(LeaseByAdverts, unitSpec(51, 150)))
		time.Sleep(3 * time.Second)
		reads := 0
		a.gate.with(func() {
			a.gate.onNow = func() {
				if reads++; reads == 2 { // the one after the decision
					time.Sleep(800 * time.Millisecond)
				}
			}
		})
		time.Sleep(2 * time.Second)
		a.wantState("vi_51", Backup) // and waits for everybody
		if a.gate.openings > 0 || len(a.kernel.holds()) > 0 {
			t.Errorf("opened %d times, holds %v; want neither", a.gate.openings, a.kernel.holds())
		}
		a.gate.with(func() { a.gate.onNow = nil })
		time.Sleep(4 * time.Second)
		a.wantState("vi_51", Master)
		if a.gate.left() == 0 {
			t.Error("the next tenure's gate is closed")
		}
	})
}

func TestGateClosesBeforeAddressesGoAndIsFreedAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := gatedNode(t, newMemoryLAN(), plainKernel)
		a.apply(gated(LeaseByAdverts, unitSpec(51, 150)))
		time.Sleep(5 * time.Second)
		a.setLink(false)
		a.wantState("vi_51", Fault)
		want := []string{"guard 1", "claim vi_51", "close", "release vi_51", "free"}
		if got := a.kernel.calls; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("calls = %v, want %v", got, want)
		}
	})
}

// stuckKernel releases nothing while stuck is set.
type stuckKernel struct {
	*memoryKernel
	stuck bool
}

func (k *stuckKernel) Release(instance string, addrs []Address, routes []Route) error {
	if k.stuck {
		return errors.New("stuck")
	}
	return k.memoryKernel.Release(instance, addrs, routes)
}

func TestSlotStaysClosedWhileAddressesLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &stuckKernel{stuck: true}
		a := gatedNode(t, newMemoryLAN(), func(k *memoryKernel) Kernel { stuck.memoryKernel = k; return stuck })
		a.apply(gated(LeaseByAdverts, unitSpec(51, 150)))
		time.Sleep(5 * time.Second)
		a.setLink(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		slot := a.gate.slots[0]
		if slot.freed || a.gate.left() > 0 || len(slot.guarded.Addresses) != 1 {
			t.Errorf("slot = %+v, want it closed, guarding the address that is still there", slot)
		}
		a.engine.take(func(*loop) { stuck.stuck = false })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !slot.freed {
			t.Error("the slot was not freed when the address was gone")
		}
	})
}

func TestUnitIsServedWithoutAGateAndSaysWhy(t *testing.T) {
	tests := []struct {
		name    string
		spec    UnitSpec
		unguard error
	}{
		{"link not guarded", unitSpec(51, 150), errors.New("eth0 is taken")},
		{"one advert", unitSpec(51, 150, func(i *InstanceSpec) { i.DownTimerAdverts = 1 }), nil},
		{"owner", unitSpec(51, Owner), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := gatedNode(t, newMemoryLAN(), plainKernel)
				a.gate.unguard = tt.unguard
				a.apply(gated(LeaseByAdverts, tt.spec))
				time.Sleep(5 * time.Second)
				a.wantState("vi_51", Master)
				if s := a.engine.Status()[0].Gate; s.Missing == "" || s.Lease != 0 {
					t.Errorf("status of the gate = %+v, want none and why", s)
				}
				if a.kernel.lifetime != time.Second {
					t.Errorf("addresses live for %v, want 1s", a.kernel.lifetime)
				}
			})
		})
	}
}

// The supervisor goes by it when it cannot remove an address.
func TestTheWillSaysWhetherTheGateGuardsAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := gatedNode(t, newMemoryLAN(), plainKernel)
		want := func(when string, gated bool) {
			t.Helper()
			synctest.Wait()
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.will.Gated != gated || len(a.will.Addresses) != 1 {
				t.Errorf("%s: will %+v, want one address and gated = %v", when, a.will, gated)
			}
		}
		a.apply(gated(LeaseByAdverts, unitSpec(51, 150)))
		time.Sleep(5 * time.Second)
		want("with a gate", true)
		a.apply(unitSpec(51, 150))
		want("kernel_lease off", false)
		a.apply(gated(LeaseByAdverts, unitSpec(51, 150)))
		want("on again", true)
		a.gate.with(func() { a.gate.unguard = errors.New("eth0 is taken") })
		link := Link{Name: "eth0", Index: 3, Up: true, MTU: 1500, Addrs: []netip.Prefix{netip.PrefixFrom(a.addr, 24)}}
		if err := a.engine.SetLink(t.Context(), link); err != nil {
			t.Fatal(err)
		}
		want("a link that refuses it", false)
		if a.kernel.lifetime != time.Second {
			t.Errorf("addresses live for %v without the gate, want 1s", a.kernel.lifetime)
		}
	})
}

func TestGateComesAndGoesWithTheSpecification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := gatedNode(t, newMemoryLAN(), plainKernel)
		a.apply(unitSpec(51, 150))
		time.Sleep(5 * time.Second)
		a.apply(gated(LeaseByAdverts, unitSpec(51, 150)))
		synctest.Wait()
		if left := a.gate.left(); left != 2*time.Second || a.kernel.lifetime != 4*time.Second {
			t.Errorf("the gate closes in %v and addresses live for %v, want 2s and 4s", left, a.kernel.lifetime)
		}
		time.Sleep(10 * time.Second)
		a.apply(unitSpec(51, 150))
		synctest.Wait()
		if !a.gate.slots[0].freed || a.kernel.lifetime != time.Second {
			t.Errorf("slot freed = %v and addresses live for %v, want true and 1s", a.gate.slots[0].freed, a.kernel.lifetime)
		}
		a.wantState("vi_51", Master)
		if a.transitionCount() > 2 {
			t.Errorf("%d transitions, want none after the first two", a.transitionCount())
		}
	})
}

func TestLeaseOpensTheGateForItsTenureOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a := gatedNode(t, lan, plainKernel)
		a.apply(gated(LeaseByEvents, unitSpec(51, 150)))
		tell := func(events ...Event) {
			t.Helper()
			if err := a.engine.Deliver(t.Context(), Delivery{Unit: "vi_51", Events: events}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(30 * time.Second)
		a.wantState("vi_51", Backup)
		if w := a.engine.Status()[0].Wants; w != WantHeld {
			t.Errorf("Wants = %v, want %v: silence alone makes no MASTER", w, WantHeld)
		}

		tell(Lease{Tenure: 1, Until: a.gate.in(1500 * time.Millisecond), Ballot: 7}, TakeOver{Reason: "granted"})
		a.wantState("vi_51", Master)
		if b := a.lastTransition(Master).Ballot; b != 7 {
			t.Errorf("scripts are told of ballot %d, want 7", b)
		}
		if left := a.gate.left(); left != 1500*time.Millisecond {
			t.Errorf("the gate closes in %v, want 1.5s", left)
		}
		time.Sleep(1200 * time.Millisecond) // one advert, which prolongs nothing
		if left := a.gate.left(); left != 300*time.Millisecond {
			t.Errorf("the gate closes in %v, want 300ms", left)
		}
		tell(Lease{Tenure: 2, Until: a.gate.in(time.Hour)})
		if left := a.gate.left(); left != 300*time.Millisecond {
			t.Errorf("another tenure's lease was taken: the gate closes in %v", left)
		}
		tell(Lease{Tenure: 1, Until: a.gate.in(time.Second)})
		if left := a.gate.left(); left != time.Second {
			t.Errorf("the gate closes in %v, want 1s", left)
		}

		time.Sleep(1001 * time.Millisecond)
		tell(Lease{Tenure: 1, Until: a.gate.in(time.Second)})
		a.wantState("vi_51", Backup)
		if left := a.gate.left(); left > 0 {
			t.Errorf("a lease revived a lost tenure for %v", left)
		}
		tell(TakeOver{Reason: "without a lease"})
		time.Sleep(10 * time.Millisecond)
		a.wantState("vi_51", Backup)
	})
}

func TestAddressesBehindGatesAreRenewedLessOften(t *testing.T) {
	count := func(specs ...UnitSpec) (renewed int) {
		synctest.Test(t, func(t *testing.T) {
			a := gatedNode(t, newMemoryLAN(), plainKernel)
			a.apply(specs...)
			time.Sleep(5 * time.Second)
			a.kernel.with(func() { renewed = a.kernel.renewed })
			time.Sleep(12 * time.Second)
			a.kernel.with(func() { renewed = a.kernel.renewed - renewed })
		})
		return renewed
	}
	behind, alone := gated(LeaseByAdverts, unitSpec(51, 150)), unitSpec(52, 150)
	if got := count(behind); got != 10 {
		t.Errorf("renewed %d times in 12s, want 10: addresses live for 4s", got)
	}
	if got := count(behind, alone); got != 40 {
		t.Errorf("renewed %d times in 12s beside a unit without a gate, want 40", got)
	}
}

// What is left of the gate and of the peers' timers must not depend on when the last
// advert happened to leave.
func TestAFrozenUnitHasItsWholeLeaseLeft(t *testing.T) {
	for _, after := range []time.Duration{0, 150 * time.Millisecond, 299 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			lan := newMemoryLAN()
			a := gatedNode(t, lan, plainKernel)
			spec := gated(LeaseByAdverts, unitSpec(51, 150))
			spec.Instances[0].Version, spec.Instances[0].AdvertInterval = 3, 300*time.Millisecond
			a.apply(spec)
			time.Sleep(3 * time.Second)
			time.Sleep(time.Until(lan.lastSent("a").Add(600*time.Millisecond + after)))
			synctest.Wait()
			left, err := a.engine.Freeze(t.Context(), 400*time.Millisecond)
			if err != nil || len(left) != 1 || !left[0].Held || left[0].Left != 550*time.Millisecond {
				t.Errorf("%v after an advert: left %+v, %v; want it held for 550ms", after, left, err)
			}
			if sent := lan.lastSent("a"); !sent.Equal(time.Now()) {
				t.Errorf("the last advert is %v old, want one from now", time.Since(sent))
			}
			if left := a.gate.left(); left != 600*time.Millisecond {
				t.Errorf("the gate closes in %v, want 600ms", left)
			}
		})
	}
}
