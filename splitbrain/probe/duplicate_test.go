package probe

import (
	"errors"
	"net"
	"net/netip"
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
