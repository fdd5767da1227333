package gate

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// license is what the programs say of themselves to the kernel, which lends
// bpf_fib_lookup only to programs that are compatible with its own licence. The
// programs in this file may be used under the Apache License of the module, and at
// your choice under the MIT licence or the GPL, version 2, as well.
const license = "Dual MIT/GPL"

// direction is which way a program looks.
type direction bool

const (
	ingress direction = false
	egress  direction = true
)

// framing is what stands before the IP header on a link.
type framing bool

const (
	bare     framing = false // nothing: tun, wireguard, ppp
	ethernet framing = true
)

// Verdicts of a program in direct-action mode. A packet that the gate does not
// drop goes on to the next filter of the link, whosoever that is.
const (
	verdictNext = -1 // TC_ACT_UNSPEC
	verdictDrop = 2  // TC_ACT_SHOT
)

// Offsets in struct __sk_buff, the context of a program.
const (
	skbPacketType     = 4
	skbVLANPresent    = 20
	skbVLANTag        = 24
	skbIngressIfindex = 36
	skbIfindex        = 40
)

// Offsets on the stack, from the frame pointer. All are aligned to eight.
const (
	stackKey    = -16  // an address, or the key of an advert: 16 bytes
	stackIndex  = -24  // number of a slot, or of a counter
	stackFIB    = -88  // struct bpf_fib_lookup, or the first bytes behind a header
	stackHeader = -136 // a header: 48 bytes
)

// Registers that a call of the kernel leaves alone.
const (
	ctx      = asm.R6
	network  = asm.R7 // offset of the network header
	deadline = asm.R8
	until    = asm.R9
)

// Labels.
const (
	labelNext = "next"
	labelDrop = "drop"
	labelIPv4 = "ipv4"
	labelIPv6 = "ipv6"
	labelARP  = "arp"
)

// program builds the filter for one direction and one framing.
func program(d direction, f framing) *ebpf.ProgramSpec {
	var p assembler
	p.add(asm.Mov.Reg(ctx, asm.R1))
	if d == egress {
		// What came in by a link was made by somebody else.
		p.add(asm.LoadMem(asm.R1, ctx, skbIngressIfindex, asm.Word), asm.JNE.Imm(asm.R1, 0, labelNext))
	} else {
		// A frame to another machine that a promiscuous link picked up: the
		// kernel drops it, or hands it to a macvlan, which has its own gate.
		p.add(asm.LoadMem(asm.R1, ctx, skbPacketType, asm.Word), asm.JEq.Imm(asm.R1, unix.PACKET_OTHERHOST, labelNext))
	}
	if f == ethernet {
		p.ethernet()
		p.arp(d)
	} else {
		p.bare()
	}
	p.ipv4(d)
	p.ipv6(d)
	p.drop(d)
	p.label(labelNext)
	p.add(asm.Mov.Imm(asm.R0, verdictNext), asm.Return())
	return &ebpf.ProgramSpec{
		Name:         programName(d, f),
		Type:         ebpf.SchedCLS,
		License:      license,
		Instructions: p.instructions,
	}
}

func programName(d direction, f framing) string {
	return [2]string{"gate_in", "gate_out"}[b2i(bool(d))] + [2]string{"_bare", "_eth"}[b2i(bool(f))]
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// assembler collects instructions. A label names the instruction that follows.
type assembler struct {
	instructions asm.Instructions
	pending      string
	fresh        int
}

func (p *assembler) add(list ...asm.Instruction) {
	for _, in := range list {
		if p.pending != "" {
			in, p.pending = in.WithSymbol(p.pending), ""
		}
		p.instructions = append(p.instructions, in)
	}
}

func (p *assembler) label(name string) {
	if p.pending != "" { // two names for one place
		p.add(asm.Ja.Label(name))
	}
	p.pending = name
}

// newLabel is a name that nobody else uses.
func (p *assembler) newLabel() string {
	p.fresh++
	return fmt.Sprintf("l%d", p.fresh)
}

// next lets the packet go on.
func (p *assembler) next() { p.add(asm.Ja.Label(labelNext)) }

// load copies bytes of the packet to the stack, and gives up on the packet when it
// has none there. The offset is in R2.
func (p *assembler) load(to int16, bytes int32) {
	p.add(
		asm.Mov.Reg(asm.R1, ctx),
		asm.Mov.Reg(asm.R3, asm.R10), asm.Add.Imm(asm.R3, int32(to)),
		asm.Mov.Imm(asm.R4, bytes),
		asm.FnSkbLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, labelNext),
	)
}

// loadAt is load at an offset from the network header.
func (p *assembler) loadAt(offset int32, to int16, bytes int32) {
	p.add(asm.Mov.Reg(asm.R2, network), asm.Add.Imm(asm.R2, offset))
	p.load(to, bytes)
}

// ethernet finds the network header and goes where the EtherType says. The frame
// itself is read, because a packet socket may say one protocol and send another.
// A frame of a VLAN belongs to the link of that VLAN, which has its own gate, or
// passes by on its way through a bridge. VLAN 0 is no VLAN, only a priority.
func (p *assembler) ethernet() {
	const (
		ethHeader = 14
		etherType = 12
		tagBytes  = 4
		idMask    = 0x0fff
	)
	untagged, typed := p.newLabel(), p.newLabel()
	p.add(
		asm.LoadMem(asm.R1, ctx, skbVLANPresent, asm.Word), asm.JEq.Imm(asm.R1, 0, untagged),
		asm.LoadMem(asm.R1, ctx, skbVLANTag, asm.Word), asm.And.Imm(asm.R1, idMask), asm.JNE.Imm(asm.R1, 0, labelNext),
	)
	p.label(untagged)
	p.add(asm.Mov.Imm(asm.R2, 0))
	p.load(stackHeader, ethHeader)
	p.add(asm.Mov.Imm(network, ethHeader))
	p.half(asm.R1, stackHeader+etherType)
	tagged := p.newLabel()
	p.add(asm.JEq.Imm(asm.R1, unix.ETH_P_8021Q, tagged), asm.JNE.Imm(asm.R1, unix.ETH_P_8021AD, typed))
	p.label(tagged)
	p.loadAt(0, stackHeader, tagBytes)
	p.add(asm.Mov.Imm(network, ethHeader+tagBytes))
	p.half(asm.R1, stackHeader)
	p.add(asm.And.Imm(asm.R1, idMask), asm.JNE.Imm(asm.R1, 0, labelNext))
	p.half(asm.R1, stackHeader+2)
	p.label(typed)
	p.add(
		asm.JEq.Imm(asm.R1, unix.ETH_P_IP, labelIPv4),
		asm.JEq.Imm(asm.R1, unix.ETH_P_IPV6, labelIPv6),
		asm.JEq.Imm(asm.R1, unix.ETH_P_ARP, labelARP),
	)
	p.next()
}

// bare goes where the version of the IP header says. There is no ARP.
func (p *assembler) bare() {
	p.add(asm.Mov.Imm(network, 0))
	p.loadAt(0, stackHeader, 1)
	p.add(
		asm.LoadMem(asm.R1, asm.R10, stackHeader, asm.Byte), asm.RSh.Imm(asm.R1, 4),
		asm.JEq.Imm(asm.R1, 4, labelIPv4),
		asm.JEq.Imm(asm.R1, 6, labelIPv6),
	)
	p.next()
}

// half loads two bytes in network order from the stack.
func (p *assembler) half(to asm.Register, at int16) {
	p.add(asm.LoadMem(to, asm.R10, at, asm.Half), asm.HostTo(asm.BE, to, asm.Half))
}

// key4 makes the key of the IPv4 address at a place on the stack.
func (p *assembler) key4(at int16) {
	p.zero(stackKey, 16)
	p.add(
		asm.StoreImm(asm.R10, stackKey+10, 0xffff, asm.Half),
		// In an ARP packet addresses are aligned to two bytes only.
		asm.LoadMem(asm.R1, asm.R10, at, asm.Half), asm.StoreMem(asm.R10, stackKey+12, asm.R1, asm.Half),
		asm.LoadMem(asm.R1, asm.R10, at+2, asm.Half), asm.StoreMem(asm.R10, stackKey+14, asm.R1, asm.Half),
	)
}

// zero clears bytes on the stack, eight at a time. Whoever stores less than eight
// bytes at once clears them first, and stores the lowest of the eight last: the
// verifier of Linux 6.1 takes what was stored there for a spilled register, and
// without CAP_PERFMON it lets nobody change a part of one.
func (p *assembler) zero(at, bytes int16) {
	p.add(asm.Mov.Imm(asm.R5, 0)) // the others may be in use
	for n := int16(0); n < bytes; n += 8 {
		p.add(asm.StoreMem(asm.R10, at+n, asm.R5, asm.DWord))
	}
}

// key6 makes the key of the IPv6 address at a place on the stack.
func (p *assembler) key6(at int16) {
	p.copy(stackKey, at)
	p.scopeKey()
}

// scopeKey puts the link into the key of a link-local address, which may be there
// on several links: after fe80::/10 come zeros (RFC 4291 section 2.5.6).
func (p *assembler) scopeKey() {
	global := p.newLabel()
	p.half(asm.R1, stackKey)
	p.add(
		asm.And.Imm(asm.R1, 0xffc0), asm.JNE.Imm(asm.R1, 0xfe80, global),
		asm.LoadMem(asm.R1, ctx, skbIfindex, asm.Word), asm.LoadMem(asm.R2, asm.R10, stackKey, asm.Word),
	)
	p.zero(stackKey, 8)
	p.add(
		asm.StoreMem(asm.R10, stackKey+keyLink, asm.R1, asm.Word),
		asm.StoreMem(asm.R10, stackKey, asm.R2, asm.Word),
	)
	p.label(global)
}

// copy copies 16 bytes on the stack, by words: not every place is aligned to more.
func (p *assembler) copy(to, from int16) {
	p.zero(to, 16)
	for _, n := range []int16{4, 0, 12, 8} {
		p.add(asm.LoadMem(asm.R1, asm.R10, from+n, asm.Word), asm.StoreMem(asm.R10, to+n, asm.R1, asm.Word))
	}
}

// whenClosed goes to a label when the key on the stack names a slot that is closed.
func (p *assembler) whenClosed(table, label string) {
	open := p.newLabel()
	p.lookup(table, stackKey)
	p.add(
		asm.JEq.Imm(asm.R0, 0, open),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.Word),
	)
	p.zero(stackIndex, 8)
	p.add(asm.StoreMem(asm.R10, stackIndex, asm.R1, asm.Word))
	p.lookup(mapSlots, stackIndex)
	p.add(
		asm.JEq.Imm(asm.R0, 0, open),
		asm.LoadMem(deadline, asm.R0, slotDeadline, asm.DWord),
		asm.LoadMem(until, asm.R0, slotUntil, asm.DWord),
		asm.FnKtimeGetBootNs.Call(),
		asm.JLT.Reg(asm.R0, deadline, open),
		asm.JLT.Reg(asm.R0, until, label),
	)
	p.label(open)
}

// lookup finds the value of a key on the stack: R0 points to it, or is 0.
func (p *assembler) lookup(table string, key int16) {
	p.add(
		asm.LoadMapPtr(asm.R1, 0).WithReference(table),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, int32(key)),
		asm.FnMapLookupElem.Call(),
	)
}

// drop counts and drops.
func (p *assembler) drop(d direction) {
	counted := p.newLabel()
	p.label(labelDrop)
	p.zero(stackIndex, 8)
	p.add(asm.StoreImm(asm.R10, stackIndex, int64(b2i(bool(d))), asm.Word))
	p.lookup(mapDropped, stackIndex)
	p.add(
		asm.JEq.Imm(asm.R0, 0, counted),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), // one for each CPU
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
	)
	p.label(counted)
	p.add(asm.Mov.Imm(asm.R0, verdictDrop), asm.Return())
}
