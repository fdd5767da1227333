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

	"github.com/hacluster/hacluster/internal/mmsg"
)

// Heartbeats of many units are many datagrams, which come and go together. They
// pass the network stack as one where the kernel can do that (UDP_SEGMENT and
// UDP_GRO, udp(7)), and wake their reader once; package mmsg moves what is left.

const (
	// readBatch is how many messages are read at once: each is a record, or a
	// datagram of one.
	readBatch = 8
	// longest is what one message may have: as much as the length in an IP header.
	longest = 65535
	// maxSegments is how many datagrams a message may have, for any kernel.
	maxSegments = 64
)

// ReadAll implements batchReader.
func (c *udpConn) ReadAll() ([]Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in == nil {
		c.in = mmsg.NewReader(c.raw, readBatch, longest)
		_ = c.raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1) // a kernel before 5.0 gives them one by one
		})
	}
	n, err := c.in.Receive(readBatch)
	if err != nil {
		return nil, err
	}
	c.came = c.came[:0]
	for i := range n {
		oob := c.in.Control(i)
		from, path := c.in.From(i), c.name(c.index(oob))
		size := segmentSize(oob)
		if size == 0 {
			size = longest
		}
		for datagram := range slices.Chunk(c.in.Payload(i), size) {
			c.came = append(c.came, Receipt{From: from, Path: path, Payload: datagram})
		}
	}
	return c.came, nil
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
	writer  *mmsg.Writer
	headers []mmsg.Message // of one or more datagrams
	iovecs  []unix.Iovec
	segment [unix.SizeofCmsghdr + 8]byte // the control message UDP_SEGMENT
	name    unix.RawSockaddrInet6        // long enough for both families
	plain   map[netip.AddrPort]struct{}  // where the kernel refuses segments
}

func newOutbound(conn syscall.RawConn) *outbound {
	return &outbound{writer: mmsg.NewWriter(conn), plain: make(map[netip.AddrPort]struct{})}
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
		var m mmsg.Message
		m.Header.Name, m.Header.Namelen = (*byte)(unsafe.Pointer(&w.name)), unix.SizeofSockaddrInet6
		m.Header.Iov = &w.iovecs[first]
		m.Header.SetIovlen(len(group))
		if len(group) > 1 {
			m.Header.Control = &w.segment[0]
			m.Header.SetControllen(unix.CmsgSpace(2))
		}
		w.headers = append(w.headers, m)
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
	c.out.name = mmsg.Sockaddr(to, c.ipv4)
	size := segmentable(datagrams)
	if _, plain := c.out.plain[to]; size > 0 && !plain {
		c.out.load(datagrams, size)
		failed, err = c.out.writer.Send(c.out.headers)
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
	return c.out.writer.Send(c.out.headers)
}
