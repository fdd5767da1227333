package probe

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/splitbrain"
)

// Offsets in an Ethernet frame.
const (
	ethernetHeader = 14
	arpSender      = ethernetHeader + 14 // protocol address of the sender
	ipv6Header     = 40
	ndMessage      = ethernetHeader + ipv6Header
	ndTarget       = ndMessage + 8
)

// arpRequest asks for an IPv4 address. A source of 0.0.0.0 makes it an ARP probe
// (RFC 5227 section 2.1.1), which leaves the caches alone.
func arpRequest(hw net.HardwareAddr, source, target netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(arp.OperationRequest, hw, source, make(net.HardwareAddr, 6), target)
	if err != nil {
		return nil, err
	}
	b, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return (&ethernet.Frame{Destination: ethernet.Broadcast, Source: hw, EtherType: ethernet.EtherTypeARP, Payload: b}).MarshalBinary()
}

// solicitation asks for an IPv6 address (RFC 4861 section 4.3). From the
// unspecified address it is the question of duplicate address detection, which has
// no option (RFC 4862 section 5.4.2).
func solicitation(hw net.HardwareAddr, source, target netip.Addr) ([]byte, error) {
	group, err := ndp.SolicitedNodeMulticast(target)
	if err != nil {
		return nil, err
	}
	ns := &ndp.NeighborSolicitation{TargetAddress: target}
	if !source.IsUnspecified() {
		ns.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: hw}}
	}
	message, err := ndp.MarshalMessageChecksum(ns, source, group)
	if err != nil {
		return nil, err
	}
	// RFC 8200 section 3; the hop limit is 255 by RFC 4861 section 7.1.1.
	b := make([]byte, 0, ipv6Header+len(message))
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(message)))
	b = append(b, unix.IPPROTO_ICMPV6, 255)
	b = append(b, source.AsSlice()...)
	b = append(b, group.AsSlice()...)
	b = append(b, message...)
	// RFC 2464 section 7.
	g := group.As16()
	to := net.HardwareAddr{0x33, 0x33, g[12], g[13], g[14], g[15]}
	return (&ethernet.Frame{Destination: to, Source: hw, EtherType: ethernet.EtherTypeIPv6, Payload: b}).MarshalBinary()
}

// parse reads who says in an Ethernet frame that he has an address: the sender
// of an ARP message, or the target of a neighbour advertisement.
func parse(b []byte) (netip.Addr, splitbrain.MAC, error) {
	if len(b) < ethernetHeader {
		return netip.Addr{}, splitbrain.MAC{}, fmt.Errorf("frame of %d bytes; a header has %d", len(b), ethernetHeader)
	}
	switch typ := binary.BigEndian.Uint16(b[12:]); typ {
	case unix.ETH_P_ARP:
		return parseARP(b[ethernetHeader:])
	case unix.ETH_P_IPV6:
		return parseAdvertisement(b)
	default:
		return netip.Addr{}, splitbrain.MAC{}, fmt.Errorf("frame of type %#04x", typ)
	}
}

// parseARP reads the sender of an ARP message (RFC 826).
func parseARP(b []byte) (addr netip.Addr, mac splitbrain.MAC, err error) {
	// Ethernet, IPv4, and their lengths.
	if len(b) < 28 || [6]byte(b[:6]) != [6]byte{0, 1, 8, 0, 6, 4} {
		return addr, mac, fmt.Errorf("not ARP for IPv4 over Ethernet")
	}
	if op := binary.BigEndian.Uint16(b[6:]); op != 1 && op != 2 {
		return addr, mac, fmt.Errorf("ARP operation %d", op)
	}
	addr = netip.AddrFrom4([4]byte(b[14:18]))
	if addr.IsUnspecified() {
		return addr, mac, fmt.Errorf("an ARP probe says nothing of its sender")
	}
	return addr, splitbrain.MAC(b[8:14]), nil
}

// parseAdvertisement reads a neighbour advertisement (RFC 4861 sections 4.4 and
// 7.1.2). The checksum is not looked at: a frame that never left the machine
// has none yet.
func parseAdvertisement(b []byte) (addr netip.Addr, mac splitbrain.MAC, err error) {
	if len(b) < ndTarget+16 || b[ethernetHeader]>>4 != 6 || b[ethernetHeader+6] != unix.IPPROTO_ICMPV6 || b[ndMessage] != 136 {
		return addr, mac, fmt.Errorf("not a neighbour advertisement")
	}
	if hops := b[ethernetHeader+7]; hops != 255 {
		return addr, mac, fmt.Errorf("neighbour advertisement with hop limit %d: it was routed", hops)
	}
	length := int(binary.BigEndian.Uint16(b[ethernetHeader+4:]))
	if length < 24 || ndMessage+length > len(b) {
		return addr, mac, fmt.Errorf("neighbour advertisement of %d bytes, %d said", len(b)-ndMessage, length)
	}
	addr = netip.AddrFrom16([16]byte(b[ndTarget : ndTarget+16]))
	if addr.IsMulticast() || addr.IsUnspecified() {
		return addr, mac, fmt.Errorf("neighbour advertisement for %v", addr)
	}
	// Without its option, an answer by unicast comes from who has it.
	mac = splitbrain.MAC(b[6:12])
	for options := b[ndTarget+16 : ndMessage+length]; len(options) > 0; {
		if len(options) < 2 || options[1] == 0 || len(options) < int(options[1])*8 {
			return addr, mac, fmt.Errorf("neighbour advertisement with a malformed option")
		}
		if options[0] == 2 && options[1] == 1 { // target link-layer address
			mac = splitbrain.MAC(options[2:8])
		}
		options = options[int(options[1])*8:]
	}
	return addr, mac, nil
}
