package preflight

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// machine is a namespace with eth0.
type machine struct{ ns netns.NsHandle }

// wire makes two machines at one cable.
func wire(t *testing.T) [2]machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("run the tests as root: they make network namespaces")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	must(t, err)
	defer home.Close()
	var out [2]machine
	for i := range out {
		out[i].ns, err = netns.New()
		must(t, err)
		t.Cleanup(func() { out[i].ns.Close() })
		// Addresses can be used at once.
		must(t, os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0o644))
	}
	must(t, netns.Set(home))
	h, err := netlink.NewHandleAt(out[0].ns)
	must(t, err)
	veth := netlink.NewVeth(netlink.NewLinkAttrs())
	veth.Name, veth.PeerName, veth.PeerNamespace = "eth0", "eth0", netlink.NsFd(out[1].ns)
	must(t, h.LinkAdd(veth))
	for i := range out {
		h, err := netlink.NewHandleAt(out[i].ns)
		must(t, err)
		l, err := h.LinkByName("eth0")
		must(t, err)
		for _, text := range []string{"192.0.2." + strconv.Itoa(i+1) + "/24", "2001:db8::" + strconv.Itoa(i+1) + "/64"} {
			a, err := netlink.ParseAddr(text)
			must(t, err)
			a.Flags = 0x02 // IFA_F_NODAD
			must(t, h.AddrAdd(l, a))
		}
		must(t, h.LinkSetUp(l))
	}
	return out
}

// in runs f on a thread in the machine's namespace. The thread is not used again.
func (m machine) in(f func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread()
		if err := netns.Set(m.ns); err != nil {
			panic(err)
		}
		f()
	})
	wg.Wait()
}

// examineNetwork opens its sockets in goroutines of its own, so here each part is
// run by itself, on a thread in the namespace.
func TestTestDatagramsArriveByMulticastAndUnicast(t *testing.T) {
	machines := wire(t)
	for _, ipv6 := range []bool{false, true} {
		n := Network{Interface: "eth0", Group: netip.MustParseAddr("224.0.0.18"), IPv6: ipv6}
		to := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
		if ipv6 {
			n.Group = netip.MustParseAddr("ff02::12")
			to = []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
		}
		var sockets [2]*socket
		for i := range sockets {
			machines[i].in(func() {
				s, err := openSocket(n)
				if err != nil {
					t.Error(err)
					return
				}
				sockets[i] = s
			})
			if sockets[i] == nil {
				return
			}
			defer sockets[i].Close()
		}
		if !sockets[0].near(to[1]) || sockets[0].near(netip.MustParseAddr("198.51.100.1")) {
			t.Error("the neighbour is not told from a far address")
		}
		for _, kind := range []Kind{Multicast, Unicast} {
			target := to[1]
			if kind == Multicast {
				target = n.Group
			}
			sent := datagram{Session: 77, Kind: kind, From: "a"}
			buf := make([]byte, 256)
			var got datagram
			for range 20 { // the link may not be up yet, nor the address
				must(t, sockets[0].Send(sent.encode(), target))
				must(t, sockets[1].SetReadDeadline(time.Now().Add(200*time.Millisecond)))
				size, _, err := sockets[1].Read(buf)
				if err != nil {
					continue
				}
				if got, err = decode(buf[:size]); err == nil && got == sent {
					break
				}
			}
			if got != sent {
				t.Errorf("%s, IPv6 %v: %+v, want %+v", kind, ipv6, got, sent)
			}
		}
	}
}

func TestNoRouterTakesTheTestForAnAdvert(t *testing.T) {
	b := datagram{Session: 1, Kind: Multicast, From: "lb01"}.encode()
	if kind := b[0] & 0x0f; kind == 1 {
		t.Error("its type is that of an advert")
	}
	if b[1] != 0 {
		t.Errorf("virtual router %d can be somebody's", b[1])
	}
	if _, ok := readAdvert(b); ok {
		t.Error("this package takes it for an advert itself")
	}
}

func TestAdvertsOfOthersAreRead(t *testing.T) {
	got, ok := readAdvert([]byte{0x21, 51, 150, 1, 0, 1, 0, 0, 192, 0, 2, 1})
	if want := (Router{Version: 2, VRID: 51, Priority: 150}); !ok || got != want {
		t.Errorf("readAdvert = %+v, %v; want %+v", got, ok, want)
	}
}

func TestWhoAnswersForAnAddressIsReadFromARP(t *testing.T) {
	from := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	reply := arpRequest(from, vip)
	if _, _, ok := arpReply(reply); ok {
		t.Error("a request is taken for a reply")
	}
	reply[ethSize+7] = 2
	copy(reply[ethSize+14:], vip.AsSlice())
	if addr, mac, ok := arpReply(reply); !ok || addr != vip || mac.String() != from.String() {
		t.Errorf("arpReply = %v %v %v", addr, mac, ok)
	}
}

func TestManagersOfAnInterfaceAreFound(t *testing.T) {
	root := t.TempDir()
	ifi := &net.Interface{Index: 7, Name: "eth0"}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
	checks := func() []string {
		var out []string
		for _, f := range managers(root, "a", ifi) {
			out = append(out, f.Summary[:len("NetworkManager")])
		}
		return out
	}
	if got := checks(); len(got) > 0 {
		t.Errorf("without managers: %v", got)
	}
	write("run/NetworkManager/devices/7", "[device]\nmanaged=true\n")
	write("run/systemd/netif/links/7", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/a.network\n")
	write("etc/systemd/network/a.network", "[Network]\nDHCP=no\n")
	if got := checks(); !slices.Equal(got, []string{"NetworkManager", "systemd-networ"}) {
		t.Errorf("with both: %v", got)
	}
	write("run/NetworkManager/devices/7", "[device]\nmanaged=false\n")
	write("etc/systemd/network/a.network", "[Network]\nKeepConfiguration=yes\n")
	if got := checks(); len(got) > 0 {
		t.Errorf("with both told to leave it alone: %v", got)
	}
}

func TestAMissingInterfaceIsAnError(t *testing.T) {
	f := Machine(t.TempDir(), "a", []string{"no-such-if"})
	if len(f) != 2 || f[1].Severity != Error || f[1].Check != "interface" {
		t.Errorf("findings %+v", f)
	}
	// It is said once, and not by each test that cannot be made there.
	r := Examine(t.Context(), Plan{Node: "a", Networks: []Network{{Interface: "no-such-if", VIPs: []netip.Addr{vip}}}, Window: time.Millisecond})
	if len(r.Findings) > 0 {
		t.Errorf("findings of the networks %+v, want none", r.Findings)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(datagram{Session: 5, Kind: Unicast, From: "lb01"}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decode(b)
		if err != nil {
			return
		}
		if again, err := decode(d.encode()); err != nil || again != d {
			t.Errorf("%+v becomes %+v, %v", d, again, err)
		}
	})
}

func FuzzNeighbours(f *testing.F) {
	f.Add(arpRequest(net.HardwareAddr{2, 0, 0, 0, 0, 1}, vip))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, mac, ok := arpReply(b); ok && len(mac) != 6 {
			t.Error("an answer from nowhere")
		}
		if r, ok := readAdvert(b); ok && (r.VRID < 1 || r.VRID > 255) {
			t.Errorf("virtual router %d", r.VRID)
		}
	})
}
