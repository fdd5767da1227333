package preflight

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
)

func TestWhoAnswersForAnIPv6AddressIsAsked(t *testing.T) {
	machines := wire(t)
	target := netip.MustParseAddr("2001:db8::2")
	var ifi, peer *net.Interface
	machines[1].in(func() { peer, _ = net.InterfaceByName("eth0") })
	var conn *ndp.Conn
	for range 50 { // until the link is up and its link-local address usable
		machines[0].in(func() {
			var err error
			if ifi, err = net.InterfaceByName("eth0"); err == nil {
				conn, err = openND(ifi, netip.Addr{})
			}
			if err != nil {
				conn = nil
			}
		})
		if conn != nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if conn == nil || peer == nil {
		t.Fatal("no socket for neighbour discovery")
	}
	defer conn.Close()
	buf := make([]byte, 1500)
	for range 20 {
		var err error
		machines[0].in(func() { err = askND(conn, ifi, target) }) // the zone is a name of there
		must(t, err)
		must(t, conn.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
		size, control, _, err := conn.ReadRaw(buf)
		if err != nil {
			continue
		}
		if control == nil || control.HopLimit != ndp.HopLimit {
			t.Errorf("the hop limit of an answer is not known: %+v", control)
		}
		addr, mac, ok := advertisement(buf[:size])
		if !ok || addr != target || mac.String() != peer.HardwareAddr.String() {
			t.Errorf("%v is answered for by %v (%v), want %v by %v", addr, mac, ok, target, peer.HardwareAddr)
		}
		return
	}
	t.Error("nobody answers")
}

func TestOnlyAnAdvertisementWithItsHardwareAddressSaysWhoHasAnAddress(t *testing.T) {
	target, mac := netip.MustParseAddr("2001:db8::100"), net.HardwareAddr{2, 0, 0, 0, 0, 1}
	option := func(d ndp.Direction) []ndp.Option {
		return []ndp.Option{&ndp.LinkLayerAddress{Direction: d, Addr: mac}}
	}
	for _, tt := range []struct {
		name string
		m    ndp.Message
		ok   bool
	}{
		{"advertisement", &ndp.NeighborAdvertisement{TargetAddress: target, Options: option(ndp.Target)}, true},
		{"advertisement without the option", &ndp.NeighborAdvertisement{TargetAddress: target}, false},
		{"solicitation", &ndp.NeighborSolicitation{TargetAddress: target, Options: option(ndp.Source)}, false},
	} {
		b, err := ndp.MarshalMessage(tt.m)
		must(t, err)
		if addr, got, ok := advertisement(b); ok != tt.ok || ok && (addr != target || got.String() != mac.String()) {
			t.Errorf("%s: %v %v %v", tt.name, addr, got, ok)
		}
	}
	if _, _, ok := advertisement([]byte{136}); ok {
		t.Error("a truncated message is read")
	}
}
