package probe

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/splitbrain"
)

// give adds addresses to an interface of the present namespace.
func give(t *testing.T, iface string, prefixes ...string) {
	t.Helper()
	link, err := netlink.LinkByName(iface)
	must(t, err)
	for _, prefix := range prefixes {
		a, err := netlink.ParseAddr(prefix)
		must(t, err)
		if a.IP.To4() == nil {
			a.Flags = unix.IFA_F_NODAD
		}
		must(t, netlink.AddrAdd(link, a))
	}
}

// F30: the neighbour has the address as well.
func TestDuplicateOfAnOwnAddressIsFound(t *testing.T) {
	b := newBench(t)
	give(t, "v0", "192.0.2.100/24", "2001:db8::100/64")
	for _, own := range []netip.Addr{v4, v6} {
		err := FindDuplicate(own)
		if d, ok := errors.AsType[*DuplicateError](err); !ok || *d != (DuplicateError{Addr: own, Interface: "v0", MAC: b.neighbour}) {
			t.Errorf("FindDuplicate(%v) = %v, want %v on v0", own, err, b.neighbour)
		}
	}
}

// A start waits for the answer that does not come.
func TestQuestionForADuplicateEndsWithinItsWindow(t *testing.T) {
	newBench(t)
	give(t, "v0", "192.0.2.50/24", "2001:db8::50/64")
	for _, own := range []string{"192.0.2.50", "2001:db8::50"} {
		shortest := time.Hour
		for range 5 { // a busy machine adds to it, and not each time
			began := time.Now()
			if err := FindDuplicate(netip.MustParseAddr(own)); err != nil {
				t.Errorf("FindDuplicate(%s) = %v, want nobody", own, err)
			}
			shortest = min(shortest, time.Since(began))
		}
		if shortest > DuplicateWindow {
			t.Errorf("%s: took %v, want %v at most", own, shortest, DuplicateWindow)
		}
	}
}

func TestNobodyIsAskedWhereThereAreNoNeighbours(t *testing.T) {
	newBench(t)
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
	give(t, "v0", "192.0.2.100/32")
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "down"}, PeerName: "peer"}))
	give(t, "down", "203.0.113.1/24")
	for _, own := range []string{"127.0.0.1", "::1", "192.0.2.100", "203.0.113.1", "198.51.100.77"} {
		shortest := time.Hour
		for range 3 {
			began := time.Now()
			if err := FindDuplicate(netip.MustParseAddr(own)); err != nil {
				t.Errorf("FindDuplicate(%s) = %v, want no error", own, err)
			}
			shortest = min(shortest, time.Since(began))
		}
		if shortest > roundTime {
			t.Errorf("%s: took %v, want no wait", own, shortest)
		}
	}
}

// unplugged is an interface with an address that a neighbour has too, and without a
// link until plug is called.
func unplugged(t *testing.T, b *bench, prefix string) (neighbour net.HardwareAddr, plug func()) {
	t.Helper()
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "w0"}, PeerName: "w1"}))
	w0, err := netlink.LinkByName("w0")
	must(t, err)
	w1, err := netlink.LinkByName("w1")
	must(t, err)
	must(t, netlink.LinkSetNsFd(w1, int(b.there)))
	b.across(func() { give(t, "w1", prefix) })
	give(t, "w0", prefix)
	must(t, netlink.LinkSetUp(w0))
	there, err := netlink.NewHandleAt(b.there)
	must(t, err)
	t.Cleanup(there.Close)
	return w1.Attrs().HardwareAddr, func() { _ = there.LinkSetUp(w1) }
}

// A machine that starts when its link has just come is a copy all the same.
func TestLinkThatHasJustComeIsWaitedFor(t *testing.T) {
	own := netip.MustParseAddr("203.0.113.1")
	neighbour, plug := unplugged(t, newBench(t), "203.0.113.1/24")
	plugged := make(chan struct{})
	time.AfterFunc(50*time.Millisecond, func() { defer close(plugged); plug() })
	err := awaitLink(own, time.Minute)
	<-plugged
	must(t, err)
	if d, ok := errors.AsType[*DuplicateError](FindDuplicate(own)); !ok || !slices.Equal(d.MAC[:], neighbour) {
		t.Errorf("FindDuplicate(%v) = %v, want %v", own, d, neighbour)
	}
}

func TestLinkThatDoesNotComeIsWaitedForInVain(t *testing.T) {
	own := netip.MustParseAddr("203.0.113.1")
	unplugged(t, newBench(t), "203.0.113.1/24")
	began := time.Now()
	const limit = 50 * time.Millisecond
	must(t, awaitLink(own, limit))
	if took := time.Since(began); took < limit {
		t.Errorf("waited for %v, want %v", took, limit)
	}
}

// What is refused wrongly is worse than what is missed.
func TestWhoIsNoDuplicate(t *testing.T) {
	mac, own := splitbrain.MAC{2, 0, 0, 0, 0, 9}, netip.MustParseAddr("192.0.2.1")
	network := netip.MustParsePrefix("192.0.2.1/24")
	others := newInquiry(network).others
	here := []net.Interface{{Name: "eth0", HardwareAddr: hw}}
	tests := []struct {
		name  string
		heard []netip.Addr
		here  []net.Interface
		want  bool
	}{
		{"a machine that answers twice", []netip.Addr{own, own}, here, true},
		{"one that has another address, too", []netip.Addr{own, own, others[0]}, here, true},
		{"one answer, perhaps an old one", []netip.Addr{own}, here, false},
		{"a network that answers for all alike", []netip.Addr{own, own, own, others[0], others[1]}, here, false},
		{"an interface of this machine", []netip.Addr{own, own, own}, []net.Interface{{Name: "vlan1", HardwareAddr: mac[:]}}, false},
		{"a neighbour with another address", []netip.Addr{others[0], others[0]}, here, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := newInquiry(network)
			for _, a := range tt.heard {
				q.hear(a, mac)
			}
			if got, ok := q.stranger(tt.here); ok != tt.want || ok && got != mac {
				t.Errorf("stranger = %v, %v; want %v", got, ok, tt.want)
			}
		})
	}
}

func TestOtherAddressesAreOfTheSameNetworkAndDiffer(t *testing.T) {
	for _, text := range []string{"192.0.2.1/24", "10.9.8.7/8", "10.0.0.130/25", "192.0.2.5/30", "2001:db8::1/64", "2001:db8::1/126"} {
		prefix := netip.MustParsePrefix(text)
		q := newInquiry(prefix)
		a, b := q.others[0], q.others[1]
		if a == b || a == q.own || b == q.own || !prefix.Contains(a) || !prefix.Contains(b) {
			t.Errorf("%s: others are %v and %v", text, a, b)
		}
	}
}
