package lab

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"
)

// The decoder is the lab's own, on purpose: a mistake in the product's codec
// must not hide itself.

// Advert is one VRRP advertisement seen on the wire.
type Advert struct {
	At       time.Time
	Node     string
	MAC      net.HardwareAddr
	Src, Dst netip.Addr
	TTL      int
	Version  int
	VRID     int
	Priority int
	AuthType int
	Interval time.Duration
	Addrs    []netip.Addr
}

// Announcement is a gratuitous ARP or an unsolicited neighbour advertisement.
type Announcement struct {
	At   time.Time
	Node string
	MAC  net.HardwareAddr // that neighbours shall use
	Addr netip.Addr
}

// Kind is how an address was asked for.
type Kind int

// Kinds of probes: ARP or neighbour solicitation to everybody, and an echo
// request to one node's MAC.
const (
	ByNeighbour Kind = iota
	ByEcho
)

func (k Kind) String() string { return [...]string{"ARP/ND", "echo"}[k] }

// event is what one frame means to the watcher; exactly one field is set.
type event struct {
	advert       *Advert
	announcement *Announcement
	probe        *probe
	answer       *answer
	heartbeat    netip.Addr // whose heartbeat port it is for
}

type probe struct {
	at    time.Time
	addr  netip.Addr
	kind  Kind
	round uint16 // probes of one round were sent together
}

type answer struct {
	at   time.Time
	node string
	mac  string
	addr netip.Addr
	kind Kind

	round uint16 // of the probe, by echo only
}

const (
	etherARP  = 0x0806
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd

	protoICMP   = 1
	protoUDP    = 17
	protoICMPv6 = 58
	protoVRRP   = 112

	heartbeatPort = 7113
)

// decode says what a frame means; asker is the node whose probes count.
func decode(f Frame, asker string) event {
	if len(f.Data) < 14 {
		return event{}
	}
	body := f.Data[14:]
	switch binary.BigEndian.Uint16(f.Data[12:]) {
	case etherARP:
		return decodeARP(f, body, asker)
	case etherIPv4:
		if len(body) < 20 {
			return event{}
		}
		head := int(body[0]&15) * 4
		total := int(binary.BigEndian.Uint16(body[2:]))
		if head < 20 || total < head || total > len(body) {
			return event{}
		}
		src, dst := netip.AddrFrom4([4]byte(body[12:])), netip.AddrFrom4([4]byte(body[16:]))
		return decodeIP(f, int(body[9]), int(body[8]), src, dst, body[head:total], asker)
	case etherIPv6:
		if len(body) < 40 {
			return event{}
		}
		total := 40 + int(binary.BigEndian.Uint16(body[4:]))
		if total > len(body) {
			return event{}
		}
		src, dst := netip.AddrFrom16([16]byte(body[8:])), netip.AddrFrom16([16]byte(body[24:]))
		return decodeIP(f, int(body[6]), int(body[7]), src, dst, body[40:total], asker)
	}
	return event{}
}

func decodeARP(f Frame, b []byte, asker string) event {
	if len(b) < 28 {
		return event{}
	}
	op := binary.BigEndian.Uint16(b[6:])
	hw := net.HardwareAddr(b[8:14])
	sender, target := netip.AddrFrom4([4]byte(b[14:])), netip.AddrFrom4([4]byte(b[24:]))
	switch {
	case sender == target:
		return event{announcement: &Announcement{f.At, f.Node, hw, sender}}
	case op == 1 && f.Node == asker && sender.IsUnspecified():
		return event{probe: &probe{f.At, target, ByNeighbour, roundOf(f.At)}}
	case op == 2 && target.IsUnspecified():
		return event{answer: &answer{at: f.At, node: f.Node, mac: hw.String(), addr: sender, kind: ByNeighbour}}
	}
	return event{}
}

func decodeIP(f Frame, proto, ttl int, src, dst netip.Addr, b []byte, asker string) event {
	switch {
	case proto == protoVRRP && len(b) >= 8:
		return event{advert: decodeAdvert(f, ttl, src, dst, b)}
	case proto == protoUDP && len(b) >= 8 && binary.BigEndian.Uint16(b[2:]) == heartbeatPort:
		return event{heartbeat: dst}
	case proto == protoICMP && len(b) >= 8, proto == protoICMPv6 && len(b) >= 8:
		return decodeICMP(f, src, dst, b, asker)
	}
	return event{}
}

// decodeICMP knows both families: their types do not overlap where the watcher
// looks.
func decodeICMP(f Frame, src, dst netip.Addr, b []byte, asker string) event {
	mac := net.HardwareAddr(f.Data[6:12])
	switch kind := b[0]; {
	case (kind == 8 || kind == 128) && f.Node == asker && binary.BigEndian.Uint16(b[4:]) == echoID:
		return event{probe: &probe{f.At, dst, ByEcho, binary.BigEndian.Uint16(b[6:])}}
	case (kind == 0 || kind == 129) && binary.BigEndian.Uint16(b[4:]) == echoID:
		return event{answer: &answer{at: f.At, node: f.Node, mac: mac.String(), addr: src, kind: ByEcho, round: binary.BigEndian.Uint16(b[6:])}}
	case kind == 135 && f.Node == asker && len(b) >= 24:
		return event{probe: &probe{f.At, netip.AddrFrom16([16]byte(b[8:])), ByNeighbour, roundOf(f.At)}}
	case kind == 136 && len(b) >= 24:
		target := netip.AddrFrom16([16]byte(b[8:]))
		if dst.IsMulticast() {
			return event{announcement: &Announcement{f.At, f.Node, mac, target}}
		}
		return event{answer: &answer{at: f.At, node: f.Node, mac: mac.String(), addr: target, kind: ByNeighbour}}
	}
	return event{}
}

// roundOf numbers neighbour probes, which carry no number, by their time.
func roundOf(at time.Time) uint16 { return uint16(at.UnixNano() / int64(probeEvery/2)) }

func decodeAdvert(f Frame, ttl int, src, dst netip.Addr, b []byte) *Advert {
	a := &Advert{
		At: f.At, Node: f.Node, MAC: net.HardwareAddr(f.Data[6:12]), Src: src, Dst: dst, TTL: ttl,
		Version: int(b[0] >> 4), VRID: int(b[1]), Priority: int(b[2]),
	}
	if a.Version == 2 {
		a.AuthType = int(b[4])
		a.Interval = time.Duration(b[5]) * time.Second
	} else {
		a.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0xfff) * 10 * time.Millisecond
	}
	size := 4
	if src.Is6() {
		size = 16
	}
	for rest := b[8:]; len(a.Addrs) < int(b[3]) && len(rest) >= size; rest = rest[size:] {
		addr, _ := netip.AddrFromSlice(rest[:size])
		a.Addrs = append(a.Addrs, addr)
	}
	return a
}
