package vrrp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/mmsg"
	"github.com/hacluster/hacluster/vrrp/packet"
)

// RawNetwork opens raw sockets of this machine, in the network namespace of
// the calling thread. It needs CAP_NET_RAW.
type RawNetwork struct{}

// Open opens the socket of one interface and family.
func (RawNetwork) Open(spec SocketSpec) (Socket, error) {
	if spec.Family == IPv6 {
		return openIPv6(spec)
	}
	return openIPv4(spec)
}

// Sizes of what a socket exchanges with the kernel in one call.
const (
	readBatch  = 16
	writeBatch = 64
	// maxPacket holds an IP header and the longest advert: 255 IPv6 addresses.
	maxPacket = 60 + 8 + packet.MaxAddrs*16
	// bufferSize is for each direction of a socket; the kernel doubles it.
	bufferSize = 512 << 10
	// internetControl is precedence 6 (RFC 791), which keepalived and the
	// other routing protocols use: 0xc0 in TOS and traffic class, 6 as the
	// priority in this machine's own queues.
	internetControl = 6
)

// listen opens the raw socket that both families start from.
func listen(spec SocketSpec, network, address string, options func(fd int) error) (*net.IPConn, error) {
	var lc net.ListenConfig
	lc.Control = func(_, _ string, conn syscall.RawConn) error {
		var err error
		if cerr := conn.Control(func(fd uintptr) { err = bindTo(int(fd), spec, options) }); cerr != nil {
			return cerr
		}
		return err
	}
	c, err := lc.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, fmt.Errorf("open raw socket for VRRP on %s: %w", spec.Interface, err)
	}
	return c.(*net.IPConn), nil
}

// bindTo sets what must be set before a packet can arrive.
func bindTo(fd int, spec SocketSpec, options func(fd int) error) error {
	// Nothing is received before Subscribe says what.
	if err := setFilter(fd, []bpf.Instruction{bpf.RetConstant{Val: 0}}); err != nil {
		return err
	}
	if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, spec.Interface); err != nil {
		return fmt.Errorf("bind to device: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, internetControl); err != nil {
		return fmt.Errorf("set socket priority: %w", err)
	}
	// 255 masters of one interface advertise in the same instant, and the
	// default holds hardly as many packets. The larger size is a wish.
	for force, plain := range map[int]int{
		unix.SO_RCVBUFFORCE: unix.SO_RCVBUF,
		unix.SO_SNDBUFFORCE: unix.SO_SNDBUF,
	} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, bufferSize) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, bufferSize)
		}
	}
	return options(fd)
}

// setFilter attaches a filter; it replaces the one before at once.
func setFilter(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	filters := make([]unix.SockFilter, len(raw))
	for n, i := range raw {
		filters[n] = unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K}
	}
	prog := unix.SockFprog{Len: uint16(len(filters)), Filter: &filters[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	return nil
}

// attach replaces the filter of an open socket.
func attach(c *net.IPConn, program []bpf.Instruction) error {
	conn, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := conn.Control(func(fd uintptr) { err = setFilter(int(fd), program) }); cerr != nil {
		return cerr
	}
	return err
}

// vridFilter lets pass the packets whose VRID is in set. An IPv4 raw socket
// shows its filter the IP header too, an IPv6 one does not.
func vridFilter(family Family, set VRIDSet) []bpf.Instruction {
	var load []bpf.Instruction
	if family == IPv4 {
		load = []bpf.Instruction{
			bpf.LoadMemShift{Off: 0}, // X = length of the IP header
			bpf.LoadIndirect{Off: 1, Size: 1},
		}
	} else {
		load = []bpf.Instruction{bpf.LoadAbsolute{Off: 1, Size: 1}}
	}
	program := append(load,
		bpf.StoreScratch{Src: bpf.RegA, N: 0},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 31},
		bpf.TAX{}, // X = bit
		bpf.LoadScratch{Dst: bpf.RegA, N: 0},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 5}, // A = word
	)
	for n, word := range set {
		after := 3 * (len(set) - 1 - n) // instructions of the words that follow
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(n), SkipFalse: 2},
			bpf.LoadConstant{Dst: bpf.RegA, Val: word},
			bpf.Jump{Skip: uint32(after) + 1},
		)
	}
	return append(program,
		bpf.RetConstant{Val: 0},
		bpf.ALUOpX{Op: bpf.ALUOpShiftRight},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 1, SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	)
}

// groupMember is the part of both families' sockets that joins groups.
type groupMember interface {
	JoinGroup(ifi *net.Interface, group net.Addr) error
	LeaveGroup(ifi *net.Interface, group net.Addr) error
}

// changeGroups joins and leaves groups so that the socket is in those of want.
func changeGroups(m groupMember, index int, have, want []netip.Addr) error {
	ifi := &net.Interface{Index: index}
	for _, g := range without(want, have) {
		if err := m.JoinGroup(ifi, &net.IPAddr{IP: g.AsSlice()}); err != nil {
			return fmt.Errorf("join %v: %w", g, err)
		}
	}
	for _, g := range without(have, want) {
		if err := m.LeaveGroup(ifi, &net.IPAddr{IP: g.AsSlice()}); err != nil {
			return fmt.Errorf("leave %v: %w", g, err)
		}
	}
	return nil
}

// outbound keeps what a socket sends in one call: of each packet up to two parts,
// where it goes, and the control messages that the family wants.
type outbound struct {
	writer   *mmsg.Writer
	messages [writeBatch]mmsg.Message
	parts    [writeBatch][2]unix.Iovec
	names    [writeBatch]unix.RawSockaddrInet6 // long enough for both families
}

func newOutbound(conn syscall.RawConn) *outbound {
	o := &outbound{writer: mmsg.NewWriter(conn)}
	for n := range o.messages {
		h := &o.messages[n].Header
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&o.names[n])), unix.SizeofSockaddrInet6
		h.Iov = &o.parts[n][0]
	}
	return o
}

// set says what packet n consists of and where it goes. The parts are read by send.
func (o *outbound) set(n int, to netip.Addr, parts ...[]byte) {
	o.names[n] = mmsg.Sockaddr(netip.AddrPortFrom(to, 0), to.Is4())
	for i, b := range parts {
		o.parts[n][i].Base = unsafe.SliceData(b)
		o.parts[n][i].SetLen(len(b))
	}
	o.messages[n].Header.SetIovlen(len(parts))
}

// send sends the first n packets whatever happens to some of them: a firewall that
// refuses one must not hold up the others, and a full queue loses an advert rather
// than all timers.
func (o *outbound) send(n int, failed func(index int, err error)) {
	o.writer.Offer(o.messages[:n], failed)
}
