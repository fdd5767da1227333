package vrrp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/vrrp/packet"
)

const skewOf100 = 156 * time.Second / 256

// pair starts a master with priority 150 and a backup with 100, and lets them
// settle.
func pair(t *testing.T, lan *memoryLAN, change ...func(*InstanceSpec)) (a, b *testNode) {
	t.Helper()
	a = startNode(t, lan, "a", "192.0.2.1")
	b = startNode(t, lan, "b", "192.0.2.2")
	a.apply(unitSpec(51, 150, change...))
	b.apply(unitSpec(51, 100, change...))
	time.Sleep(10 * time.Second)
	a.wantState("vi_51", Master)
	b.wantState("vi_51", Backup)
	return a, b
}

func TestBackupTakesOverWhenItsMasterFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		_, b := pair(t, lan)

		lan.setCut("a", true)
		last := lan.lastSent("a") // before the cut, so it was heard
		time.Sleep(4 * time.Second)
		b.wantState("vi_51", Master)
		if got, want := b.lastTransition(Master).At.Sub(last), 3*time.Second+skewOf100; got != want {
			t.Errorf("took over %v after the last advert, want %v", got, want)
		}
		if got := b.kernel.holds(); len(got) != 1 {
			t.Errorf("new master holds %v, want its one address", got)
		}

		lan.setCut("a", false)
		time.Sleep(3 * time.Second)
		b.wantState("vi_51", Backup)
		if got := b.kernel.holds(); len(got) != 0 {
			t.Errorf("the loser still holds %v", got)
		}
	})
}

func TestStoppedMasterReleasesThenSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a, b := pair(t, lan)

		stopped := time.Now()
		a.stop()
		if got := a.kernel.holds(); len(got) != 0 {
			t.Errorf("a stopped engine leaves %v behind", got)
		}
		if got := lan.count("a", func(d Datagram) bool { return d.Payload[2] == 0 }); got != 1 {
			t.Errorf("%d goodbyes, want 1", got)
		}
		time.Sleep(time.Second)
		b.wantState("vi_51", Master)
		if got := b.lastTransition(Master).At.Sub(stopped); got != skewOf100 {
			t.Errorf("took over %v after the goodbye, want %v", got, skewOf100)
		}
		if err := a.engine.Apply(t.Context(), nil, ApplyOptions{}); !errors.Is(err, ErrStopped) {
			t.Errorf("Apply after the end = %v, want %v", err, ErrStopped)
		}
	})
}

func TestAdvertsLeaveBeforeAddressesAreClaimedAndAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
		specs := unitSpecs(150)
		a.apply(specs...)
		time.Sleep(4 * time.Second)
		for _, s := range specs {
			a.wantState(s.Name, Master)
		}
		a.kernel.with(func() {
			if got := len(a.kernel.held); got != 255 {
				t.Errorf("%d addresses are held, want 255", got)
			}
			if a.kernel.batches != 1 || len(a.kernel.announced) != 255*5 {
				t.Errorf("%d announcements in %d calls, want %d in 1", len(a.kernel.announced), a.kernel.batches, 255*5)
			}
		})

		start := a.network.lan.count("a", func(Datagram) bool { return true })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := a.network.lan.count("a", func(Datagram) bool { return true }) - start; got != 2550 {
			t.Errorf("%d adverts in 10 s, want 2550", got)
		}
		a.kernel.with(func() {
			if a.kernel.renewed < 30 {
				t.Errorf("leases were renewed %d times in more than 10 s, want one in 300 ms", a.kernel.renewed)
			}
		})
	})
}

// S30, F22: what a person removes comes back, while the tenure lasts.
func TestAddressRemovedByHandComesBackWithoutAFlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a, b := pair(t, lan)
		changes := a.transitionCount()

		a.kernel.with(func() { clear(a.kernel.held); a.kernel.announced = nil })
		removed := time.Now()
		a.setLink(true)
		synctest.Wait()
		if got := a.kernel.holds(); len(got) != 1 {
			t.Errorf("holds %v after the address was removed, want it back", got)
		}
		if took := time.Since(removed); took > 50*time.Millisecond {
			t.Errorf("it took %v, want at most 50ms", took)
		}
		a.kernel.with(func() {
			if len(a.kernel.announced) == 0 {
				t.Error("the restored address was not announced")
			}
		})
		time.Sleep(5 * time.Second)
		b.wantState("vi_51", Backup)
		if got := a.transitionCount(); got != changes {
			t.Errorf("%d transitions, want none", got-changes)
		}
	})
}

func TestLateNewsOfAClaimAreNotAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
		a.apply(unitSpec(51, 150))
		time.Sleep(3*time.Second + 106*time.Second/256)
		a.wantState("vi_51", Master)
		without := Link{Name: "eth0", Index: 2, Up: true, Addrs: []netip.Prefix{netip.PrefixFrom(a.addr, 24)}}
		if err := a.engine.SetLink(t.Context(), without); err != nil {
			t.Fatal(err)
		}
		a.kernel.with(func() {
			if got := len(a.kernel.announced); got != 5 {
				t.Errorf("%d announcements, want the first 5 only", got)
			}
		})
	})
}

func TestClaimThatFailsMakesTheUnitFaultAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
		a.kernel.with(func() { a.kernel.claimErr = errors.New("no buffer space") })
		a.apply(unitSpec(51, 150))
		time.Sleep(4 * time.Second)
		a.wantState("vi_51", Fault)
		a.kernel.with(func() {
			if len(a.kernel.announced) != 0 {
				t.Errorf("announced %v, which was never claimed", a.kernel.announced)
			}
			a.kernel.claimErr = nil
		})
		time.Sleep(claimRetry + 4*time.Second)
		a.wantState("vi_51", Master)
	})
}

func TestReloadTouchesNoOtherUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a := startNode(t, lan, "a", "192.0.2.1")
		a.apply(unitSpec(1, 150), unitSpec(2, 150), unitSpec(3, 150))
		time.Sleep(5 * time.Second)
		changes := a.transitionCount()
		a.kernel.with(func() { a.kernel.calls = nil })

		// 1 is as before, 2 gets an address instead of another, 3 goes.
		a.apply(unitSpec(1, 150), unitSpec(2, 140, func(i *InstanceSpec) {
			i.Addresses = []Address{{Prefix: netip.MustParsePrefix("10.9.9.9/32"), Interface: "eth0"}}
		}))
		a.wantState("vi_1", Master)
		a.wantState("vi_2", Master)
		if got := a.transitionCount() - changes; got != 1 {
			t.Errorf("%d transitions, want only that of vi_3", got)
		}
		want := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.9.9.9/32")}
		if got := a.kernel.holds(); !slices.Equal(got, want) {
			t.Errorf("holds %v, want %v", got, want)
		}
		a.kernel.with(func() {
			for _, call := range a.kernel.calls {
				if call == "claim vi_1" || call == "release vi_1" {
					t.Errorf("the reload made the call %q", call)
				}
			}
		})
		if got := lan.count("a", func(d Datagram) bool { return d.Payload[1] == 3 && d.Payload[2] == 0 }); got != 1 {
			t.Errorf("the removed unit said %d goodbyes, want 1", got)
		}

		before := a.network.lan.lastSent("a")
		time.Sleep(time.Second)
		synctest.Wait()
		if got := lan.lastSent("a").Sub(before); got > time.Second {
			t.Errorf("gap of %v between adverts, want at most 1s", got)
		}
	})
}

func TestVRIDChangeSaysGoodbyeAndStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a := startNode(t, lan, "a", "192.0.2.1")
		a.apply(unitSpec(1, 150))
		time.Sleep(5 * time.Second)
		a.apply(unitSpec(1, 150, func(i *InstanceSpec) { i.VRID = 9 }))
		a.wantState("vi_1", Backup)
		if got := lan.count("a", func(d Datagram) bool { return d.Payload[1] == 1 && d.Payload[2] == 0 }); got != 1 {
			t.Errorf("%d goodbyes with the old VRID, want 1", got)
		}
		time.Sleep(5 * time.Second)
		a.wantState("vi_1", Master)
	})
}

func TestRejectedPacketsTouchNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		_, b := pair(t, lan)
		last := lan.lastSent("a")
		lan.setCut("a", true)

		// A right advert of the master, and one with a wrong TTL in between.
		advert := packet.Advert{Version: 2, VRID: 51, Priority: 200, Interval: time.Second,
			Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.51")}}
		src, dst := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("224.0.0.18")
		payload, err := advert.Append(nil, src, dst, packet.ChecksumPseudo)
		if err != nil {
			t.Fatal(err)
		}
		for range 35 {
			time.Sleep(100 * time.Millisecond)
			lan.inject(Packet{Src: src, Dst: dst, TTL: 254, Payload: payload}, IPv4)
		}
		time.Sleep(500 * time.Millisecond)
		b.wantState("vi_51", Master)
		if got, want := b.lastTransition(Master).At.Sub(last), 3*time.Second+skewOf100; got != want {
			t.Errorf("took over %v after the last good advert, want %v", got, want)
		}
		statuses, err := b.engine.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := statuses[0].Instances[0].Rejected["ttl"]; got != 35 {
			t.Errorf("Rejected[ttl] = %d, want 35", got)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		seen := slices.ContainsFunc(b.observed, func(o Observation) bool {
			return o.From == src && o.Rejected == "ttl" && o.Priority == 200 && len(o.Addrs) == 1
		})
		if !seen {
			t.Error("the refused advert was not shown to Observe")
		}
	})
}

func TestMasterThatWasSuspendedBecomesBackupBeforeItSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a, _ := pair(t, lan)
		adverts := lan.count("a", func(d Datagram) bool { return d.Payload[2] != 0 })

		a.mu.Lock()
		a.suspended = 10 * time.Second
		a.mu.Unlock()
		time.Sleep(1100 * time.Millisecond)
		a.wantState("vi_51", Backup)
		if got := lan.count("a", func(d Datagram) bool { return d.Payload[2] != 0 }); got != adverts {
			t.Errorf("%d adverts after the suspension, want none", got-adverts)
		}
		if got := a.kernel.holds(); len(got) != 0 {
			t.Errorf("holds %v, want nothing", got)
		}
	})
}

func TestAnAdvertThatIsDueGoesBeforeAPassOverTheAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a := newTestNode(t, lan, "a", "192.0.2.1")
		// Passes come due a millisecond before adverts.
		a.renewEvery = 299 * time.Millisecond
		a.start(a.kernel)
		a.apply(unitSpec(51, 150, func(i *InstanceSpec) { i.Version, i.AdvertInterval = 3, 300*time.Millisecond }))
		time.Sleep(3 * time.Second)
		a.wantState("vi_51", Master)
		time.Sleep(350 * time.Millisecond)
		a.kernel.with(func() {
			last := a.kernel.renewedAt[len(a.kernel.renewedAt)-1]
			if sent := lan.lastSent("a"); !last.Equal(sent) {
				t.Errorf("last pass %v before the last advert, want right behind it", sent.Sub(last))
			}
			for n := 1; n < len(a.kernel.renewedAt); n++ {
				if gap := a.kernel.renewedAt[n].Sub(a.kernel.renewedAt[n-1]); gap > 340*time.Millisecond {
					t.Errorf("%v between two passes", gap)
				}
			}
		})
	})
}

// S30: what the kernel removed itself, because this process stood still, does not.
func TestMasterWhoseAddressesLapsedBecomesBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a, _ := pair(t, lan)
		a.kernel.with(func() { a.kernel.renewErr = fmt.Errorf("vi_51: %w", ErrLapsed) })
		time.Sleep(400 * time.Millisecond)
		a.wantState("vi_51", Backup)
		if got := a.kernel.holds(); len(got) != 0 {
			t.Errorf("holds %v, want nothing", got)
		}
	})
}

func TestLinkDownIsAFaultUntilItIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a, _ := pair(t, lan)
		a.setLink(false)
		a.wantState("vi_51", Fault)
		if got, want := a.engine.Status()[0].Reason, "interface eth0: down"; got != want {
			t.Errorf("reason = %q, want %q", got, want)
		}
		a.setLink(true)
		a.wantState("vi_51", Backup)
		time.Sleep(4 * time.Second)
		a.wantState("vi_51", Master)
	})
}

func TestInterfaceThatComesBackWithAnotherIndexGetsANewSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a, _ := pair(t, lan)
		if err := a.engine.SetLink(t.Context(), Link{Name: "eth0", Gone: true}); err != nil {
			t.Fatal(err)
		}
		a.wantState("vi_51", Fault)
		again := Link{Name: "eth0", Index: 7, Up: true, Addrs: []netip.Prefix{netip.PrefixFrom(a.addr, 24)}}
		if err := a.engine.SetLink(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		a.wantState("vi_51", Master)
		lan.mu.Lock()
		defer lan.mu.Unlock()
		for _, s := range lan.sockets {
			if s.host == "a" && s.spec.Index != 7 {
				t.Errorf("a socket with index %d is open, want only 7", s.spec.Index)
			}
		}
	})
}

func TestSocketThatCannotBeOpenedIsAFaultAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
		a.network.setFailure(errors.New("operation not permitted"))
		a.apply(unitSpec(51, 150))
		time.Sleep(10 * time.Second)
		a.wantState("vi_51", Fault)

		a.network.setFailure(nil)
		time.Sleep(retryEvery + 4*time.Second)
		a.wantState("vi_51", Master)
	})
}

func TestSourceIsNeverAVirtualAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
		a.apply(unitSpec(51, 150))
		link := Link{Name: "eth0", Index: 2, Up: true, Addrs: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.51/32"), netip.MustParsePrefix("192.0.2.7/24"),
		}}
		if err := a.engine.SetLink(t.Context(), link); err != nil {
			t.Fatal(err)
		}
		statuses := a.engine.Status()
		if got, want := statuses[0].Instances[0].Source, netip.MustParseAddr("192.0.2.7"); got != want {
			t.Errorf("Source = %v, want %v", got, want)
		}
	})
}

func TestVersion3SenderLearnsTheDialectOfItsPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a := startNode(t, lan, "a", "192.0.2.1")
		b := startNode(t, lan, "b", "192.0.2.2")
		v3 := func(i *InstanceSpec) { i.Version = 3 }
		a.apply(unitSpec(51, 150, v3, func(i *InstanceSpec) { i.Wire.Checksum = packet.ChecksumPlain }))
		b.apply(unitSpec(51, 100, v3))
		time.Sleep(5 * time.Second)
		a.wantState("vi_51", Master)
		b.wantState("vi_51", Backup)
		a.stop()
		time.Sleep(2 * time.Second)
		b.wantState("vi_51", Master)
		plain := lan.count("b", func(d Datagram) bool {
			_, dialect, err := packet.Parse(d.Payload, d.Src, d.Dst)
			return err == nil && dialect == packet.ChecksumPlain
		})
		if plain == 0 {
			t.Error("the new master does not speak the dialect of the old one")
		}
	})
}

func TestUnicastInstancesTalkToTheirPeersOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a := startNode(t, lan, "a", "192.0.2.1")
		b := startNode(t, lan, "b", "192.0.2.2")
		unicast := func(peer string) func(*InstanceSpec) {
			return func(i *InstanceSpec) {
				i.Wire.Unicast = true
				i.Wire.CheckSource = true
				i.Wire.Peers = []Peer{{Addr: netip.MustParseAddr(peer)}}
			}
		}
		a.apply(unitSpec(51, 150, unicast("192.0.2.2")))
		b.apply(unitSpec(51, 100, unicast("192.0.2.1")))
		time.Sleep(10 * time.Second)
		a.wantState("vi_51", Master)
		b.wantState("vi_51", Backup)
		if got := lan.count("a", func(d Datagram) bool { return d.Dst.IsMulticast() }); got != 0 {
			t.Errorf("%d multicast adverts, want none", got)
		}
	})
}

func TestAnnouncementsKeepTheConfiguredGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
		a.apply(unitSpec(51, 150, func(i *InstanceSpec) { i.Announce.Interval = 100 * time.Millisecond }))
		time.Sleep(3*time.Second + 106*time.Second/256 + 250*time.Millisecond)
		synctest.Wait()
		a.kernel.with(func() {
			if got := len(a.kernel.announced); got != 3 {
				t.Errorf("%d announcements within 250 ms, want 3", got)
			}
		})
	})
}

func TestSteadyStatePublishesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, newMemoryLAN())
		count := func(n *testNode) int {
			synctest.Wait()
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.published
		}
		time.Sleep(10 * time.Second) // the second burst of announcements is over
		beforeA, beforeB := count(a), count(b)
		time.Sleep(time.Minute)
		if got := count(a) - beforeA + count(b) - beforeB; got != 0 {
			t.Errorf("%d publications in a minute without a change, want none", got)
		}
		statuses, err := b.engine.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen := statuses[0].Instances[0].LastAdvert; time.Since(seen.At) > time.Second || len(seen.Addrs) != 1 {
			t.Errorf("the snapshot says %+v, want an advert of the last second", seen)
		}
	})
}

func TestVerdictsReachTheirUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		_, b := pair(t, lan)

		lan.setCut("a", true)
		hold := Hold{Until: time.Now().Add(20 * time.Second), Reason: "a answers"}
		deliver := func(d ...Delivery) {
			if err := b.engine.Deliver(t.Context(), d...); err != nil {
				t.Fatal(err)
			}
		}
		deliver(Delivery{Unit: "vi_51", Events: []Event{hold}}, Delivery{Unit: "unknown", Events: []Event{hold}})
		time.Sleep(10 * time.Second)
		b.wantState("vi_51", Backup)
		if got := b.engine.Status()[0].Wants; got != WantHeld {
			t.Errorf("Wants = %q, want %q", got, WantHeld)
		}
		deliver(Delivery{Events: []Event{TakeOver{Reason: "a is gone"}}})
		b.wantState("vi_51", Master)
	})
}

func TestMethodsWaitNoLongerThanTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTestNode(t, newMemoryLAN(), "a", "192.0.2.1")
		kernel := &hangingKernel{memoryKernel: a.kernel}
		a.start(kernel)
		a.apply(unitSpec(51, 150))
		time.Sleep(5 * time.Second)
		a.engine.take(func(*loop) { kernel.hang = time.Minute })
		time.Sleep(time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.engine.Snapshot(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Snapshot of a hung engine = %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

func TestApplyRefusesWhatCannotRunAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startNode(t, newMemoryLAN(), "a", "192.0.2.1")
		a.apply(unitSpec(1, 100))
		err := a.engine.Apply(context.Background(), []UnitSpec{unitSpec(2, 100), unitSpec(2, 100)}, ApplyOptions{})
		if err == nil {
			t.Fatal("a unit listed twice was accepted")
		}
		if got := a.engine.Status(); len(got) != 1 || got[0].Name != "vi_1" {
			t.Errorf("units are %v, want only vi_1", got)
		}
	})
}
