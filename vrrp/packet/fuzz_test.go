package packet

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What Parse accepts, Append says again with the same bytes.
func FuzzParse(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.frame), g.src.Is6(), g.dst.IsMulticast())
	}
	f.Fuzz(func(t *testing.T, b []byte, ipv6, multicast bool) {
		src, dst := ends(ipv6, multicast)
		a, sum, err := Parse(b, src, dst)
		if err != nil {
			if _, ok := errors.AsType[*RejectError](err); !ok {
				t.Fatalf("Parse(%x): %v is no RejectError", b, err)
			}
			return
		}
		again, err := a.Append(nil, src, dst, sum)
		if err != nil {
			t.Fatalf("Append(%+v): %v", a, err)
		}
		want := canonical(b[:len(again)], src, dst, sum)
		if !bytes.Equal(again, want) {
			t.Errorf("Append = %x, want %x", again, want)
		}
	})
}

// canonical is b as a sender writes it: reserved bits zero, and the checksum
// never in its other zero.
func canonical(b []byte, src, dst netip.Addr, sum Checksum) []byte {
	b = bytes.Clone(b)
	if b[0]>>4 == 3 {
		b[4] &= 0x0f
	}
	value := checksum(b, src, dst, sum)
	b[checksumOffset], b[checksumOffset+1] = byte(value>>8), byte(value)
	return b
}

// What Append says, Parse understands as the same value.
func FuzzAppend(f *testing.F) {
	f.Add(uint8(2), uint8(51), uint8(100), int64(time.Second), uint8(1), []byte("secret12"), []byte{192, 0, 2, 100}, uint8(0), false, true)
	f.Add(uint8(3), uint8(1), uint8(0), int64(10*time.Millisecond), uint8(0), []byte(nil), []byte{192, 0, 2, 100, 192, 0, 2, 101}, uint8(2), false, false)
	f.Add(uint8(3), uint8(255), uint8(255), int64(40950*time.Millisecond), uint8(0), []byte(nil), make([]byte, 32), uint8(1), true, true)
	f.Fuzz(func(t *testing.T, version, vrid, priority uint8, interval int64, auth uint8, authData, addrs []byte, dialect uint8, ipv6, multicast bool) {
		src, dst := ends(ipv6, multicast)
		a := Advert{Version: version, VRID: vrid, Priority: priority, Interval: time.Duration(interval), Auth: Auth(auth)}
		copy(a.AuthData[:], authData)
		size := 4
		if ipv6 {
			size, a.AuthData = 16, [8]byte{}
		}
		for ; len(addrs) >= size; addrs = addrs[size:] {
			addr, _ := netip.AddrFromSlice(addrs[:size])
			a.Addrs = append(a.Addrs, addr)
		}
		b, err := a.Append(nil, src, dst, Checksum(dialect))
		if err != nil {
			return
		}
		got, _, err := Parse(b, src, dst)
		if err != nil {
			t.Fatalf("Parse(%x): %v", b, err)
		}
		if diff := cmp.Diff(a, got, compareAddrs); diff != "" {
			t.Errorf("Parse(%x) (-want +got):\n%s", b, diff)
		}
	})
}

func ends(ipv6, multicast bool) (src, dst netip.Addr) {
	switch {
	case ipv6 && multicast:
		return src6, group6
	case ipv6:
		return src6, netip.MustParseAddr("fe80::2")
	case multicast:
		return src4, group4
	default:
		return src4, netip.MustParseAddr("192.0.2.2")
	}
}
