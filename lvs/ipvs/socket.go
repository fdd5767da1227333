package ipvs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
)

// answerTimeout bounds the wait for an answer, in seconds.
const answerTimeout = 5

// socket is one generic netlink socket.
type socket struct {
	fd  int
	seq uint32
	buf []byte
}

func dial() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd, buf: make([]byte, 64<<10)}
	err = errors.Join(
		os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerTimeout}),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1),
	)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	// Room for a batch and for all refusals of one. Without the right the
	// kernel's limit stands, which is enough unless very much is refused.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 1<<20)
	return s, nil
}

func (s *socket) close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }

// do sends requests in one go and waits until the kernel is through with them.
// refused is called for each that it refused, by position.
func (s *socket) do(ctx context.Context, r *encoder, refused func(i int, err error)) error {
	if r.Len() == 0 {
		return nil
	}
	// A last message that does nothing is acknowledged when all before it are
	// done. The last operation would not do: of one that ends with EINTR, as when a
	// daemon is stopped that had no time to start, the kernel says nothing at all.
	r.Begin(unix.NLMSG_NOOP, unix.NLM_F_ACK)
	r.End()
	first, last, err := s.send(ctx, r)
	if err != nil {
		return err
	}
	for {
		b, err := s.receive()
		if err != nil {
			return err
		}
		for m := range nlmsg.Messages(b) {
			if m.Type != unix.NLMSG_ERROR || m.Seq-first > last-first {
				continue // the rest of an exchange that was given up
			}
			if err := m.Err(); err != nil {
				refused(int(m.Seq-first), err)
			}
			if m.Seq == last {
				return nil
			}
		}
	}
}

// ask sends one request and calls f with each message of the answer; f's first
// error is returned when the answer is complete. A dump that a change interrupted
// is complete all the same: what it lacks is found the next time.
func (s *socket) ask(ctx context.Context, r *encoder, f func(nlmsg.Message) error) error {
	r.AddFlags(unix.NLM_F_ACK)
	_, seq, err := s.send(ctx, r)
	if err != nil {
		return err
	}
	var bad error
	for {
		b, err := s.receive()
		if err != nil {
			return err
		}
		for m := range nlmsg.Messages(b) {
			switch {
			case m.Seq != seq:
			case m.Type == unix.NLMSG_DONE:
				if len(m.Data) >= 4 { // the dump's own result
					bad = errors.Join(m.Err(), bad)
				}
				return bad
			case m.Type == unix.NLMSG_ERROR:
				return errors.Join(m.Err(), bad)
			case bad == nil:
				bad = f(m)
			}
		}
	}
}

func (s *socket) send(ctx context.Context, r *encoder) (first, last uint32, err error) {
	if ctx.Err() != nil {
		return 0, 0, context.Cause(ctx)
	}
	first, last = s.seq+1, s.seq+uint32(r.Len())
	s.seq = last
	b := r.Bytes(first)
	for {
		err := unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return first, last, os.NewSyscallError("sendto", err)
		}
	}
}

// receive returns one datagram of the kernel, valid until the next call.
func (s *socket) receive() ([]byte, error) {
	for {
		n, from, err := unix.Recvfrom(s.fd, s.buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil, fmt.Errorf("no answer of the kernel within %d s", answerTimeout)
		case err != nil:
			return nil, os.NewSyscallError("recvfrom", err)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); ok && nl.Pid == 0 {
			return s.buf[:n], nil
		}
	}
}

// resolve returns the number of the family IPVS; unix.ENOENT: it is not loaded.
func (s *socket) resolve(ctx context.Context) (family uint16, err error) {
	e := &encoder{family: unix.GENL_ID_CTRL}
	e.begin(unix.CTRL_CMD_GETFAMILY, 0)
	e.String(unix.CTRL_ATTR_FAMILY_NAME, familyName)
	e.End()
	err = s.ask(ctx, e, func(m nlmsg.Message) error {
		v, err := nested(m, unix.CTRL_ATTR_FAMILY_ID)
		family = uint16(nlmsg.Uint(v))
		return err
	})
	return family, err
}
