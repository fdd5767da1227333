package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// failed is the result of an attempt that ended in an error, after what it says
// of where.
func (t Target) failed(c Checker, where string, err error) Result {
	r := down(c, "%s%s", where, t.explain(err))
	r.Void = isOurs(err)
	return r
}

// isOurs reports whether this machine is to blame for an error of the network:
// what it lacks says nothing of a server.
func isOurs(err error) bool {
	if _, ok := errors.AsType[familyError](err); ok {
		return true
	}
	for _, ours := range []error{
		unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, // resources
		unix.EADDRNOTAVAIL, unix.EADDRINUSE, unix.ENODEV, unix.EAFNOSUPPORT, unix.EINVAL, // addresses and links
		unix.EPERM, // rights, and its own firewall
	} {
		if errors.Is(err, ours) {
			return true
		}
	}
	return false
}

// familyError is a source that cannot be that of the target.
type familyError struct{ source, target netip.Addr }

// Error implements error.
func (e familyError) Error() string {
	return fmt.Sprintf("source %s is not of the family of %s", e.source, e.target)
}

// explain says in words what an error of the network means.
func (t Target) explain(err error) string {
	if late, ok := errors.AsType[hangs](err); ok {
		return late.Error()
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "the check was stopped"
	case isTimeout(err):
		return fmt.Sprintf("no answer within %s: the host is off, hangs, or a firewall drops packets", t.timeout())
	case errors.Is(err, unix.ECONNREFUSED):
		return "connection refused: the host answers, but nothing listens on this port"
	case errors.Is(err, unix.ECONNRESET):
		return "connection reset by the server"
	case errors.Is(err, unix.EHOSTUNREACH):
		return "no route to host: nobody answers for this address on the network, or a router or firewall refused"
	case errors.Is(err, unix.ENETUNREACH):
		return "network is unreachable: this machine has no route to it"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Sprintf("cannot use source address %s: this machine does not have it, or all its ports are in use", t.Bind)
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Sprintf("cannot use source %s: another socket of this machine has it", t.Bind)
	case errors.Is(err, unix.EACCES):
		return "refused by a firewall on the way or of the server (administratively prohibited)"
	case errors.Is(err, unix.EPERM):
		return "this machine does not let the check out: its firewall refuses, or the daemon lacks a capability"
	case errors.Is(err, unix.ENODEV):
		return fmt.Sprintf("this machine has no interface %s", cmp.Or(t.Interface, t.Addr.Addr().Zone(), t.Bind.Addr().Zone()))
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return "this machine has no free file descriptors: raise LimitNOFILE"
	case errors.Is(err, unix.EINVAL) && t.Addr.Addr().IsLinkLocalUnicast():
		return "a link-local address needs its interface: name it with bind_if"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	default:
		return innermost(err).Error()
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// innermost leaves out what package net adds: the addresses are said already.
func innermost(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
