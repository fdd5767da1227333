package fence

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// neighbours runs f in a namespace with eth0, at whose other end a second
// namespace has the given addresses.
func neighbours(t *testing.T, f func(peer net.HardwareAddr), addrs ...string) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test's goroutine
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	other, err := netns.New()
	must(err)
	defer other.Close()
	far, err := netlink.NewHandleAt(other)
	must(err)
	here, err := netns.New()
	must(err)
	defer here.Close()
	veth := netlink.NewVeth(netlink.NewLinkAttrs())
	veth.Name, veth.PeerName = "eth0", "eth0"
	veth.PeerNamespace = netlink.NsFd(other)
	must(netlink.LinkAdd(veth))
	up := func(h *netlink.Handle, addrs ...string) net.HardwareAddr {
		for _, name := range []string{"lo", "eth0"} {
			l, err := h.LinkByName(name)
			must(err)
			must(h.LinkSetUp(l))
		}
		l, err := h.LinkByName("eth0")
		must(err)
		for _, text := range addrs {
			a, err := netlink.ParseAddr(text)
			must(err)
			a.Flags = 0x02 // IFA_F_NODAD
			must(h.AddrAdd(l, a))
		}
		return l.Attrs().HardwareAddr
	}
	near, err := netlink.NewHandleAt(here)
	must(err)
	up(near, "192.0.2.1/24", "2001:db8::1/64")
	peer := up(far, addrs...)
	// Until the kernel has seen the carrier it drops what is sent.
	for _, h := range []*netlink.Handle{near, far} {
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			l, err := h.LinkByName("eth0")
			must(err)
			if l.Attrs().OperState == netlink.OperUp {
				break
			}
			if time.Now().After(end) {
				t.Fatal("eth0 does not run within 10 s")
			}
		}
	}
	f(peer)
}

func TestAMachineIsProvedToTakePackets(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("run the tests as root: they make network namespaces")
	}
	neighbours(t, func(peer net.HardwareAddr) {
		stranger := net.HardwareAddr{2, 0, 0, 0, 0, 9}
		tests := []struct {
			name   string
			target string
			macs   []net.HardwareAddr
			want   bool
		}{
			{"it has the address", "192.0.2.100", []net.HardwareAddr{peer}, true},
			{"it has the IPv6 address", "2001:db8::100", []net.HardwareAddr{stranger, peer}, true},
			{"it does not have the address", "192.0.2.101", []net.HardwareAddr{peer}, false},
			{"it does not have the IPv6 address", "2001:db8::101", []net.HardwareAddr{peer}, false},
			{"another machine is asked", "192.0.2.100", []net.HardwareAddr{stranger}, false},
		}
		for _, tt := range tests {
			p := Probe{Interface: "eth0", Source: netip.MustParseAddr("192.0.2.1"), Target: netip.MustParseAddr(tt.target), MACs: tt.macs}
			if p.Target.Is6() {
				p.Source = netip.MustParseAddr("2001:db8::1")
			}
			if got, err := p.Taken(t.Context()); got != tt.want || err != nil {
				t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
			}
		}
		if _, err := (Probe{Interface: "eth9", Source: netip.MustParseAddr("192.0.2.1"), Target: netip.MustParseAddr("192.0.2.2"), MACs: []net.HardwareAddr{peer}}).Taken(t.Context()); err == nil {
			t.Error("an interface that does not exist is no error")
		}
	}, "192.0.2.2/24", "192.0.2.100/32", "2001:db8::2/64", "2001:db8::100/128")
}

func FuzzEchoAnswer(f *testing.F) {
	target := netip.MustParseAddr("192.0.2.1")
	f.Add(echoRequest(make([]byte, 6), make([]byte, 6), target, target, [16]byte{}), false)
	f.Fuzz(func(t *testing.T, frame []byte, v6 bool) {
		a := target
		if v6 {
			a = netip.MustParseAddr("2001:db8::1")
		}
		if from, ok := echoAnswer(frame, a, [16]byte{}); ok && len(from) != 6 {
			t.Error(errors.New("an answer from nowhere"))
		}
	})
}
