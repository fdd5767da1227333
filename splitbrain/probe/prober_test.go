package probe

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/splitbrain"
)

// These tests need root. Each has two network namespaces of its own, joined by a
// veth pair: the prober's with v0 and the neighbour's with v1.
type bench struct {
	t           *testing.T
	here, there netns.NsHandle
	prober      *Prober
	mu          sync.Mutex
	sightings   []splitbrain.Sighting // guarded by mu
	unsent      []splitbrain.Probe    // guarded by mu
	neighbour   splitbrain.MAC
}

func newBench(t *testing.T) *bench {
	t.Helper()
	runtime.LockOSThread()
	old, err := netns.Get()
	must(t, err)
	there, err := netns.New()
	must(t, err)
	here, err := netns.New()
	must(t, err)
	t.Cleanup(func() {
		must(t, netns.Set(old))
		here.Close()
		there.Close()
		old.Close()
		runtime.UnlockOSThread()
	})
	b := &bench{t: t, here: here, there: there}
	b.plug()
	b.prober = New(Options{
		Log: slog.New(slog.DiscardHandler),
		Sighted: func(s ...splitbrain.Sighting) {
			b.mu.Lock()
			b.sightings = append(b.sightings, s...)
			b.mu.Unlock()
		},
		Unsent: func(p []splitbrain.Probe) {
			b.mu.Lock()
			b.unsent = append(b.unsent, p...)
			b.mu.Unlock()
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		if err := netns.Set(here); err != nil {
			done <- err
			return
		}
		done <- b.prober.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
	})
	return b
}

// plug makes the veth pair.
func (b *bench) plug() {
	b.t.Helper()
	must(b.t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v0"}, PeerName: "v1"}))
	v1, err := netlink.LinkByName("v1")
	must(b.t, err)
	must(b.t, netlink.LinkSetNsFd(v1, int(b.there)))
	b.across(func() {
		v1, err := netlink.LinkByName("v1")
		must(b.t, err)
		must(b.t, netlink.LinkSetUp(v1))
		for _, prefix := range []string{"192.0.2.2/24", "192.0.2.100/32", "2001:db8::100/64"} {
			a, err := netlink.ParseAddr(prefix)
			must(b.t, err)
			a.Flags = unix.IFA_F_NODAD
			must(b.t, netlink.AddrAdd(v1, a))
		}
		b.neighbour = splitbrain.MAC(v1.Attrs().HardwareAddr)
	})
	v0, err := netlink.LinkByName("v0")
	must(b.t, err)
	must(b.t, netlink.LinkSetUp(v0))
	b.eventually("v0 has a link-local address", func() bool {
		addrs, err := netlink.AddrList(v0, netlink.FAMILY_V6)
		return err == nil && slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.Flags&unix.IFA_F_TENTATIVE == 0 })
	})
}

// across calls f in the neighbour's namespace.
func (b *bench) across(f func()) {
	b.t.Helper()
	must(b.t, netns.Set(b.there))
	defer func() { must(b.t, netns.Set(b.here)) }()
	f()
}

func (b *bench) seen(a netip.Addr) []splitbrain.Sighting {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.sightings), func(s splitbrain.Sighting) bool { return s.Addr != a })
}

func (b *bench) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sightings, b.unsent = nil, nil
}

func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// S66: by IPv6 only the link-local source gets an answer, and that to itself alone.
func TestProbeIsAnsweredByWhoHasTheAddress(t *testing.T) {
	b := newBench(t)
	for _, a := range []netip.Addr{v4, v6} {
		b.prober.Send([]splitbrain.Probe{{Interface: "v0", Addr: a}})
		b.eventually("an answer for "+a.String(), func() bool { return len(b.seen(a)) > 0 })
		if s := b.seen(a)[0]; s.MAC != b.neighbour || s.Interface != "v0" || time.Since(s.At) > time.Second {
			t.Errorf("%v: %+v, want %v", a, s, b.neighbour)
		}
	}
	nobody := netip.MustParseAddr("192.0.2.200")
	b.prober.Send([]splitbrain.Probe{{Interface: "v0", Addr: nobody}, {Interface: "v0", Addr: v4}})
	b.eventually("a second answer", func() bool { return len(b.seen(v4)) > 1 })
	if s := b.seen(nobody); len(s) > 0 {
		t.Errorf("%v: %+v, want nobody", nobody, s)
	}
	// Probes change no cache of the neighbour: it knows nobody.
	b.across(func() {
		v1, _ := netlink.LinkByName("v1")
		neighbours, err := netlink.NeighList(v1.Attrs().Index, netlink.FAMILY_V4)
		must(t, err)
		if len(neighbours) > 0 {
			t.Errorf("the neighbour's ARP cache has %v, want nothing", neighbours)
		}
	})
}

func TestAnnouncementOfAWatchedAddressIsHeard(t *testing.T) {
	b := newBench(t)
	watched, other := netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("192.0.2.78")
	b.prober.Watch(map[string][]netip.Addr{"v0": {watched}})
	var conn *packet.Conn
	stranger := net.HardwareAddr{6, 6, 6, 6, 6, 6}
	b.across(func() {
		ifi, err := net.InterfaceByName("v1")
		must(t, err)
		conn, err = packet.Listen(ifi, packet.Raw, 0, nil)
		must(t, err)
	})
	defer conn.Close()
	b.eventually("an announcement", func() bool {
		for _, a := range []netip.Addr{other, watched} {
			frame, err := arpRequest(stranger, a, a)
			must(t, err)
			_, err = conn.WriteTo(frame, &packet.Addr{HardwareAddr: ethernet.Broadcast})
			must(t, err)
		}
		return len(b.seen(watched)) > 0
	})
	if s := b.seen(watched)[0]; s.MAC != splitbrain.MAC(stranger) {
		t.Errorf("announced by %v, want %v", s.MAC, stranger)
	}
	if s := b.seen(other); len(s) > 0 {
		t.Errorf("heard %+v, which nobody asked for", s)
	}
}

func TestInterfaceThatGoesAndComesIsProbedAgain(t *testing.T) {
	b := newBench(t)
	ask := func() bool {
		b.prober.Send([]splitbrain.Probe{{Interface: "v0", Addr: v4}})
		time.Sleep(5 * time.Millisecond)
		return len(b.seen(v4)) > 0
	}
	b.eventually("an answer", ask)
	v0, err := netlink.LinkByName("v0")
	must(t, err)

	must(t, netlink.LinkSetDown(v0))
	b.prober.LinksChanged()
	b.clear()
	b.eventually("a probe handed back", func() bool {
		ask()
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.unsent) > 0
	})
	must(t, netlink.LinkSetUp(v0))
	b.prober.LinksChanged()
	b.clear()
	b.eventually("an answer when the link is up again", ask)

	must(t, netlink.LinkDel(v0))
	b.prober.LinksChanged()
	b.plug()
	b.prober.LinksChanged()
	b.clear()
	b.eventually("an answer from the interface that was made again", func() bool {
		return ask() && b.seen(v4)[0].MAC == b.neighbour
	})
}

func TestProbesBeyondTheRateAreHandedBack(t *testing.T) {
	b := newBench(t)
	probes := make([]splitbrain.Probe, 1000)
	for i := range probes {
		probes[i] = splitbrain.Probe{Interface: "v0", Addr: v4}
	}
	b.prober.Send(probes)
	b.eventually("the rest is handed back", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.unsent) >= 1000-rateBurst-1
	})
	b.eventually("answers", func() bool { return len(b.seen(v4)) >= rateBurst*9/10 })
}

func TestProbeOnAnInterfaceThatIsNotThereIsHandedBack(t *testing.T) {
	b := newBench(t)
	for _, iface := range []string{"none", "lo"} {
		b.clear()
		b.prober.Send([]splitbrain.Probe{{Interface: iface, Addr: v4}})
		b.eventually("handed back", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.unsent) == 1
		})
	}
}
