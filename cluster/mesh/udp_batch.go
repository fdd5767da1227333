package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Heartbeats of many units are many datagrams, which come and go together. They
// pass the network stack as one where the kernel can do that (UDP_SEGMENT and
// UDP_GRO, udp(7)), and wake their reader once; recvmmsg(2) and sendmmsg(2) move
// what is left, by hand. The batch calls of golang.org/x/net allocate for each
// datagram, and they announce each system call to the scheduler, which then wakes
// its monitor thread: that costs more than the datagrams. The descriptor never
// blocks, so there is nothing to announce.

const (
	// readBatch is how many messages are read at once: each is a record, or a
	// datagram of one.
	readBatch = 8
	// longest is what one message may have: as much as the length in an IP header.
	longest = 65535
	// maxSegments is how many datagrams a message may have, for any kernel.
	maxSegments = 64
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// inbound reads the datagrams of a socket; it belongs to one reader.
type inbound struct {
	conn    syscall.RawConn
	try     func(fd uintptr) bool // bound once: a method value would be allocated for each call
	got     int
	errno   syscall.Errno
	headers [readBatch]mmsghdr
	iovecs  [readBatch]unix.Iovec
	names   [readBatch]unix.RawSockaddrInet6 // long enough for both families
	buffers [readBatch][longest]byte
	oobs    [readBatch][oobSize]byte
	result  []Receipt
}

// oobSize is enough for the control messages that name the interface and the
// length of a datagram.
const oobSize = 128

func newInbound(conn syscall.RawConn) *inbound {
	r := &inbound{conn: conn}
	r.try = r.recvmmsg
	for n := range r.headers {
		r.iovecs[n].Base = &r.buffers[n][0]
		r.iovecs[n].SetLen(len(r.buffers[n]))
		h := &r.headers[n].header
		h.Iov = &r.iovecs[n]
		h.SetIovlen(1)
	}
	return r
}

// receive waits for datagrams, and returns how many there are.
func (r *inbound) receive() (int, error) {
	for n := range r.headers {
		// The kernel has put the lengths of the last datagrams here.
		h := &r.headers[n].header
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&r.names[n])), unix.SizeofSockaddrInet6
		h.Control = &r.oobs[n][0]
		h.SetControllen(oobSize)
	}
	if err := r.conn.Read(r.try); err != nil {
		return 0, err
	}
	if r.errno != 0 {
		return 0, fmt.Errorf("recvmmsg: %w", r.errno)
	}
	return r.got, nil
}

// recvmmsg says whether there is a result; otherwise the poller waits.
func (r *inbound) recvmmsg(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd,
			uintptr(unsafe.Pointer(&r.headers[0])), readBatch, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		r.got, r.errno = int(n), errno
		return errno != unix.EAGAIN
	}
}

// ReadAll implements batchReader.
func (c *udpConn) ReadAll() ([]Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in == nil {
		c.in = newInbound(c.raw)
		_ = c.raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1) // a kernel before 5.0 gives them one by one
		})
	}
	n, err := c.in.receive()
	if err != nil {
		return nil, err
	}
	c.in.result = c.in.result[:0]
	for i := range n {
		h := &c.in.headers[i]
		oob := c.in.oobs[i][:h.header.Controllen]
		from, path := fromSockaddr(&c.in.names[i]), c.name(c.index(oob))
		size := segmentSize(oob)
		if size == 0 {
			size = longest
		}
		for datagram := range slices.Chunk(c.in.buffers[i][:h.length], size) {
			c.in.result = append(c.in.result, Receipt{From: from, Path: path, Payload: datagram})
		}
	}
	return c.in.result, nil
}

// segmentSize is the length of the datagrams that have come as one message, but
// for the last of them; 0: it is a single one.
func segmentSize(oob []byte) int {
	for len(oob) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if header.Level == unix.SOL_UDP && header.Type == unix.UDP_GRO && len(data) >= 2 {
			return int(binary.NativeEndian.Uint16(data)) // an int, of which kernels differ in the upper half
		}
		oob = rest
	}
	return 0
}

// outbound sends datagrams to one address after the other.
type outbound struct {
	conn    syscall.RawConn
	try     func(fd uintptr) bool
	left    []mmsghdr // not sent yet
	sent    int
	errno   syscall.Errno
	headers []mmsghdr // messages of one or more datagrams
	iovecs  []unix.Iovec
	segment [unix.SizeofCmsghdr + 8]byte // the control message UDP_SEGMENT
	name    unix.RawSockaddrInet6        // long enough for both families
	plain   map[netip.AddrPort]struct{}  // where the kernel refuses segments
}

func newOutbound(conn syscall.RawConn) *outbound {
	w := &outbound{conn: conn, plain: make(map[netip.AddrPort]struct{})}
	w.try = w.sendmmsg
	return w
}

// segmentable is the length of all datagrams but the last one, which may be
// shorter: the kernel can make them of one message. 0: it cannot.
func segmentable(datagrams [][]byte) int {
	if len(datagrams) < 2 {
		return 0
	}
	size := len(datagrams[0])
	for i, b := range datagrams {
		if last := i == len(datagrams)-1; len(b) > size || len(b) < size && !last {
			return 0
		}
	}
	return size
}

// load makes messages of the datagrams: as few as may be when they have segments
// of the given size, or one of each.
func (w *outbound) load(datagrams [][]byte, size int) {
	together := 1
	if size > 0 {
		together = min(maxSegments, (longest-100)/size) // without headers
		h := (*unix.Cmsghdr)(unsafe.Pointer(&w.segment))
		h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		h.SetLen(unix.CmsgLen(2))
		binary.NativeEndian.PutUint16(w.segment[unix.CmsgLen(0):], uint16(size))
	}
	w.headers, w.iovecs = w.headers[:0], slices.Grow(w.iovecs[:0], len(datagrams))
	for group := range slices.Chunk(datagrams, together) {
		first := len(w.iovecs)
		for _, b := range group {
			v := unix.Iovec{Base: unsafe.SliceData(b)}
			v.SetLen(len(b))
			w.iovecs = append(w.iovecs, v)
		}
		var m mmsghdr
		m.header.Name, m.header.Namelen = (*byte)(unsafe.Pointer(&w.name)), unix.SizeofSockaddrInet6
		m.header.Iov = &w.iovecs[first]
		m.header.SetIovlen(len(group))
		if len(group) > 1 {
			m.header.Control = &w.segment[0]
			m.header.SetControllen(unix.CmsgSpace(2))
		}
		w.headers = append(w.headers, m)
	}
}

// send sends all messages to the address that name has, and returns how many
// datagrams the kernel refused.
func (w *outbound) send() (failed int, err error) {
	for w.left = w.headers; len(w.left) > 0; w.left = w.left[w.sent:] {
		if e := w.conn.Write(w.try); e != nil {
			w.errno = unix.EBADF // closed
		}
		if w.errno != 0 {
			// It is the first one that was refused.
			w.sent, failed, err = 1, failed+int(w.left[0].header.Iovlen), fmt.Errorf("sendmmsg: %w", w.errno)
		}
	}
	return failed, err
}

// sendmmsg says whether there is a result; otherwise the poller waits.
func (w *outbound) sendmmsg(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd,
			uintptr(unsafe.Pointer(&w.left[0])), uintptr(len(w.left)), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		w.sent, w.errno = int(n), errno
		return errno != unix.EAGAIN
	}
}

// WriteAll implements batchWriter: in steady state it is one message to each
// address.
func (c *udpConn) WriteAll(datagrams [][]byte, to []netip.AddrPort) (failed int, err error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	for _, addr := range to {
		if n, e := c.writeTo(datagrams, addr); e != nil {
			failed, err = failed+n, fmt.Errorf("to %v: %w", addr, e)
		}
	}
	return failed, err
}

// writeTo sends datagrams to one address, in one message if the kernel and the
// device take that.
func (c *udpConn) writeTo(datagrams [][]byte, to netip.AddrPort) (failed int, err error) {
	if c.ipv4 && !to.Addr().Unmap().Is4() {
		return len(datagrams), unix.EAFNOSUPPORT
	}
	c.out.name = sockaddr(to, c.ipv4)
	size := segmentable(datagrams)
	if _, plain := c.out.plain[to]; size > 0 && !plain {
		c.out.load(datagrams, size)
		failed, err = c.out.send()
		switch {
		case errors.Is(err, unix.EIO), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EMSGSIZE), errors.Is(err, unix.EOPNOTSUPP):
			// No checksum by the device, a datagram longer than its MTU, or a kernel
			// before 4.18. What has gone may go twice.
			c.out.plain[to] = struct{}{}
		default:
			return failed, err
		}
	}
	c.out.load(datagrams, 0)
	return c.out.send()
}

// sockaddr is an address as a socket of one family or of both wants it: the latter
// takes IPv4 in the IPv6 form.
func sockaddr(to netip.AddrPort, ipv4 bool) (name unix.RawSockaddrInet6) {
	if !ipv4 {
		return unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swapped(to.Port()), Addr: to.Addr().As16()}
	}
	v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&name))
	*v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swapped(to.Port()), Addr: to.Addr().Unmap().As4()}
	return name
}

// fromSockaddr is the address that the kernel has written; zones are not supported.
func fromSockaddr(name *unix.RawSockaddrInet6) netip.AddrPort {
	if name.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), swapped(v4.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), swapped(name.Port))
}

// swapped turns a port from the order of the network to this machine's, or back.
func swapped(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}
