package netif

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
)

var guarded = map[netip.Addr]string{
	netip.MustParseAddr("192.0.2.100"):   "v0",
	netip.MustParseAddr("2001:db8::100"): "v0",
}

func evicted(t *testing.T, a *Addresses) []Evicted {
	t.Helper()
	got, err := a.Evict()
	must(t, err)
	slices.SortFunc(got, func(a, b Evicted) int {
		return strings.Compare(a.Interface+a.Addr.String(), b.Interface+b.Addr.String())
	})
	return got
}

func wantEvicted(t *testing.T, got []Evicted, want ...Evicted) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("evicted: -want +got\n%s", diff)
	}
}

// S35, R12, F21: somebody adds a virtual address to a member that does not hold it.
func TestGuardedAddressThatIsNotHeldIsRemoved(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	addOwn(t, "v0", "192.0.2.1/24")
	addOwn(t, "v0", "192.0.2.100/24")
	addOwn(t, "v1", "192.0.2.100/32")
	addOwn(t, "v0", "2001:db8::100/64")
	wantEvicted(t, evicted(t, a)) // nothing is guarded yet
	a.Guard(guarded)
	wantEvicted(t, evicted(t, a),
		Evicted{Addr: netip.MustParsePrefix("192.0.2.100/24"), Interface: "v0"},
		Evicted{Addr: netip.MustParsePrefix("2001:db8::100/64"), Interface: "v0"},
		Evicted{Addr: netip.MustParsePrefix("192.0.2.100/32"), Interface: "v1"},
	)
	wantPrefixes(t, "v0", "192.0.2.1/24")
	wantPrefixes(t, "v1")
	wantEvicted(t, evicted(t, a))
}

// S35, S74, R12: of what others own nothing else is touched.
func TestGuardLeavesWhatIsHeldAndWhatDoesNotAnswer(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	addOwn(t, "v0", "192.0.2.1/24")
	a.Guard(guarded)
	must(t, a.Claim("vi_1", []Address{vip("192.0.2.100/32")}, nil, Lease))
	// A real server has the address of its service on lo (S74).
	must(t, os.WriteFile("/proc/sys/net/ipv4/conf/all/arp_ignore", []byte("1\n"), 0o644))
	addOwn(t, "lo", "192.0.2.100/32")
	addOwn(t, "lo", "2001:db8::100/128")
	wantEvicted(t, evicted(t, a))
	must(t, a.Release("vi_1", []Address{vip("192.0.2.100/32")}, nil))
	wantEvicted(t, evicted(t, a))
	must(t, os.WriteFile("/proc/sys/net/ipv4/conf/all/arp_ignore", []byte("0\n"), 0o644))
	wantEvicted(t, evicted(t, a), Evicted{Addr: netip.MustParsePrefix("192.0.2.100/32"), Interface: "lo"})
}

func TestGuardDoesNotCutTheMachineOff(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	addOwn(t, "v0", "192.0.2.100/24")
	a.Guard(guarded)
	got := evicted(t, a)
	if len(got) != 1 || got[0].Kept == "" {
		t.Errorf("evicted %+v, want that it is kept, and why", got)
	}
	wantPrefixes(t, "v0", "192.0.2.100/24")
}

// S58: what answers after a release was not released.
func TestGuardedAddressThatWasThereBeforeTheClaimGoesWithTheRelease(t *testing.T) {
	for _, there := range []string{"192.0.2.100/32", "192.0.2.100/24"} {
		t.Run(there, func(t *testing.T) {
			newNamespace(t)
			a := newAddresses(t, t.TempDir())
			addOwn(t, "v0", "192.0.2.1/24")
			addOwn(t, "v0", there)
			a.Guard(guarded)
			must(t, a.Claim("vi_1", []Address{vip("192.0.2.100/32")}, nil, Lease))
			wantEvicted(t, evicted(t, a))
			must(t, a.Release("vi_1", []Address{vip("192.0.2.100/32")}, nil))
			wantPrefixes(t, "v0", "192.0.2.1/24")
		})
	}
}

func TestGatewayIsThatOfTheInterface(t *testing.T) {
	newNamespace(t)
	a := newAddresses(t, t.TempDir())
	addOwn(t, "v0", "192.0.2.1/24")
	addOwn(t, "v1", "198.51.100.1/24")
	addOwn(t, "v0", "2001:db8::1/64")
	want := func(iface string, f Family, want string) {
		t.Helper()
		got, err := a.Gateway(iface, f)
		if err != nil || got.IsValid() != (want != "") || want != "" && got != netip.MustParseAddr(want) {
			t.Errorf("gateway on %s, IPv%d: %v, %v; want %q", iface, f, got, err, want)
		}
	}
	want("v0", IPv4, "")
	want("v0", IPv6, "")
	route := func(iface, via string, metric int) {
		t.Helper()
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link(t, iface).Attrs().Index, Gw: netip.MustParseAddr(via).AsSlice(), Priority: metric}))
	}
	route("v0", "192.0.2.254", 0)
	route("v1", "198.51.100.254", 100)
	eventually(t, 5*time.Second, "an IPv6 route", func() bool {
		return netlink.RouteReplace(&netlink.Route{LinkIndex: link(t, "v0").Attrs().Index, Gw: netip.MustParseAddr("2001:db8::fe").AsSlice()}) == nil
	})
	want("v0", IPv4, "192.0.2.254")
	want("v1", IPv4, "198.51.100.254")
	want("v0", IPv6, "2001:db8::fe")
	if _, err := a.Gateway("none", IPv4); err == nil {
		t.Error("gateway on an interface that does not exist: no error")
	}
}
