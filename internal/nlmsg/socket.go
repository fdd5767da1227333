package nlmsg

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Socket exchanges requests for answers with the kernel. It belongs to one
// goroutine.
type Socket struct {
	fd      int
	timeout time.Duration
	seq     uint32
	buf     []byte // receive
}

// Dial opens a socket of a protocol (unix.NETLINK_ROUTE and so on) in the
// calling thread's network namespace. The kernel answers within the send; only
// for a lost answer does an exchange wait, at most for the timeout.
func Dial(protocol int, timeout time.Duration) (*Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &Socket{fd: fd, timeout: timeout, buf: make([]byte, 64<<10)}
	wait := unix.NsecToTimeval(timeout.Nanoseconds())
	err = errors.Join(
		os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1),
	)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	// Dumps of one interface only, room for what is sent at once, and for some two
	// thousand refusals of it: an old kernel or a missing right is no error.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 1<<20)
	return s, nil
}

// Close closes the socket.
func (s *Socket) Close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }

// Do sends requests in one system call, and calls refused for each that the
// kernel refused, by position. It works on them within the send, so that
// when this returns nothing is left to wait for and no acknowledgement is
// needed. The error is for the exchange itself: unix.ENOBUFS, when there were more
// refusals than the buffer holds.
func (s *Socket) Do(r *Requests, refused func(i int, err error)) error {
	if r.Len() == 0 {
		return nil
	}
	first, err := s.send(r)
	if err != nil {
		return err
	}
	for {
		b, err := s.receive(unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		for m := range Messages(b) {
			// Others are the rest of an exchange that was given up.
			if i := m.Seq - first; m.Type == unix.NLMSG_ERROR && i < uint32(r.Len()) {
				if err := m.Err(); err != nil {
					refused(int(i), err)
				}
			}
		}
	}
}

// Ask sends one request and calls f with each message of the answer. When the
// answer is complete it returns f's first error or the kernel's, and whether a change
// interrupted the dump, which then may lack something.
func (s *Socket) Ask(r *Requests, f func(Message) error) (interrupted bool, err error) {
	r.AddFlags(unix.NLM_F_ACK)
	seq, err := s.send(r)
	if err != nil {
		return false, err
	}
	var bad error
	for {
		b, err := s.receive(0)
		if errors.Is(err, unix.EAGAIN) {
			return false, fmt.Errorf("no answer of the kernel within %v", s.timeout)
		}
		if err != nil {
			return false, err
		}
		for m := range Messages(b) {
			if m.Seq != seq {
				continue // the rest of an exchange that was given up
			}
			interrupted = interrupted || m.Flags&unix.NLM_F_DUMP_INTR != 0
			switch {
			case m.Type == unix.NLMSG_ERROR, m.Type == unix.NLMSG_DONE: // with the dump's own result
				return interrupted, errors.Join(m.Err(), bad)
			case bad == nil:
				bad = f(m)
			}
		}
	}
}

// send numbers requests and sends them. It returns the number of the first.
func (s *Socket) send(r *Requests) (first uint32, err error) {
	first = s.seq + 1
	s.seq += uint32(r.Len())
	b := r.Bytes(first)
	for {
		err := unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return first, os.NewSyscallError("sendto", err)
		}
	}
}

// receive returns one datagram of the kernel, valid until the next call.
func (s *Socket) receive(flags int) ([]byte, error) {
	for {
		n, from, err := unix.Recvfrom(s.fd, s.buf, flags)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); ok && nl.Pid == 0 {
			return s.buf[:n], nil
		}
	}
}
