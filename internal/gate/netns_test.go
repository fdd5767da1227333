package gate

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The tests that use this file need root: they make network namespaces of their
// own.

// machine is a network namespace with its links.
type machine struct {
	t      testing.TB
	handle netns.NsHandle
	route  *netlink.Handle
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	m := &machine{t: t}
	made := make(chan error)
	go func() {
		// Never unlocked: the thread is in the wrong namespace and ends here.
		runtime.LockOSThread()
		var err error
		m.handle, err = netns.New()
		made <- err
	}()
	must(t, <-made)
	var err error
	m.route, err = netlink.NewHandleAt(m.handle)
	must(t, err)
	t.Cleanup(func() {
		m.route.Close()
		m.handle.Close()
	})
	must(t, m.route.LinkSetUp(m.link("lo")))
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// do calls f on a thread that is in the namespace.
func (m *machine) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // as above
		if err := netns.Set(m.handle); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

func (m *machine) link(name string) netlink.Link {
	m.t.Helper()
	l, err := m.route.LinkByName(name)
	must(m.t, err)
	return l
}

func (m *machine) index(name string) int { return m.link(name).Attrs().Index }

// cable connects two machines with a pair of veth of the given names, both up.
func cable(a *machine, nameA string, b *machine, nameB string) {
	a.t.Helper()
	must(a.t, a.route.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: nameA}, PeerName: nameB, PeerNamespace: netlink.NsFd(int(b.handle)),
	}))
	for n, end := range []struct {
		*machine
		name string
	}{{a, nameA}, {b, nameB}} {
		// A link-local address that is usable at once, instead of the kernel's.
		must(a.t, end.route.LinkSetIP6AddrGenMode(end.link(end.name), nl.IN6_ADDR_GEN_MODE_NONE))
		end.up(end.name)
		end.addr(end.name, fmt.Sprintf("fe80::%d/64", n+1))
	}
}

func (m *machine) up(name string) {
	m.t.Helper()
	must(m.t, m.route.LinkSetUp(m.link(name)))
}

// addr gives a link an address that is usable at once.
func (m *machine) addr(link, prefix string) {
	m.t.Helper()
	a, err := netlink.ParseAddr(prefix)
	must(m.t, err)
	if a.IP.To4() == nil {
		a.Flags = unix.IFA_F_NODAD
	}
	must(m.t, m.route.AddrAdd(m.link(link), a))
}

// routeVia adds a route by a gateway.
func (m *machine) routeVia(dst, via string) {
	m.t.Helper()
	_, prefix, err := net.ParseCIDR(dst)
	must(m.t, err)
	must(m.t, m.route.RouteAdd(&netlink.Route{Dst: prefix, Gw: net.ParseIP(via)}))
}

// gate makes a gate on the machine and lets it follow the links.
func (m *machine) gate(restored func(string, error)) *Gate {
	m.t.Helper()
	g := m.idleGate(restored)
	m.run(g)
	return g
}

// idleGate is a gate that follows nothing.
func (m *machine) idleGate(restored func(string, error)) *Gate {
	m.t.Helper()
	var g *Gate
	must(m.t, m.do(func() (err error) {
		g, err = New(Options{Name: "test", Log: testLog(m.t), Restored: restored})
		return err
	}))
	m.t.Cleanup(func() { g.Close() })
	return g
}

// run lets a gate follow the links until the test ends.
func (m *machine) run(g *Gate) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	m.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != context.Canceled {
			m.t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
	})
}

func testLog(t testing.TB) *slog.Logger { return testLogTo(t.Output()) }

func testLogTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// guard makes a slot that guards addresses and is open for as long as said.
func guard(t testing.TB, g *Gate, open time.Duration, addrs ...string) *Slot {
	t.Helper()
	s, err := g.NewSlot()
	must(t, err)
	var what Guarded
	for _, a := range addrs {
		what.Addresses = append(what.Addresses, netip.MustParseAddr(a))
	}
	must(t, s.Guard(what))
	now := Now()
	s.Open(now+open, now+time.Hour)
	return s
}

// eventually polls until ok or a bound.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
