package fence

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// answerTime is how long an answer to a probe is waited for.
const answerTime = 300 * time.Millisecond

// Probe asks a machine whether it takes packets for an address: an echo request
// (RFC 792, RFC 4443 section 4.1) goes to its own hardware address. Its TTL is 1,
// so a machine that is a router cannot pass it on to the rightful holder, and no
// cache of a switch can answer it.
type Probe struct {
	Interface string
	Source    netip.Addr         // of this machine, there; the answer goes to it
	Target    netip.Addr         // who has it?
	MACs      []net.HardwareAddr // of the machine that is asked; at most 8 are used
}

const maxMACs = 8

// Taken sends the probe and reports whether an answer came from one of the
// machine's hardware addresses. Silence is no error.
func (p Probe) Taken(ctx context.Context) (bool, error) {
	if !p.Source.IsValid() || p.Source.Is4() != p.Target.Is4() || len(p.MACs) == 0 {
		return false, fmt.Errorf("probe of %s: no source of its family, or no hardware address to ask", p.Target)
	}
	ifi, err := net.InterfaceByName(p.Interface)
	if err != nil {
		return false, err
	}
	if len(ifi.HardwareAddr) != 6 {
		return false, fmt.Errorf("probe of %s: %s is no Ethernet interface", p.Target, p.Interface)
	}
	filter, err := echoReplies(p.Target.Is6())
	if err != nil {
		return false, err
	}
	protocol := unix.ETH_P_IP
	if p.Target.Is6() {
		protocol = unix.ETH_P_IPV6
	}
	conn, err := packet.Listen(ifi, packet.Raw, protocol, &packet.Config{Filter: filter})
	if err != nil {
		return false, err
	}
	defer conn.Close()
	var nonce [16]byte // identifier, sequence and data: it answers this probe and no other
	rand.Read(nonce[:])
	for _, mac := range p.MACs[:min(len(p.MACs), maxMACs)] {
		frame := echoRequest(ifi.HardwareAddr, mac, p.Source, p.Target, nonce)
		if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: mac}); err != nil {
			return false, err
		}
	}
	deadline := time.Now().Add(answerTime)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetReadDeadline(deadline); err != nil {
		return false, err
	}
	buf := make([]byte, 256)
	for {
		n, _, err := conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// What came in time may wait: this process may have got no processor.
			n, err = readWaiting(conn, buf)
		}
		if errors.Is(err, unix.EAGAIN) {
			return false, ctx.Err()
		}
		if err != nil {
			return false, err
		}
		if from, ok := echoAnswer(buf[:n], p.Target, nonce); ok && slices.ContainsFunc(p.MACs, func(m net.HardwareAddr) bool { return bytes.Equal(m, from) }) {
			return true, nil
		}
	}
}

// readWaiting reads a frame that has come; unix.EAGAIN: there is none.
func readWaiting(conn *packet.Conn, buf []byte) (n int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var readErr error
	if err := raw.Control(func(fd uintptr) {
		n, _, readErr = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
	}); err != nil {
		return 0, err
	}
	return n, readErr
}

// Offsets in a frame, and the types of echo.
const (
	ethHeader = 14
	ip4Header = 20
	ip6Header = 40

	echo4, answer4 = 8, 0
	echo6, answer6 = 128, 129
)

// echoReplies passes echo replies only: everything else that a busy machine
// receives stays in the kernel.
func echoReplies(v6 bool) ([]bpf.RawInstruction, error) {
	next, kind, proto, answer := uint32(ethHeader+9), uint32(ethHeader+ip4Header), uint32(unix.IPPROTO_ICMP), uint32(answer4)
	if v6 {
		next, kind, proto, answer = ethHeader+6, ethHeader+ip6Header, unix.IPPROTO_ICMPV6, answer6
	}
	return bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: next, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: proto, SkipTrue: 3},
		bpf.LoadAbsolute{Off: kind, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: answer, SkipTrue: 1},
		bpf.RetConstant{Val: 256},
		bpf.RetConstant{},
	})
}

func echoRequest(from, to net.HardwareAddr, source, target netip.Addr, nonce [16]byte) []byte {
	b := append(append(make([]byte, 0, 80), to...), from...)
	icmp := append([]byte{echo4, 0, 0, 0}, nonce[:]...)
	if target.Is4() {
		binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
		b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
		ip := []byte{0x45, 0xc0, 0, byte(ip4Header + len(icmp)), 0, 0, 0x40, 0, 1, unix.IPPROTO_ICMP, 0, 0}
		ip = append(append(ip, source.AsSlice()...), target.AsSlice()...)
		binary.BigEndian.PutUint16(ip[10:], checksum(ip))
		return append(append(b, ip...), icmp...)
	}
	icmp[0] = echo6
	pseudo := slices.Concat(source.AsSlice(), target.AsSlice(), []byte{0, 0, 0, byte(len(icmp)), 0, 0, 0, unix.IPPROTO_ICMPV6}, icmp)
	binary.BigEndian.PutUint16(icmp[2:], checksum(pseudo))
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IPV6)
	b = append(b, 0x60, 0, 0, 0, 0, byte(len(icmp)), unix.IPPROTO_ICMPV6, 1)
	b = append(append(b, source.AsSlice()...), target.AsSlice()...)
	return append(b, icmp...)
}

// echoAnswer reads an echo reply: the hardware address that it came from, and
// whether it answers the probe with this nonce for the target.
func echoAnswer(frame []byte, target netip.Addr, nonce [16]byte) (from net.HardwareAddr, ok bool) {
	header, source, answer := ip4Header, 12, byte(answer4)
	if target.Is6() {
		header, source, answer = ip6Header, 8, answer6
	}
	if len(frame) < ethHeader+header+4+len(nonce) {
		return nil, false
	}
	ip := frame[ethHeader:]
	if target.Is4() {
		header = int(ip[0]&0x0f) * 4 // with options
		if header < ip4Header || len(ip) < header+4+len(nonce) {
			return nil, false
		}
	}
	icmp := ip[header:]
	src, _ := netip.AddrFromSlice(ip[source : source+target.BitLen()/8])
	return net.HardwareAddr(frame[6:12]), src == target && icmp[0] == answer && bytes.Equal(icmp[4:4+len(nonce)], nonce[:])
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
