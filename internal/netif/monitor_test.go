package netif

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
)

// waitFor returns the first level of an interface that is as wanted.
func waitFor(t testing.TB, levels <-chan []LinkState, what string, ok func(LinkState) bool) LinkState {
	t.Helper()
	bound := time.After(10 * time.Second)
	for {
		select {
		case changed := <-levels:
			for _, l := range changed {
				if ok(l) {
					return l
				}
			}
		case <-bound:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func TestMonitorDeliversTheFullSetFirst(t *testing.T) {
	ns := newNamespace(t)
	addOwn(t, "v0", "192.0.2.1/24")
	levels := startMonitor(t, ns)
	first := <-levels
	var names []string
	for _, l := range first {
		names = append(names, l.Name)
		if l.Name == "v0" && (!slices.Contains(l.Addrs, netip.MustParsePrefix("192.0.2.1/24")) || l.MTU != 1500 || len(l.HardwareAddr) != 6) {
			t.Errorf("v0 = %+v, want MTU 1500, a hardware address, and 192.0.2.1/24", l)
		}
		if (l.Name == "lo") != l.Loopback {
			t.Errorf("%s: Loopback = %v", l.Name, l.Loopback)
		}
	}
	slices.Sort(names)
	if want := []string{"lo", "v0", "v1"}; !slices.Equal(names, want) {
		t.Errorf("first delivery = %v, want %v", names, want)
	}
}

func TestMonitorFollowsLinksAndAddresses(t *testing.T) {
	ns := newNamespace(t)
	levels := startMonitor(t, ns)
	is := func(f func(LinkState) bool) func(LinkState) bool {
		return func(l LinkState) bool { return l.Name == "v0" && f(l) }
	}
	waitFor(t, levels, "v0 up", is(func(l LinkState) bool { return l.Up }))

	addOwn(t, "v0", "192.0.2.1/24")
	waitFor(t, levels, "address", is(func(l LinkState) bool {
		return l.Source(IPv4) == netip.MustParseAddr("192.0.2.1")
	}))

	must(t, netlink.LinkSetDown(link(t, "v1"))) // the cable
	waitFor(t, levels, "carrier lost", is(func(l LinkState) bool { return !l.Up && !l.Gone }))
	must(t, netlink.LinkSetUp(link(t, "v1")))
	waitFor(t, levels, "carrier back", is(func(l LinkState) bool { return l.Up }))

	must(t, netlink.LinkSetMTU(link(t, "v0"), 1400))
	waitFor(t, levels, "MTU", is(func(l LinkState) bool { return l.MTU == 1400 }))

	must(t, netlink.LinkSetDown(link(t, "v0")))
	waitFor(t, levels, "down", is(func(l LinkState) bool { return !l.Up }))
	must(t, netlink.LinkSetName(link(t, "v0"), "w0"))
	waitFor(t, levels, "old name gone", is(func(l LinkState) bool { return l.Gone }))
	must(t, netlink.LinkDel(link(t, "w0")))
	waitFor(t, levels, "gone", func(l LinkState) bool { return l.Name == "w0" && l.Gone })
}

func TestMonitorTellsLeasedFromOwnAndHearsOfTheirLoss(t *testing.T) {
	ns := newNamespace(t)
	addOwn(t, "v0", "192.0.2.1/24")
	a := newAddresses(t, t.TempDir())
	levels := startMonitor(t, ns)
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24"), netip.MustParsePrefix("2001:db8::100/64")}
	must(t, a.Claim("vi_1", []Address{vip("192.0.2.100/24"), vip("2001:db8::100/64")}, nil, Lease))
	l := waitFor(t, levels, "leased", func(l LinkState) bool { return slices.Equal(l.Leased, want) })
	for _, p := range want {
		if slices.Contains(l.Addrs, p) {
			t.Errorf("Addrs = %v holds a leased address", l.Addrs)
		}
	}
	addr, err := netlink.ParseAddr("192.0.2.100/24")
	must(t, err)
	must(t, netlink.AddrDel(link(t, "v0"), addr))
	waitFor(t, levels, "removed by others", func(l LinkState) bool { return l.Name == "v0" && slices.Equal(l.Leased, want[1:]) })
	must(t, a.Renew())
	waitFor(t, levels, "put back", func(l LinkState) bool { return slices.Equal(l.Leased, want) })
}

func TestRenewalsDoNotWakeTheMonitor(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	must(t, a.Claim("vi_1", []Address{vip("192.0.2.100/24"), vip("2001:db8::100/64")}, nil, Lease))
	events, err := subscribe()
	must(t, err)
	defer events.Close()
	buf := make([]byte, 4096)
	// heard reports what came of an address; others are the kernel's own.
	heard := func(prefix string, within time.Duration) bool {
		must(t, events.SetReadDeadline(time.Now().Add(within)))
		for {
			n, err := events.Read(buf)
			if err != nil {
				return false
			}
			for m := range nlmsg.Messages(buf[:n]) {
				if ia, _ := parseIfAddr(m.Data); ia.prefix == netip.MustParsePrefix(prefix) {
					return true
				}
			}
		}
	}
	time.Sleep(20 * time.Millisecond) // the stamps count hundredths of a second
	for range 3 {
		must(t, a.Renew())
	}
	for _, prefix := range []string{"192.0.2.100/24", "2001:db8::100/64"} {
		if heard(prefix, 50*time.Millisecond) {
			t.Errorf("the renewal of %s was heard", prefix)
		}
	}
	for _, prefix := range []string{"192.0.2.101/24", "2001:db8::101/64"} {
		must(t, a.Claim("vi_2", []Address{vip(prefix)}, nil, Lease))
		if !heard(prefix, time.Second) {
			t.Errorf("%s is new and was not heard", prefix)
		}
		must(t, a.Release("vi_2", []Address{vip(prefix)}, nil))
		if !heard(prefix, time.Second) {
			t.Errorf("%s was removed and this was not heard", prefix)
		}
	}
}

// notices counts the records of a message.
type notices struct {
	slog.Handler
	message string
	count   atomic.Int32
}

func (n *notices) Enabled(context.Context, slog.Level) bool { return true }

func (n *notices) Handle(_ context.Context, r slog.Record) error {
	if r.Message == n.message {
		n.count.Add(1)
	}
	return nil
}

func TestMonitorIsRightAfterAnOverflow(t *testing.T) {
	ns := newNamespace(t)
	overflows := &notices{message: "netlink overflowed; listing links again"}
	levels := make(chan []LinkState, 1000)
	gate := make(chan struct{}, 1000)
	runMonitor(t, ns, slog.New(overflows), func(l []LinkState) {
		levels <- l
		<-gate
	})
	<-levels
	// While it waits in its first delivery, more happens than a socket holds.
	conn, err := dialRtnl()
	must(t, err)
	defer conn.Close()
	index := link(t, "v0").Attrs().Index
	for range 200 {
		var r requests
		for i := range 30 {
			a := vip(fmt.Sprintf("192.0.2.%d/24", i+1))
			r.addAddr(a, index, permanent, 0)
			r.delAddr(a, index)
		}
		_, err := conn.do(&r)
		must(t, err)
	}
	addOwn(t, "v0", "198.51.100.1/24")
	for range cap(gate) {
		gate <- struct{}{}
	}
	l := waitFor(t, levels, "the last address", func(l LinkState) bool {
		return l.Source(IPv4) == netip.MustParseAddr("198.51.100.1")
	})
	if n := overflows.count.Load(); n == 0 {
		t.Errorf("the socket took all, so nothing was tested; the level was %+v", l)
	}
}

func TestTentativeAddressesAreNotUsable(t *testing.T) {
	ns := newNamespace(t)
	addr, err := netlink.ParseAddr("2001:db8::1/64")
	must(t, err)
	levels := startMonitor(t, ns)
	must(t, netlink.AddrAdd(link(t, "v0"), addr))
	has := func(l LinkState) bool {
		return l.Name == "v0" && slices.Contains(l.Addrs, netip.MustParsePrefix("2001:db8::1/64"))
	}
	start := time.Now()
	bound := time.After(5 * time.Second)
	for {
		select {
		case changed := <-levels:
			if !slices.ContainsFunc(changed, has) {
				continue
			}
			kernel, err := netlink.AddrList(link(t, "v0"), netlink.FAMILY_V6)
			must(t, err)
			for _, k := range kernel {
				if k.IP.Equal(addr.IP) && k.Flags&unix.IFA_F_TENTATIVE != 0 {
					t.Errorf("delivered after %s, still tentative", time.Since(start))
				}
			}
			return
		case <-bound:
			t.Fatal("not delivered within 5 s")
		}
	}
}

func TestLinkTableOrdersAddressesByPreference(t *testing.T) {
	table := newLinkTable()
	table.links[7] = LinkState{Name: "eth0", Index: 7}
	table.addrs = []ifAddr{
		{index: 7, prefix: netip.MustParsePrefix("fe80::2/64"), valid: forever, created: 20},
		{index: 7, prefix: netip.MustParsePrefix("192.0.2.9/24"), valid: forever, flags: unix.IFA_F_SECONDARY},
		{index: 7, prefix: netip.MustParsePrefix("fe80::1/64"), valid: forever, created: 10},
		{index: 7, prefix: netip.MustParsePrefix("192.0.2.1/24"), valid: forever},
		{index: 7, prefix: netip.MustParsePrefix("fe80::9/64"), valid: forever, created: 5, flags: unix.IFA_F_TENTATIVE},
		{index: 8, prefix: netip.MustParsePrefix("198.51.100.1/24"), valid: forever},
		{index: 7, prefix: netip.MustParsePrefix("192.0.2.100/24"), valid: 1},
	}
	l := table.level(7)
	want := []netip.Prefix{
		netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.9/24"),
		netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("fe80::2/64"),
	}
	if !slices.Equal(l.Addrs, want) {
		t.Errorf("Addrs = %v, want %v", l.Addrs, want)
	}
	if got := l.Source(IPv4); got != want[0].Addr() {
		t.Errorf("Source(IPv4) = %s, want %s", got, want[0].Addr())
	}
	if got := l.Source(IPv6); got != want[2].Addr() {
		t.Errorf("Source(IPv6) = %s, want %s", got, want[2].Addr())
	}
}

func TestBridgePortMessagesAreNotLinks(t *testing.T) {
	var r requests
	r.Begin(unix.RTM_DELLINK, 0)
	r.Raw(unix.AF_BRIDGE, 0, 0, 0)
	r.Raw(binary.NativeEndian.AppendUint32(nil, 7)...)
	r.Raw(make([]byte, 8)...)
	r.String(unix.IFLA_IFNAME, "eth0")
	r.End()
	table := newLinkTable()
	table.links[7] = LinkState{Name: "eth0", Index: 7}
	for m := range nlmsg.Messages(r.Bytes(1)) {
		table.apply(m)
	}
	if len(table.links) != 1 {
		t.Error("a port that left its bridge counts as gone")
	}
}

// From the request that adds an address to its level.
func BenchmarkMonitorLatency(b *testing.B) {
	ns := newNamespace(b)
	levels := startMonitor(b, ns)
	<-levels
	conn, err := dialRtnl()
	must(b, err)
	defer conn.Close()
	index := link(b, "v0").Attrs().Index
	a := vip("192.0.2.1/24")
	for b.Loop() {
		var r requests
		r.addAddr(a, index, permanent, 0)
		_, err := conn.do(&r)
		must(b, err)
		waitFor(b, levels, "added", func(l LinkState) bool { return l.Source(IPv4).IsValid() })
		r.Reset()
		r.delAddr(a, index)
		_, err = conn.do(&r)
		must(b, err)
		waitFor(b, levels, "removed", func(l LinkState) bool { return l.Name == "v0" && !l.Source(IPv4).IsValid() })
	}
}
