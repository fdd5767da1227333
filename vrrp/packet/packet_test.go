package packet

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	src4   = netip.MustParseAddr("192.0.2.1")
	group4 = netip.MustParseAddr("224.0.0.18")
	src6   = netip.MustParseAddr("fe80::ff:fe00:1")
	group6 = netip.MustParseAddr("ff02::12")
	vip4   = netip.MustParseAddr("192.0.2.100")

	compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden are frames captured from keepalived 2.2.7, without their IP headers.
var golden = []struct {
	name     string
	src, dst netip.Addr
	frame    string
	sum      Checksum
	advert   Advert
}{{
	name: "version 2 without authentication",
	src:  src4, dst: group4,
	frame:  "21 33 64 01 00 01 b865 c0000264 0000000000000000",
	advert: Advert{Version: 2, VRID: 51, Priority: 100, Interval: time.Second, Addrs: []netip.Addr{vip4}},
}, {
	name: "version 2 with a password",
	src:  src4, dst: group4,
	frame: "21 33 64 01 01 01 49e7 c0000264 7365637265743132",
	advert: Advert{Version: 2, VRID: 51, Priority: 100, Interval: time.Second, Addrs: []netip.Addr{vip4},
		Auth: AuthPass, AuthData: [8]byte([]byte("secret12"))},
}, {
	name: "version 3 with the pseudo-header",
	src:  src4, dst: group4,
	frame:  "31 33 64 01 0064 0572 c0000264",
	advert: Advert{Version: 3, VRID: 51, Priority: 100, Interval: time.Second, Addrs: []netip.Addr{vip4}},
}, {
	name: "version 3 with the checksum of version 2",
	src:  src4, dst: group4,
	frame:  "31 33 64 01 0064 a802 c0000264",
	sum:    ChecksumPlain,
	advert: Advert{Version: 3, VRID: 51, Priority: 100, Interval: time.Second, Addrs: []netip.Addr{vip4}},
}, {
	name: "version 3 over IPv6",
	src:  src6, dst: group6,
	frame: "31 33 64 02 0064 3efd" +
		"fe800000000000000000000000000100" + "20010db8000000000000000000000100",
	advert: Advert{Version: 3, VRID: 51, Priority: 100, Interval: time.Second,
		Addrs: []netip.Addr{netip.MustParseAddr("fe80::100"), netip.MustParseAddr("2001:db8::100")}},
}}

func TestGoldenFramesDecodeAndEncodeToTheSameBytes(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			frame := unhex(t, tt.frame)
			got, sum, err := Parse(frame, tt.src, tt.dst)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.advert, got, compareAddrs); diff != "" || sum != tt.sum {
				t.Errorf("Parse: dialect %d, want %d; advert (-want +got):\n%s", sum, tt.sum, diff)
			}
			b, err := tt.advert.Append([]byte("kept"), tt.src, tt.dst, tt.sum)
			if err != nil {
				t.Fatal(err)
			}
			if want := "kept" + string(frame); string(b) != want {
				t.Errorf("Append = %x, want %x", b, want)
			}
			if got := tt.advert.Len(tt.src.Is6()); got != len(frame) {
				t.Errorf("Len = %d, want %d", got, len(frame))
			}
		})
	}
}

func TestUnicastChecksumOverTheGroupIsRecognised(t *testing.T) {
	peer := netip.MustParseAddr("192.0.2.2")
	a := Advert{Version: 3, VRID: 51, Priority: 100, Interval: time.Second, Addrs: []netip.Addr{vip4}}
	b, err := a.Append(nil, src4, peer, ChecksumGroup)
	if err != nil {
		t.Fatal(err)
	}
	if _, sum, err := Parse(b, src4, peer); err != nil || sum != ChecksumGroup {
		t.Errorf("Parse = dialect %d, %v, want %d", sum, err, ChecksumGroup)
	}
	// The same bytes sent to another multicast group are simply wrong.
	if _, _, err := Parse(b, src4, netip.MustParseAddr("224.0.0.99")); err == nil {
		t.Error("Parse accepted the checksum over 224.0.0.18 on another group")
	}
}

func TestEthernetPaddingIsToleratedAndNothingElse(t *testing.T) {
	v3 := unhex(t, golden[2].frame) // 12 bytes; 26 fit behind an IPv4 header in the shortest frame
	v6 := unhex(t, golden[4].frame)
	tests := []struct {
		name     string
		packet   []byte
		src, dst netip.Addr
		accept   bool
	}{
		{"four bytes of padding", append(v3[:12:12], make([]byte, 4)...), src4, group4, true},
		{"as much padding as a frame needs", append(v3[:12:12], make([]byte, 12)...), src4, group4, true},
		{"padding that is no whole word", append(v3[:12:12], make([]byte, 5)...), src4, group4, false},
		{"more than the shortest frame holds", append(v3[:12:12], make([]byte, 16)...), src4, group4, false},
		{"a trailer of 28 bytes", append(v3[:12:12], make([]byte, 28)...), src4, group4, false},
		{"an IPv6 packet with a trailer", append(v6[:40:40], make([]byte, 4)...), src6, group6, false},
		{"one byte cut off", v3[:11], src4, group4, false},
		{"the header alone", v3[:8], src4, group4, false},
		{"half a header", v3[:5], src4, group4, false},
		{"nothing", nil, src4, group4, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Parse(tt.packet, tt.src, tt.dst)
			if tt.accept != (err == nil) {
				t.Fatalf("Parse: %v, want accepted: %t", err, tt.accept)
			}
			if rejected, ok := errors.AsType[*RejectError](err); !tt.accept && (!ok || rejected.Reason != ReasonLength) {
				t.Errorf("Parse: %v, want reason %q", err, ReasonLength)
			}
		})
	}
}

func TestRefusedPacketsNameTheirReason(t *testing.T) {
	// change alters the version 3 frame, and mends its checksum after it.
	change := func(fix bool, at int, to byte) []byte {
		b := unhex(t, golden[2].frame)
		b[at] = to
		if fix {
			sum := checksum(b, src4, group4, ChecksumPseudo)
			b[6], b[7] = byte(sum>>8), byte(sum)
		}
		return b
	}
	tests := []struct {
		name   string
		packet []byte
		want   Reason
	}{
		{"version 4", change(true, 0, 0x41), ReasonVersion},
		{"type 2", change(true, 0, 0x32), ReasonType},
		{"virtual router 0", change(true, 1, 0), ReasonVRID},
		{"interval 0", change(true, 5, 0), ReasonInterval},
		{"a flipped bit", change(false, 2, 0x65), ReasonChecksum},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Parse(tt.packet, src4, group4)
			rejected, ok := errors.AsType[*RejectError](err)
			if !ok || rejected.Reason != tt.want {
				t.Errorf("Parse: %v, want reason %q", err, tt.want)
			}
		})
	}
}

func TestReservedBitsOfTheIntervalAreIgnored(t *testing.T) {
	b := unhex(t, golden[2].frame)
	b[4] |= 0xf0
	sum := checksum(b, src4, group4, ChecksumPseudo)
	b[6], b[7] = byte(sum>>8), byte(sum)
	a, _, err := Parse(b, src4, group4)
	if err != nil || a.Interval != time.Second {
		t.Errorf("Parse = interval %v, %v, want 1s", a.Interval, err)
	}
}

func TestAdvertsThatTheWireCannotSayAreRefused(t *testing.T) {
	valid := Advert{Version: 3, VRID: 51, Priority: 100, Interval: time.Second, Addrs: []netip.Addr{vip4}}
	tests := []struct {
		name  string
		edit  func(*Advert)
		wants string
	}{
		{"version", func(a *Advert) { a.Version = 1 }, "use 2 or 3"},
		{"virtual router", func(a *Advert) { a.VRID = 0 }, "use 1 to 255"},
		{"interval too long", func(a *Advert) { a.Interval = 41 * time.Second }, "10ms to 40.95s"},
		{"interval between the steps", func(a *Advert) { a.Interval = 15 * time.Millisecond }, "steps of 10ms"},
		{"fraction of a second in version 2", func(a *Advert) { a.Version, a.Interval = 2, 1500*time.Millisecond }, "steps of 1s"},
		{"authentication in version 3", func(a *Advert) { a.Auth = AuthPass }, "no authentication"},
		{"address of the other family", func(a *Advert) { a.Addrs = []netip.Addr{src6} }, "one family"},
		{"256 addresses", func(a *Advert) { a.Addrs = make([]netip.Addr, 256) }, "at most 255"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := valid
			tt.edit(&a)
			b, err := a.Append(nil, src4, group4, ChecksumPseudo)
			if err == nil || !strings.Contains(err.Error(), tt.wants) || b != nil {
				t.Errorf("Append = %x, %v, want an error with %q", b, err, tt.wants)
			}
		})
	}
}

func TestEncodingIntoRoomAllocatesNothing(t *testing.T) {
	a := golden[2].advert
	room := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := a.Append(room, src4, group4, ChecksumPseudo); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Append allocates %v times, want 0", n)
	}
	frame := unhex(t, golden[2].frame)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := Parse(frame, src4, group4); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("Parse allocates %v times, want 1: the list of addresses", n)
	}
}
