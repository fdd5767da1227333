package netif

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// unhex reads hexadecimal digits and ignores the spaces between them.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	must(t, err)
	return b
}

func TestGratuitousARPIsKeepalivedsRequest(t *testing.T) {
	got, err := gratuitousARP(net.HardwareAddr{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("192.0.2.100"))
	must(t, err)
	want := unhex(t, "ffffffffffff 020000000001 0806"+
		"0001 0800 06 04 0001 020000000001 c0000264 ffffffffffff c0000264")
	if string(got[:len(want)]) != string(want) {
		t.Errorf("frame = %x, want %x", got, want)
	}
}

func TestUnsolicitedNAOverridesFromTheVirtualAddress(t *testing.T) {
	for _, test := range []struct {
		name   string
		router bool
		flags  string
		sum    string
	}{
		{name: "host", flags: "20000000", sum: "f72c"},
		{name: "router", router: true, flags: "a0000000", sum: "772c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := unsolicitedNA(net.HardwareAddr{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("2001:db8::100"), test.router)
			must(t, err)
			want := unhex(t, "333300000001 020000000001 86dd"+
				"60000000 0020 3a ff 20010db8000000000000000000000100 ff020000000000000000000000000001"+
				"88 00 "+test.sum+test.flags+"20010db8000000000000000000000100 0201 020000000001")
			if string(got) != string(want) {
				t.Errorf("frame = %x, want %x", got, want)
			}
		})
	}
}

// listenOn receives all frames of an interface.
func listenOn(t *testing.T, name string) *packet.Conn {
	t.Helper()
	conn, err := packet.Listen(&net.Interface{Index: link(t, name).Attrs().Index, Name: name}, packet.Raw, unix.ETH_P_ALL, nil)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetReadDeadline(time.Now().Add(2*time.Second)))
	return conn
}

func TestAnnouncementsReachTheSegment(t *testing.T) {
	newNamespace(t)
	must(t, os.WriteFile("/proc/sys/net/ipv6/conf/v0/forwarding", []byte("1"), 0o644))
	conn := listenOn(t, "v1")
	a, err := NewAnnouncer()
	must(t, err)
	defer a.Close()
	v4, v6 := netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::100")
	must(t, a.Announce([]Announcement{{"v0", v4}, {"v0", v6}}))

	hw := link(t, "v0").Attrs().HardwareAddr
	arp, err := gratuitousARP(hw, v4)
	must(t, err)
	na, err := unsolicitedNA(hw, v6, true)
	must(t, err)
	missing := map[string]bool{string(arp): true, string(na): true}
	buf := make([]byte, 2000)
	for len(missing) > 0 {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%d of 2 announcements did not arrive: %v", len(missing), err)
		}
		delete(missing, string(buf[:n]))
	}
}

func TestAnnounceUsesTheNewInterfaceOfAnOldName(t *testing.T) {
	newNamespace(t)
	a, err := NewAnnouncer()
	must(t, err)
	defer a.Close()
	list := []Announcement{{"v0", netip.MustParseAddr("192.0.2.100")}}
	must(t, a.Announce(list))
	must(t, netlink.LinkDel(link(t, "v0")))
	if err := a.Announce(list); err == nil || err.Error() != "announce on v0: no such interface" {
		t.Errorf("Announce = %v, want that there is no such interface", err)
	}
	if len(a.ports) != 0 {
		t.Errorf("%d sockets open for an interface that is gone, want none", len(a.ports))
	}
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v0"}, PeerName: "v1"}))
	must(t, netlink.LinkSetUp(link(t, "v0")))
	must(t, netlink.LinkSetUp(link(t, "v1")))
	must(t, a.Announce(list))
	if len(a.ports) != 1 {
		t.Errorf("%d sockets open, want 1", len(a.ports))
	}
}

func TestNothingIsAnnouncedOnLoopback(t *testing.T) {
	newNamespace(t)
	a, err := NewAnnouncer()
	must(t, err)
	defer a.Close()
	must(t, a.Announce([]Announcement{{"lo", netip.MustParseAddr("192.0.2.100")}}))
}

func BenchmarkAnnounce(b *testing.B) {
	newNamespace(b)
	a, err := NewAnnouncer()
	must(b, err)
	defer a.Close()
	var list []Announcement
	for i := range 1000 {
		list = append(list, Announcement{"v0", netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/250, i%250))})
	}
	for b.Loop() {
		must(b, a.Announce(list))
	}
}
