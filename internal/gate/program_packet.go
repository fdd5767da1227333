package gate

import (
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// ARP for IPv4 on Ethernet (RFC 826).
const (
	arpBytes     = 28
	arpProtocol  = stackHeader + 2
	arpSizes     = stackHeader + 4 // of the two kinds of addresses
	arpOperation = stackHeader + 6
	arpSender    = stackHeader + 14
	arpTarget    = stackHeader + 24

	arpSizesEthernet = 6<<8 | 4
	arpRequest       = 1
)

// IPv4 (RFC 791).
const (
	ip4Bytes       = 20
	ip4Length      = stackHeader // of the header, in words: the lower half
	ip4Fragment    = stackHeader + 6
	ip4Protocol    = stackHeader + 9
	ip4Source      = stackHeader + 12
	ip4Destination = stackHeader + 16

	ip4FragmentOffset = 0x1fff
)

// IPv6 (RFC 8200), and neighbour discovery behind it (RFC 4861).
const (
	ip6Bytes       = 40
	ip6Next        = stackHeader + 6
	ip6Source      = stackHeader + 8
	ip6Destination = stackHeader + 24

	ndpTarget        = ip6Bytes + 8
	ndpSolicitation  = 135
	ndpAdvertisement = 136
)

// VRRP (RFC 9568 section 5.2): version and type, VRID, priority. They lie where the
// route lookup has its parameters: no program needs both.
const (
	protocolVRRP = 112
	vrrpBytes    = 3
	vrrpVRID     = stackFIB + 1
	vrrpPriority = stackFIB + 2
)

// arp judges an ARP packet about IPv4. In: who-has for a closed address. Out:
// everything that says where one is, which is answers, announcements, and requests
// that ask in its name.
func (p *assembler) arp(d direction) {
	p.label(labelARP)
	p.loadAt(0, stackHeader, arpBytes)
	p.half(asm.R1, arpProtocol)
	p.add(asm.JNE.Imm(asm.R1, unix.ETH_P_IP, labelNext))
	p.half(asm.R1, arpSizes)
	p.add(asm.JNE.Imm(asm.R1, arpSizesEthernet, labelNext))
	if d == ingress {
		p.half(asm.R1, arpOperation)
		p.add(asm.JNE.Imm(asm.R1, arpRequest, labelNext))
		p.key4(arpTarget)
	} else {
		p.key4(arpSender)
	}
	p.whenClosed(mapAddresses, labelDrop)
	p.next()
}

// ipv4 judges an IPv4 packet, fragments and packets with options included. In:
// packets to a closed address. Out: adverts of a closed router, and packets from a
// closed address.
func (p *assembler) ipv4(d direction) {
	p.label(labelIPv4)
	p.loadAt(0, stackHeader, ip4Bytes)
	if d == ingress {
		p.key4(ip4Destination)
		local := p.newLabel()
		p.whenClosed(mapAddresses, local)
		p.next()

		p.label(local)
		p.route(unix.AF_INET)
		p.add(
			asm.LoadMem(asm.R1, asm.R10, ip4Source, asm.Word), asm.StoreMem(asm.R10, fibSource, asm.R1, asm.Word),
			asm.LoadMem(asm.R1, asm.R10, ip4Destination, asm.Word), asm.StoreMem(asm.R10, fibDestination, asm.R1, asm.Word),
		)
		p.dropUnlessForwarded()
		return
	}
	source := p.newLabel()
	p.add(asm.LoadMem(asm.R1, asm.R10, ip4Protocol, asm.Byte), asm.JNE.Imm(asm.R1, protocolVRRP, source))
	p.half(asm.R1, ip4Fragment)
	p.add(
		asm.And.Imm(asm.R1, ip4FragmentOffset), asm.JNE.Imm(asm.R1, 0, source),
		asm.LoadMem(asm.R2, asm.R10, ip4Length, asm.Byte), asm.And.Imm(asm.R2, 0x0f), asm.LSh.Imm(asm.R2, 2),
		asm.Add.Reg(asm.R2, network),
	)
	p.advert(4)
	p.label(source)
	p.key4(ip4Source)
	p.whenClosed(mapAddresses, labelDrop)
	p.next()
}

// ipv6 does the same for IPv6. In, it drops neighbour solicitations for a closed
// address too, sent to the address itself, to its solicited-node group, or wherever
// else; out, neighbour advertisements for it, whatever their source.
func (p *assembler) ipv6(d direction) {
	p.label(labelIPv6)
	p.loadAt(0, stackHeader, ip6Bytes)
	if d == ingress {
		p.key6(ip6Destination)
		local := p.newLabel()
		p.whenClosed(mapAddresses, local)
		p.neighbour(ndpSolicitation)

		p.label(local)
		p.route(unix.AF_INET6)
		p.copy(fibSource, ip6Source)
		p.copy(fibDestination, ip6Destination)
		p.dropUnlessForwarded()
		return
	}
	source := p.newLabel()
	p.add(
		asm.LoadMem(asm.R1, asm.R10, ip6Next, asm.Byte), asm.JNE.Imm(asm.R1, protocolVRRP, source),
		asm.Mov.Reg(asm.R2, network), asm.Add.Imm(asm.R2, ip6Bytes),
	)
	p.advert(6)
	p.label(source)
	p.key6(ip6Source)
	p.whenClosed(mapAddresses, labelDrop)
	p.neighbour(ndpAdvertisement)
}

// neighbour drops a message of neighbour discovery of the given type whose target
// is closed.
func (p *assembler) neighbour(kind int32) {
	p.add(asm.LoadMem(asm.R1, asm.R10, ip6Next, asm.Byte), asm.JNE.Imm(asm.R1, unix.IPPROTO_ICMPV6, labelNext))
	p.loadAt(ip6Bytes, stackFIB, 1)
	p.add(asm.LoadMem(asm.R1, asm.R10, stackFIB, asm.Byte), asm.JNE.Imm(asm.R1, kind, labelNext))
	p.loadAt(ndpTarget, stackKey, 16)
	p.scopeKey()
	p.whenClosed(mapAddresses, labelDrop)
	p.next()
}

// advert judges the VRRP packet at the offset in R2. A farewell passes whatever
// else is closed: it is what the gate closes for.
func (p *assembler) advert(family int64) {
	p.load(stackFIB, vrrpBytes)
	p.add(
		asm.LoadMem(asm.R1, asm.R10, vrrpPriority, asm.Byte), asm.JEq.Imm(asm.R1, 0, labelNext),
	)
	p.zero(stackKey, 8)
	p.add(
		asm.StoreImm(asm.R10, stackKey+4, family, asm.Byte),
		asm.LoadMem(asm.R1, asm.R10, vrrpVRID, asm.Byte), asm.StoreMem(asm.R10, stackKey+5, asm.R1, asm.Byte),
		asm.LoadMem(asm.R1, ctx, skbIfindex, asm.Word), asm.StoreMem(asm.R10, stackKey, asm.R1, asm.Word),
	)
	p.whenClosed(mapAdverts, labelDrop)
}

// struct bpf_fib_lookup.
const (
	fibBytes       = 64
	fibFamily      = stackFIB
	fibIfindex     = stackFIB + 8
	fibSource      = stackFIB + 16
	fibDestination = stackFIB + 32
)

// Results of bpf_fib_lookup (BPF_FIB_LKUP_RET_...).
const (
	fibForwarded = 0
	// fibRefused to fibNotHere: blackholes, what is local, and whatever comes in
	// by a link that does not forward. None of it leaves the machine.
	fibNotHere = 5
)

// route begins to ask where the packet will go.
func (p *assembler) route(family int64) {
	p.zero(stackFIB, fibBytes)
	p.add(
		asm.StoreImm(asm.R10, fibFamily, family, asm.Byte),
		asm.LoadMem(asm.R1, ctx, skbIfindex, asm.Word), asm.StoreMem(asm.R10, fibIfindex, asm.R1, asm.Word),
	)
}

// dropUnlessForwarded asks, and drops what stays here: an address may be closed
// while another machine behind this one holds it already.
func (p *assembler) dropUnlessForwarded() {
	p.add(
		asm.Mov.Reg(asm.R1, ctx),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, stackFIB),
		asm.Mov.Imm(asm.R3, fibBytes),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnFibLookup.Call(),
		asm.JEq.Imm(asm.R0, fibForwarded, labelNext),
		asm.JSGT.Imm(asm.R0, fibNotHere, labelNext), // a neighbour to be asked for, a packet too long
		asm.Ja.Label(labelDrop),
	)
}
