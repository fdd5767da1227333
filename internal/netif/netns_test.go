package netif

import (
	"context"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The tests of this file's users need root. Each runs in a network namespace
// of its own, with the interfaces v0 and v1, a veth pair that is up.

// newNamespace moves the test's goroutine, locked to its thread, into a new
// network namespace until the test ends.
func newNamespace(t testing.TB) netns.NsHandle {
	t.Helper()
	runtime.LockOSThread()
	old, err := netns.Get()
	if err != nil {
		t.Fatalf("get network namespace: %v", err)
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make network namespace (these tests run as root): %v", err)
	}
	t.Cleanup(func() {
		err := netns.Set(old)
		ns.Close()
		old.Close()
		if err != nil {
			t.Errorf("leave network namespace: %v", err)
			return // still locked: the thread ends with the goroutine
		}
		runtime.UnlockOSThread()
	})
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v0"}, PeerName: "v1"}))
	for _, name := range []string{"lo", "v0", "v1"} {
		must(t, netlink.LinkSetUp(link(t, name)))
	}
	// Until the kernel has seen the carrier it drops what is sent.
	for _, name := range []string{"v0", "v1"} {
		eventually(t, 10*time.Second, name+" runs", func() bool {
			return link(t, name).Attrs().OperState == netlink.OperUp
		})
	}
	return ns
}

func link(t testing.TB, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	must(t, err)
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newAddresses(t testing.TB, dir string) *Addresses {
	t.Helper()
	a, err := NewAddresses(Options{RunDir: dir, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

// addOwn gives the machine an address of its own, as an administrator would.
func addOwn(t testing.TB, iface, prefix string) {
	t.Helper()
	addr, err := netlink.ParseAddr(prefix)
	must(t, err)
	addr.Flags = unix.IFA_F_NODAD
	must(t, netlink.AddrAdd(link(t, iface), addr))
}

// prefixes are the IPv4 and the global IPv6 addresses of an interface.
func prefixes(t testing.TB, iface string) []string {
	t.Helper()
	for {
		addrs, err := netlink.AddrList(link(t, iface), netlink.FAMILY_ALL)
		if err == netlink.ErrDumpInterrupted {
			continue
		}
		must(t, err)
		var out []string
		for _, a := range addrs {
			if !a.IP.IsLinkLocalUnicast() {
				out = append(out, a.IPNet.String())
			}
		}
		slices.Sort(out)
		return out
	}
}

func wantPrefixes(t testing.TB, iface string, want ...string) {
	t.Helper()
	if got := prefixes(t, iface); !slices.Equal(got, want) {
		t.Errorf("addresses of %s = %v, want %v", iface, got, want)
	}
}

// eventually polls until ok or a bound.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

func vip(prefix string) Address {
	return Address{Prefix: netip.MustParsePrefix(prefix), Interface: "v0"}
}

// startMonitor runs a monitor in the namespace on a goroutine of its own.
func startMonitor(t testing.TB, ns netns.NsHandle) <-chan []LinkState {
	t.Helper()
	levels := make(chan []LinkState, 1000)
	runMonitor(t, ns, slog.New(slog.DiscardHandler), func(l []LinkState) { levels <- l })
	return levels
}

func runMonitor(t testing.TB, ns netns.NsHandle, log *slog.Logger, deliver func([]LinkState)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- NewMonitor(log).Run(ctx, deliver)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
	})
}
