package netif

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestClaimAddsLeasesAndReleaseRemovesThem(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	addOwn(t, "v0", "192.0.2.1/24")
	vips := []Address{vip("192.0.2.100/32"), vip("192.0.2.101/24"), vip("2001:db8::100/128"), vip("2001:db8:1::100/64")}
	must(t, a.Claim("vi_1", vips, nil, Lease))
	wantPrefixes(t, "v0", "192.0.2.1/24", "192.0.2.100/32", "192.0.2.101/24", "2001:db8:1::100/64", "2001:db8::100/128")

	kernel, err := a.list(0)
	must(t, err)
	for _, k := range kernel {
		ours := slices.ContainsFunc(vips, func(v Address) bool { return v.Prefix == k.prefix })
		if ours != k.leased() {
			t.Errorf("%s: valid lifetime %d s, leased = %v, want %v", k.prefix, k.valid, k.leased(), ours)
		}
		if ours && k.prefix.Addr().Is6() && k.flags&unix.IFA_F_TENTATIVE != 0 {
			t.Errorf("%s is tentative, want no duplicate address detection", k.prefix)
		}
	}

	must(t, a.Claim("vi_1", vips, nil, Lease)) // once more changes nothing
	must(t, a.Release("vi_1", vips, nil))
	must(t, a.Release("vi_1", vips, nil))
	wantPrefixes(t, "v0", "192.0.2.1/24")
}

func TestLeaseEndsWithoutRenewal(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	vips := []Address{vip("192.0.2.100/24"), vip("2001:db8::100/64")}
	start := time.Now()
	must(t, a.Claim("vi_1", vips, nil, Lease))
	eventually(t, 10*time.Second, "addresses are gone", func() bool { return len(prefixes(t, "v0")) == 0 })
	if took := time.Since(start); took < Lease-50*time.Millisecond {
		t.Errorf("gone after %s, want not before the lease of %s", took, Lease)
	}
}

func TestRenewKeepsAddressesWithoutAGap(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	vips := []Address{vip("192.0.2.100/24"), vip("2001:db8::100/64")}
	// What does not run for a lease loses the addresses, rightly: then the three
	// leases begin again.
	for giveUp := time.Now().Add(time.Minute); ; {
		must(t, a.Release("vi_1", vips, nil))
		renewed := time.Now()
		must(t, a.Claim("vi_1", vips, nil, Lease))
		var fault error
		for end := renewed.Add(3 * Lease); fault == nil && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if began := time.Now(); began.Sub(renewed) >= 300*time.Millisecond {
				if fault = a.Renew(); fault != nil {
					break
				}
				renewed = began
			}
			if got := prefixes(t, "v0"); len(got) != 2 {
				fault = fmt.Errorf("addresses = %v, want both", got)
			}
		}
		if fault == nil {
			return
		}
		if time.Since(renewed) < Lease || time.Now().After(giveUp) {
			t.Fatal(fault)
		}
	}
}

func TestRenewPutsBackWhatOthersRemoved(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	must(t, a.Claim("vi_1", []Address{vip("192.0.2.100/24")}, nil, Lease))
	addr, err := netlink.ParseAddr("192.0.2.100/24")
	must(t, err)
	must(t, netlink.AddrDel(link(t, "v0"), addr))
	must(t, a.Renew())
	wantPrefixes(t, "v0", "192.0.2.100/24")
}

// S30, F22: the kernel's own removal and a person's look alike, so an address is put
// back only for as long as its last renewal lasts.
func TestRenewLeavesLapsedOwnersAlone(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	first, second := []Address{vip("192.0.2.100/32")}, []Address{vip("192.0.2.101/32")}
	must(t, a.Claim("vi_1", first, nil, Lease))
	a.held[keyOf(first[0])].at -= 2 * Lease
	must(t, a.Claim("vi_2", second, nil, Lease))
	addr, err := netlink.ParseAddr("192.0.2.100/32")
	must(t, err)
	must(t, netlink.AddrDel(link(t, "v0"), addr))
	for range 2 {
		err := a.Renew()
		if !errors.Is(err, ErrLapsed) || !strings.Contains(err.Error(), "vi_1") || strings.Contains(err.Error(), "vi_2") {
			t.Errorf("Renew = %v, want %v of vi_1 alone", err, ErrLapsed)
		}
	}
	wantPrefixes(t, "v0", "192.0.2.101/32")

	must(t, a.Claim("vi_1", first, nil, Lease))
	must(t, a.Renew())
	wantPrefixes(t, "v0", "192.0.2.100/32", "192.0.2.101/32")
}

func TestRenewLeavesOutWhoIsNamed(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	first, second := []Address{vip("192.0.2.100/32")}, []Address{vip("192.0.2.101/32")}
	must(t, a.Claim("vi_1", first, nil, Lease))
	must(t, a.Claim("vi_2", second, nil, Lease))
	must(t, a.Renew())
	for end := time.Now().Add(2200 * time.Millisecond); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		must(t, a.Renew("vi_1")) // which lapses, and is nobody's fault
	}
	wantPrefixes(t, "v0", "192.0.2.101/32")
	must(t, a.Release("vi_1", first, nil))
	must(t, a.Claim("vi_1", first, nil, Lease))
	must(t, a.Renew())
	wantPrefixes(t, "v0", "192.0.2.100/32", "192.0.2.101/32")
}

func TestForeignAddressIsReportedAndLeftAlone(t *testing.T) {
	newNamespace(t)
	var reported []netip.Prefix
	a, err := NewAddresses(Options{
		RunDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Foreign: func(f Address) { reported = append(reported, f.Prefix) },
	})
	must(t, err)
	defer a.Close()
	addOwn(t, "v0", "192.0.2.100/24")
	addOwn(t, "v0", "2001:db8::100/64")
	vips := []Address{vip("192.0.2.100/24"), vip("2001:db8::100/64")}
	must(t, a.Claim("vi_1", vips, nil, Lease))
	must(t, a.Renew())
	must(t, a.Release("vi_1", vips, nil))
	if len(reported) != 2 {
		t.Errorf("reported = %v, want both", reported)
	}
	kernel, err := a.list(0)
	must(t, err)
	found := 0
	for _, k := range kernel {
		if k.prefix == vips[0].Prefix || k.prefix == vips[1].Prefix {
			found++
			if k.valid != forever {
				t.Errorf("%s has a lifetime of %d s, want it as it was", k.prefix, k.valid)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d of 2 addresses are there", found)
	}
}

func TestReleaseOfThePrimaryKeepsTheOthersOfItsSubnet(t *testing.T) {
	newNamespace(t)
	must(t, os.WriteFile("/proc/sys/net/ipv4/conf/all/promote_secondaries", []byte("0"), 0o644))
	must(t, os.WriteFile("/proc/sys/net/ipv4/conf/v0/promote_secondaries", []byte("0"), 0o644))
	a := newAddresses(t, t.TempDir())
	must(t, a.Claim("vi_1", []Address{vip("192.0.2.100/24")}, nil, Lease))
	addOwn(t, "v0", "192.0.2.1/24")
	must(t, a.Release("vi_1", []Address{vip("192.0.2.100/24")}, nil))
	wantPrefixes(t, "v0", "192.0.2.1/24")
}

func TestIPv6SubnetRouteOfTheMachineSurvivesTheVirtualAddress(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	addOwn(t, "v0", "2001:db8::1/64")
	vips := []Address{vip("2001:db8::100/64")}
	must(t, a.Claim("vi_1", vips, nil, Lease))
	must(t, a.Renew())
	must(t, a.Release("vi_1", vips, nil))
	const rtfExpires = 0x400000 // include/uapi/linux/ipv6_route.h
	// Columns: destination, its length, ..., flags, device.
	table, err := os.ReadFile("/proc/thread-self/net/ipv6_route")
	must(t, err)
	found := false
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if f[0] != "20010db8000000000000000000000000" || f[1] != "40" || f[9] != "v0" {
			continue
		}
		flags, err := strconv.ParseUint(f[8], 16, 32)
		must(t, err)
		found = true
		if flags&rtfExpires != 0 {
			t.Errorf("the subnet's route ends with the virtual address: %s", line)
		}
	}
	if !found {
		t.Errorf("no route to 2001:db8::/64:\n%s", table)
	}
}

func TestIPv6VirtualAddressReachesItsSubnet(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	first, second := []Address{vip("2001:db8::100/64")}, []Address{vip("2001:db8::101/64")}
	must(t, a.Claim("vi_1", first, nil, Lease))
	must(t, a.Claim("vi_2", second, nil, Lease))
	count := func() int {
		routes, err := a.listRoutes(RouteProtocolVirtual)
		must(t, err)
		return len(routes)
	}
	must(t, a.Release("vi_1", first, nil))
	if n := count(); n != 1 {
		t.Errorf("%d on-link routes while vi_2 holds an address, want 1", n)
	}
	must(t, a.Release("vi_2", second, nil))
	if n := count(); n != 0 {
		t.Errorf("%d on-link routes after all is released, want 0", n)
	}
}

func TestAddressLineWordsReachTheKernel(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	addr := vip("192.0.2.100/24")
	addr.Label = "v0:vip"
	addr.Scope = unix.RT_SCOPE_LINK
	addr.Broadcast = netip.IPv4Unspecified()
	peer := vip("192.0.2.9/32")
	peer.Peer = netip.MustParsePrefix("198.51.100.0/30")
	must(t, a.Claim("vi_1", []Address{addr, peer}, nil, Lease))
	kernel, err := a.list(0)
	must(t, err)
	for _, k := range kernel {
		switch k.prefix {
		case addr.Prefix:
			if k.label != "v0:vip" || k.scope != unix.RT_SCOPE_LINK || k.broadcast != netip.MustParseAddr("192.0.2.255") {
				t.Errorf("address = %+v, want label v0:vip, scope link, broadcast 192.0.2.255", k)
			}
		case peer.Prefix:
			if k.peer != peer.Peer {
				t.Errorf("peer = %s, want %s", k.peer, peer.Peer)
			}
		}
	}
	must(t, a.Release("vi_1", []Address{addr, peer}, nil))
	wantPrefixes(t, "v0")
}

func TestClaimNamesWhatItCannotAdd(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	missing := vip("192.0.2.101/32")
	missing.Interface = "eth9"
	err := a.Claim("vi_1", []Address{missing, vip("192.0.2.100/32")}, nil, Lease)
	if want := "add 192.0.2.101/32 on eth9: no such interface"; err == nil || err.Error() != want {
		t.Errorf("Claim = %v, want %s", err, want)
	}
	wantPrefixes(t, "v0", "192.0.2.100/32")
	must(t, a.Release("vi_1", []Address{missing, vip("192.0.2.100/32")}, nil))
}

func TestScrubRemovesWhatAnEarlierProcessLeft(t *testing.T) {
	newNamespace(t)
	dir := t.TempDir()
	route := Route{Dst: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("192.0.2.254"), Interface: "v0"}
	addOwn(t, "v0", "192.0.2.1/24")
	dead := newAddresses(t, dir)
	must(t, dead.Claim("vi_1", []Address{vip("192.0.2.100/32"), vip("192.0.2.101/32")}, []Route{route}, Lease))

	a := newAddresses(t, dir)
	removed, err := a.Scrub(func(addr Address) bool { return addr.Prefix == vip("192.0.2.101/32").Prefix })
	must(t, err)
	if len(removed) != 1 || removed[0].Prefix != vip("192.0.2.100/32").Prefix {
		t.Errorf("removed = %v, want 192.0.2.100/32 alone", removed)
	}
	wantPrefixes(t, "v0", "192.0.2.1/24", "192.0.2.101/32")
	routes, err := a.listRoutes(RouteProtocolVirtual)
	must(t, err)
	if len(routes) != 0 {
		t.Errorf("virtual routes = %v, want none", routes)
	}
	// What is held passes to the new process.
	must(t, a.Claim("vi_1", []Address{vip("192.0.2.101/32")}, nil, Lease))
	if a.held[keyOf(vip("192.0.2.101/32"))].foreign {
		t.Error("an address of our own counts as foreign")
	}
}

// S36, F18: a journal that cannot be written stops nothing.
func TestFullRunDirectoryDoesNotStopATakeOver(t *testing.T) {
	newNamespace(t)
	dir := t.TempDir()
	a := newAddresses(t, dir)
	must(t, os.Mkdir(filepath.Join(dir, "addresses"), 0o755)) // cannot be written
	must(t, a.Claim("vi_1", []Address{vip("192.0.2.100/32")}, nil, Lease))
	wantPrefixes(t, "v0", "192.0.2.100/32")
	must(t, os.Remove(filepath.Join(dir, "addresses")))
	must(t, a.Claim("vi_2", []Address{vip("192.0.2.101/32")}, nil, Lease))
	b, err := os.ReadFile(filepath.Join(dir, "addresses"))
	must(t, err)
	if n := strings.Count(string(b), "+ lease v0 "); n != 2 {
		t.Errorf("journal names %d addresses when it can be written again, want 2:\n%s", n, b)
	}
}

func TestVirtualRoutesComeAndGo(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	addOwn(t, "v0", "192.0.2.1/24")
	routes := []Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.254"), Source: netip.MustParseAddr("192.0.2.100")},
		{Dst: netip.MustParsePrefix("198.51.100.0/24"), Interface: "v0", Table: 100},
		{Dst: netip.MustParsePrefix("203.0.113.0/24"), Type: "blackhole", Metric: 5},
		{Dst: netip.MustParsePrefix("2001:db8:9::/48"), Via: netip.MustParseAddr("fe80::1"), Interface: "v0"},
	}
	vips := []Address{vip("192.0.2.100/32")}
	for range 2 {
		must(t, a.Claim("vi_1", vips, routes, Lease))
		got, err := a.listRoutes(RouteProtocolVirtual)
		must(t, err)
		if len(got) != len(routes) {
			t.Errorf("routes = %v, want %d", got, len(routes))
		}
	}
	must(t, a.Release("vi_1", vips, routes))
	got, err := a.listRoutes(RouteProtocolVirtual)
	must(t, err)
	if len(got) != 0 {
		t.Errorf("routes = %v, want none", got)
	}
}

func TestRouteOfSomebodyElseIsNeverReplaced(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	addOwn(t, "v0", "192.0.2.1/24")
	theirs := netlink.Route{Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0")), Gw: netip.MustParseAddr("192.0.2.253").AsSlice()}
	must(t, netlink.RouteAdd(&theirs))
	ours := []Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.254")}}
	if err := a.Claim("vi_1", nil, ours, Lease); !errors.Is(err, unix.EEXIST) {
		t.Errorf("Claim = %v, want %v", err, unix.EEXIST)
	}
	must(t, a.Release("vi_1", nil, ours))
	routes, err := netlink.RouteGet(netip.MustParseAddr("8.8.8.8").AsSlice())
	must(t, err)
	if len(routes) != 1 || !routes[0].Gw.Equal(theirs.Gw) {
		t.Errorf("default route = %v, want the one of the administrator", routes)
	}
}

func TestSetStaticConvergesAlsoAcrossProcesses(t *testing.T) {
	newNamespace(t)
	dir := t.TempDir()
	addOwn(t, "v0", "192.0.2.1/24")
	routeTo := func(dst string) Route {
		return Route{Dst: netip.MustParsePrefix(dst), Via: netip.MustParseAddr("192.0.2.254"), Interface: "v0"}
	}
	first := newAddresses(t, dir)
	own := vip("192.0.2.1/24") // already there: never ours
	must(t, first.SetStatic([]Address{vip("10.0.0.1/24"), vip("10.0.1.1/24"), own}, []Route{routeTo("10.1.0.0/16"), routeTo("10.2.0.0/16")}))
	wantPrefixes(t, "v0", "10.0.0.1/24", "10.0.1.1/24", "192.0.2.1/24")

	second := newAddresses(t, dir)
	for range 2 {
		must(t, second.SetStatic([]Address{vip("10.0.1.1/24"), vip("10.0.2.1/24")}, []Route{routeTo("10.2.0.0/16")}))
		wantPrefixes(t, "v0", "10.0.1.1/24", "10.0.2.1/24", "192.0.2.1/24")
		routes, err := second.listRoutes(RouteProtocolStatic)
		must(t, err)
		if len(routes) != 1 || routes[0].Dst.String() != "10.2.0.0/16" {
			t.Errorf("static routes = %v, want that to 10.2.0.0/16 alone", routes)
		}
	}
	must(t, second.SetStatic(nil, nil))
	wantPrefixes(t, "v0", "192.0.2.1/24")
}

func BenchmarkRenew(b *testing.B) {
	for _, family := range []string{"IPv4", "IPv6"} {
		b.Run(family+"/255", func(b *testing.B) {
			newNamespace(b)
			a := newAddresses(b, b.TempDir())
			var vips []Address
			for i := range 255 {
				p := fmt.Sprintf("192.0.2.%d/32", i)
				if family == "IPv6" {
					p = fmt.Sprintf("2001:db8::%x/128", i+1)
				}
				vips = append(vips, vip(p))
			}
			must(b, a.Claim("vi_1", vips, nil, Lease))
			b.ResetTimer()
			for b.Loop() {
				must(b, a.Renew())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/255, "ns/address")
		})
	}
}

// A node that takes over 255 units, and one that gives them up.
func BenchmarkClaimAndRelease255(b *testing.B) {
	newNamespace(b)
	a := newAddresses(b, b.TempDir())
	var claiming, releasing time.Duration
	for b.Loop() {
		start := time.Now()
		for i := range 255 {
			must(b, a.Claim(fmt.Sprint(i), []Address{vip(fmt.Sprintf("192.0.2.%d/32", i))}, nil, Lease))
		}
		claimed := time.Now()
		for i := range 255 {
			must(b, a.Release(fmt.Sprint(i), []Address{vip(fmt.Sprintf("192.0.2.%d/32", i))}, nil))
		}
		claiming += claimed.Sub(start)
		releasing += time.Since(claimed)
	}
	b.ReportMetric(float64(claiming.Milliseconds())/float64(b.N), "ms/claims")
	b.ReportMetric(float64(releasing.Milliseconds())/float64(b.N), "ms/releases")
}
