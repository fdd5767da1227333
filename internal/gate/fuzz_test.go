package gate

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
)

// What is closed in this file, on the loopback, where test runs take place.
var (
	loopback  = net.HardwareAddr{0, 0, 0, 0, 0, 0}
	linkLocal = netip.MustParseAddr("fe80::cafe")
)

const (
	loopbackIndex = 1
	closedVRID    = 51
)

// FuzzPrograms compares the verdicts of both Ethernet programs with those of a
// model in Go, for every frame that there may be.
func FuzzPrograms(f *testing.F) {
	group := netip.MustParseAddr("224.0.0.18")
	advert := func(priority byte) []byte { return []byte{0x31, closedVRID, priority, 1, 0, 100, 0, 0} }
	frames := [][]byte{
		eth(broadcast, loopback, 0x0806, arp(1, loopback, peer4, vip4)),
		eth(broadcast, loopback, 0x0806, arp(2, loopback, vip4, vip4)),
		eth(loopback, loopback, 0x0800, echo4(peer4, vip4)),
		eth(loopback, loopback, 0x0800, echo4(vip4, peer4)),
		eth(loopback, loopback, 0x0800, ip4(112, own4, group, []byte{1, 1, 1, 1}, 0x2000, advert(100))),
		eth(loopback, loopback, 0x0800, ip4(112, own4, group, nil, 0, advert(0))),
		eth(loopback, loopback, 0x0800, ip4(112, own4, group, nil, 7, advert(100))),
		eth(loopback, loopback, 0x86dd, ip6(112, own6, netip.MustParseAddr("ff02::12"), advert(100))),
		eth(loopback, loopback, 0x86dd, echo6(peer6, vip6)),
		eth(loopback, loopback, 0x86dd, echo6(linkLocal, peer6)),
		eth(solicitedMAC, loopback, 0x86dd, neighbour(135, peer6, solicited, vip6, loopback)),
		eth(solicitedMAC, loopback, 0x86dd, neighbour(136, own6, peer6, linkLocal, loopback)),
		eth(net.HardwareAddr{2, 0, 0, 0, 0, 1}, loopback, 0x0800, echo4(peer4, vip4)),
		eth(loopback, loopback, 0x88cc, []byte("neither IP nor ARP")),
	}
	for _, frame := range frames {
		f.Add(frame)
		f.Add(tag(0, frame))
		f.Add(tag(7, frame))
		f.Add(frame[:len(frame)-4])
	}

	m := newMachine(f)
	g := m.idleGate(nil)
	s, err := g.NewSlot()
	must(f, err)
	must(f, s.Guard(Guarded{
		Addresses: []netip.Addr{vip4, vip6, OnLink(linkLocal, loopbackIndex)},
		Routers:   []Router{{loopbackIndex, 4, closedVRID}, {loopbackIndex, 6, closedVRID}},
	}))
	s.Open(0, Now()+24*time.Hour)

	f.Fuzz(func(t *testing.T, frame []byte) {
		const shortest, longest = 14 + 20 + 20, 1500 // what a test run takes
		if len(frame) < shortest || len(frame) > longest {
			return
		}
		for _, d := range []direction{ingress, egress} {
			var verdict uint32
			must(t, m.do(func() (err error) {
				verdict, _, err = g.programs[programIndex(d, ethernet)].Test(frame)
				return err
			}))
			drop := int32(verdict) == verdictDrop
			if !drop && int32(verdict) != verdictNext {
				t.Fatalf("verdict %d of %s, want %d or %d", int32(verdict), programName(d, ethernet), verdictNext, verdictDrop)
			}
			if want := modelDrops(frame, d); drop != want {
				t.Errorf("%s: dropped = %v, want %v: % x", programName(d, ethernet), drop, want, frame)
			}
		}
	})
}

// modelDrops says what the programs should do with a frame.
func modelDrops(frame []byte, d direction) bool {
	if d == ingress && frame[0]&1 == 0 && string(frame[:6]) != string(loopback) {
		return false // to another machine
	}
	kind, packet := binary.BigEndian.Uint16(frame[12:]), frame[14:]
	if kind == unix.ETH_P_8021Q || kind == unix.ETH_P_8021AD {
		if binary.BigEndian.Uint16(packet)&0xfff != 0 {
			return false
		}
		kind, packet = binary.BigEndian.Uint16(packet[2:]), packet[4:]
	}
	switch {
	case kind == unix.ETH_P_ARP && len(packet) >= 28:
		return modelARP(packet, d)
	case kind == unix.ETH_P_IP && len(packet) >= 20:
		return modelIPv4(packet, d)
	case kind == unix.ETH_P_IPV6 && len(packet) >= 40:
		return modelIPv6(packet, d)
	default:
		return false
	}
}

func modelARP(p []byte, d direction) bool {
	if string(p[2:6]) != "\x08\x00\x06\x04" {
		return false
	}
	if d == egress {
		return modelClosed(p[14:18])
	}
	return binary.BigEndian.Uint16(p[6:]) == 1 && modelClosed(p[24:28])
}

func modelIPv4(p []byte, d direction) bool {
	if d == ingress {
		return modelClosed(p[16:20])
	}
	if p[9] == 112 && binary.BigEndian.Uint16(p[6:])&0x1fff == 0 {
		body := min(int(p[0]&0xf)*4, len(p))
		if drop, done := modelAdvert(p[body:]); done {
			return drop
		}
	}
	return modelClosed(p[12:16])
}

func modelIPv6(p []byte, d direction) bool {
	kind := byte(135)
	if d == egress {
		if kind = 136; p[6] == 112 {
			if drop, done := modelAdvert(p[40:]); done {
				return drop
			}
		}
		if modelClosed(p[8:24]) {
			return true
		}
	} else if modelClosed(p[24:40]) {
		return true
	}
	return p[6] == unix.IPPROTO_ICMPV6 && len(p) >= 64 && p[40] == kind && modelClosed(p[48:64])
}

// modelAdvert says what becomes of VRRP, if that is settled by it.
func modelAdvert(body []byte) (drop, done bool) {
	switch {
	case len(body) < 3, body[2] == 0:
		return false, true
	case body[1] == closedVRID:
		return true, true
	default:
		return false, false
	}
}

func modelClosed(b []byte) bool {
	a, _ := netip.AddrFromSlice(b)
	a = a.Unmap()
	if a.Is6() && b[0] == 0xfe && b[1]&0xc0 == 0x80 {
		// Whatever stands where the link goes into the key is not looked at.
		var bare [16]byte
		copy(bare[:], b)
		clear(bare[keyLink : keyLink+4])
		return netip.AddrFrom16(bare) == linkLocal
	}
	return a == vip4 || a == vip6
}

// FuzzMessages reads news of the kernel that are no such thing.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{32, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{16, 0, 0, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	g := &Gate{links: map[int]linkState{1: {name: "eth0", guarded: true}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		for m := range nlmsg.Messages(b) {
			linkOf(m)
			g.robbed(m)
		}
	})
}
