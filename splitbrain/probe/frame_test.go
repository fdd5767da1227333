package probe

import (
	"net"
	"net/netip"
	"testing"

	"github.com/mdlayher/arp"
	"golang.org/x/net/bpf"

	"github.com/hacluster/hacluster/splitbrain"
)

var (
	hw   = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	zero = netip.IPv4Unspecified()
	v4   = netip.MustParseAddr("192.0.2.100")
	v6   = netip.MustParseAddr("2001:db8::100")
	ll   = netip.MustParseAddr("fe80::1")
)

// RFC 5227 section 2.1.1: "The 'sender IP address' field MUST be set to all
// zeroes".
func TestProbeHasTheZeroSender(t *testing.T) {
	b, err := arpRequest(hw, zero, v4)
	if err != nil {
		t.Fatal(err)
	}
	var p arp.Packet
	if err := p.UnmarshalBinary(b[ethernetHeader:]); err != nil {
		t.Fatal(err)
	}
	if p.Operation != arp.OperationRequest || p.SenderIP != zero || p.TargetIP != v4 || p.SenderHardwareAddr.String() != hw.String() {
		t.Errorf("probe is %+v", p)
	}
	if _, _, err := parse(b); err == nil {
		t.Error("a probe says who has an address, want that it says nothing")
	}
}

// S66, T8: from the unspecified address the answer would be a multicast that turns
// all caches.
func TestSolicitationComesFromTheLinkLocalAddress(t *testing.T) {
	b, err := solicitation(hw, ll, v6)
	if err != nil {
		t.Fatal(err)
	}
	source := netip.AddrFrom16([16]byte(b[ethernetHeader+8 : ethernetHeader+24]))
	group := netip.AddrFrom16([16]byte(b[ethernetHeader+24 : ethernetHeader+40]))
	option := b[ndTarget+16:]
	if source != ll || group != netip.MustParseAddr("ff02::1:ff00:100") || b[ethernetHeader+7] != 255 ||
		[6]byte(b[:6]) != [6]byte{0x33, 0x33, 0xff, 0, 1, 0} || option[0] != 1 || net.HardwareAddr(option[2:8]).String() != hw.String() {
		t.Errorf("solicitation from %v to %v is % x", source, group, b)
	}
}

func advertisement(target netip.Addr, option bool) []byte {
	b, _ := solicitation(hw, ll, target)
	b[ndMessage] = 136
	b[ndTarget+16] = 2
	if !option {
		b = b[:ndTarget+16]
		b[ethernetHeader+5] = 24
	}
	return b
}

func TestParseReadsWhoHasAnAddress(t *testing.T) {
	mac := splitbrain.MAC(hw)
	announced, _ := arpRequest(hw, v4, v4)
	routed := advertisement(v6, true)
	routed[ethernetHeader+7] = 64
	cut := advertisement(v6, true)
	tests := []struct {
		name  string
		frame []byte
		want  netip.Addr
	}{
		{"gratuitous ARP", announced, v4},
		{"neighbour advertisement", advertisement(v6, true), v6},
		{"one without its option", advertisement(v6, false), v6},
		{"one that was routed", routed, netip.Addr{}},
		{"one that is cut", cut[:len(cut)-1], netip.Addr{}},
		{"one of a group", advertisement(netip.MustParseAddr("ff02::1"), true), netip.Addr{}},
		{"nothing", nil, netip.Addr{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr, got, err := parse(tt.frame)
			if err == nil && (addr != tt.want || got != mac) || err != nil && tt.want.IsValid() {
				t.Errorf("parse = %v, %v, %v; want %v", addr, got, err, tt.want)
			}
		})
	}
}

func TestFilterPassesOnlyWhatIsAskedFor(t *testing.T) {
	run := func(v6 bool, frame []byte, addrs ...netip.Addr) bool {
		set := make(map[netip.Addr]*interest)
		for _, a := range addrs {
			set[a] = &interest{}
		}
		raw, err := filter(v6, set)
		if err != nil {
			t.Fatal(err)
		}
		prog, _ := bpf.Disassemble(raw)
		vm, err := bpf.NewVM(prog)
		if err != nil {
			t.Fatal(err)
		}
		n, err := vm.Run(frame)
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	announced, _ := arpRequest(hw, v4, v4)
	probe, _ := arpRequest(hw, zero, v4)
	solicited, _ := solicitation(hw, ll, v6)
	other := netip.MustParseAddr("192.0.2.101")
	var many []netip.Addr
	for a := netip.MustParseAddr("10.0.0.0"); len(many) <= maxFiltered; a = a.Next() {
		many = append(many, a)
	}
	tests := []struct {
		name  string
		v6    bool
		frame []byte
		addrs []netip.Addr
		want  bool
	}{
		{"an announced address", false, announced, []netip.Addr{other, v4}, true},
		{"another address", false, announced, []netip.Addr{other}, false},
		{"a probe for it", false, probe, []netip.Addr{v4}, false},
		{"255 addresses and this one", false, announced, append(many[:255:255], v4), true},
		{"255 addresses without it", false, announced, many[:255], false},
		{"more than the kernel takes", false, announced, many, true},
		{"an advertisement", true, advertisement(v6, true), []netip.Addr{v6}, true},
		{"another advertisement", true, advertisement(ll, true), []netip.Addr{v6}, false},
		{"a solicitation", true, solicited, []netip.Addr{v6}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := run(tt.v6, tt.frame, tt.addrs...); got != tt.want {
				t.Errorf("passes: %v, want %v", got, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	announced, _ := arpRequest(hw, v4, v4)
	f.Add(announced)
	f.Add(advertisement(v6, true))
	f.Add(advertisement(v6, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, _, err := parse(b)
		if err == nil && (!addr.IsValid() || addr.IsUnspecified()) {
			t.Errorf("parse = %v without an error", addr)
		}
	})
}

// RFC 4862 section 5.4.2: from the unspecified address, and RFC 4861 section 4.3:
// then without the link-layer address.
func TestAnonymousSolicitationHasNoOption(t *testing.T) {
	b, err := anonymous(hw, v6)
	if err != nil {
		t.Fatal(err)
	}
	source := netip.AddrFrom16([16]byte(b[ethernetHeader+8 : ethernetHeader+24]))
	if !source.IsUnspecified() || len(b) != ndTarget+16 {
		t.Errorf("from %v with %d bytes of options, want :: with none", source, len(b)-ndTarget-16)
	}
}
