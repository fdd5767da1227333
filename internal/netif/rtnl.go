package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// rtnlBatch is how many acknowledged requests go in one send, so that the
// answers fit the receive buffer.
const rtnlBatch = 64

// rtnlTimeout bounds the wait for an answer. The kernel answers within the
// send; only a lost answer is waited for.
const rtnlTimeout = 2 // seconds

// rtnl is one rtnetlink socket for requests. The library's handle costs about
// 6 µs for each address and one system call or more; here a renewal of all is
// one system call.
type rtnl struct {
	fd  int
	seq uint32
	buf []byte // receive
}

func dialRtnl() (*rtnl, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &rtnl{fd: fd, buf: make([]byte, 64<<10)}
	err = errors.Join(
		os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: rtnlTimeout}),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1),
	)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	// Dumps of one interface only, and room for all acknowledgements: both are
	// only faster, so an old kernel or a missing right is no error.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 1<<20)
	return c, nil
}

func (c *rtnl) close() error { return os.NewSyscallError("close", unix.Close(c.fd)) }

// requests is a sequence of rtnetlink requests laid out one after the other.
type requests struct {
	buf    []byte
	starts []int
}

func (r *requests) reset() { r.buf, r.starts = r.buf[:0], r.starts[:0] }

func (r *requests) begin(typ, flags uint16) {
	r.starts = append(r.starts, len(r.buf))
	r.buf = append(r.buf, make([]byte, unix.NLMSG_HDRLEN)...)
	h := r.buf[len(r.buf)-unix.NLMSG_HDRLEN:]
	binary.NativeEndian.PutUint16(h[4:], typ)
	binary.NativeEndian.PutUint16(h[6:], flags|unix.NLM_F_REQUEST)
}

func (r *requests) raw(b ...byte) { r.buf = append(r.buf, b...) }

func (r *requests) u32(v uint32) { r.buf = binary.NativeEndian.AppendUint32(r.buf, v) }

func (r *requests) attr(typ uint16, data ...byte) {
	r.buf = binary.NativeEndian.AppendUint16(r.buf, uint16(unix.SizeofRtAttr+len(data)))
	r.buf = binary.NativeEndian.AppendUint16(r.buf, typ)
	r.buf = append(r.buf, data...)
	for len(r.buf)%unix.NLMSG_ALIGNTO != 0 {
		r.buf = append(r.buf, 0)
	}
}

func (r *requests) end() {
	h := r.buf[r.starts[len(r.starts)-1]:]
	binary.NativeEndian.PutUint32(h, uint32(len(h)))
}

func (r *requests) slice(from, to int) []byte {
	end := len(r.buf)
	if to < len(r.starts) {
		end = r.starts[to]
	}
	return r.buf[r.starts[from]:end]
}

// number gives the requests consecutive sequence numbers and returns the first.
func (c *rtnl) number(r *requests) uint32 {
	first := c.seq + 1
	for _, at := range r.starts {
		c.seq++
		binary.NativeEndian.PutUint32(r.buf[at+8:], c.seq)
	}
	return first
}

// do sends requests that ask for acknowledgement and returns one result each.
// The error is for the exchange itself.
func (c *rtnl) do(r *requests) ([]error, error) {
	results := make([]error, len(r.starts))
	first := c.number(r)
	for from := 0; from < len(r.starts); from += rtnlBatch {
		to := min(from+rtnlBatch, len(r.starts))
		if err := c.send(r.slice(from, to)); err != nil {
			return nil, err
		}
		for left := to - from; left > 0; {
			msgs, err := c.receive(0)
			if err != nil {
				return nil, err
			}
			for m := range msgs.all() {
				if i := int(int32(m.seq - first)); m.typ == unix.NLMSG_ERROR && i >= from && i < to {
					results[i] = m.err()
					left--
				}
			}
		}
	}
	return results, nil
}

// post sends requests without acknowledgement in one system call. Rtnetlink
// works inside the send, so when it returns the refusals, if any, can be read:
// refused is called for each of them with its position.
func (c *rtnl) post(r *requests, refused func(i int, err error)) error {
	first := c.number(r)
	if err := c.send(r.buf); err != nil {
		return err
	}
	for {
		msgs, err := c.receive(unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		for m := range msgs.all() {
			if i := int(int32(m.seq - first)); m.typ == unix.NLMSG_ERROR && i >= 0 && i < len(r.starts) {
				refused(i, m.err())
			}
		}
	}
}

// dumpAttempts bounds the repeats of a dump that changes interrupt.
const dumpAttempts = 10

// dump sends one dump request and calls f with each message of the answer. A
// dump that a change interrupted is repeated; begin is called before each.
func (c *rtnl) dump(r *requests, begin func(), f func(rtnlMessage)) error {
	for range dumpAttempts {
		begin()
		seq := c.number(r)
		if err := c.send(r.buf); err != nil {
			return err
		}
		interrupted, err := c.collect(seq, f)
		if err != nil || !interrupted {
			return err
		}
	}
	return errors.New("dump: interrupted by changes ten times in a row")
}

func (c *rtnl) collect(seq uint32, f func(rtnlMessage)) (interrupted bool, err error) {
	for {
		msgs, err := c.receive(0)
		if err != nil {
			return false, err
		}
		for m := range msgs.all() {
			switch {
			case m.seq != seq: // the rest of an exchange that was given up
			case m.typ == unix.NLMSG_DONE:
				return interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0, nil
			case m.typ == unix.NLMSG_ERROR:
				return false, m.err()
			default:
				interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
				f(m)
			}
		}
	}
}

func (c *rtnl) send(b []byte) error {
	for {
		err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("sendto", err)
		}
	}
}

// receive returns the messages of one datagram; they are valid until the next
// call.
func (c *rtnl) receive(flags int) (rtnlMessages, error) {
	for {
		n, from, err := unix.Recvfrom(c.fd, c.buf, flags)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue // not the kernel
		}
		return c.buf[:n], nil
	}
}

// rtnlMessages is a datagram of netlink messages.
type rtnlMessages []byte

// rtnlMessage is one of them.
type rtnlMessage struct {
	typ, flags uint16
	seq        uint32
	data       []byte
}

// all yields the well-formed messages.
func (b rtnlMessages) all() func(func(rtnlMessage) bool) {
	return func(yield func(rtnlMessage) bool) {
		for len(b) >= unix.NLMSG_HDRLEN {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.NLMSG_HDRLEN || size > len(b) {
				return
			}
			m := rtnlMessage{
				typ:   binary.NativeEndian.Uint16(b[4:]),
				flags: binary.NativeEndian.Uint16(b[6:]),
				seq:   binary.NativeEndian.Uint32(b[8:]),
				data:  b[unix.NLMSG_HDRLEN:size],
			}
			if !yield(m) {
				return
			}
			b = b[min(align4(size), len(b)):]
		}
	}
}

// err is the error of an NLMSG_ERROR message, nil for an acknowledgement.
func (m rtnlMessage) err() error {
	if len(m.data) < 4 {
		return errors.New("short netlink error message")
	}
	code := int32(binary.NativeEndian.Uint32(m.data))
	if code == 0 {
		return nil
	}
	errno := unix.Errno(-code)
	// struct nlmsgerr: the code, the header of the request, attributes.
	if m.flags&unix.NLM_F_ACK_TLVS != 0 && len(m.data) > 4+unix.NLMSG_HDRLEN {
		for typ, v := range attributes(m.data[4+unix.NLMSG_HDRLEN:]) {
			if typ == unix.NLMSGERR_ATTR_MSG && len(v) > 1 {
				return fmt.Errorf("%w (%s)", errno, v[:len(v)-1])
			}
		}
	}
	return errno
}

// attributes yields the well-formed attributes in b by type.
func attributes(b []byte) func(func(uint16, []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			size := int(binary.NativeEndian.Uint16(b))
			if size < unix.SizeofRtAttr || size > len(b) {
				return
			}
			typ := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(typ, b[unix.SizeofRtAttr:size]) {
				return
			}
			b = b[min(align4(size), len(b)):]
		}
	}
}

func align4(n int) int { return (n + 3) &^ 3 }
