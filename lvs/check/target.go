package check

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Target is what a check connects to, and how.
type Target struct {
	// Addr is connect_ip and connect_port, by default those of the real
	// server. PING_CHECK does not look at the port.
	Addr netip.AddrPort
	// Bind is bindto and bind_port; without an address, or with port 0, the
	// kernel chooses.
	Bind netip.AddrPort
	// Interface is bind_if: traffic goes through it alone, and link-local
	// addresses are its.
	Interface string
	// Mark is the fwmark of the check's packets.
	Mark uint32
	// Timeout is connect_timeout; 0: 5 s.
	Timeout time.Duration
}

func (t Target) timeout() time.Duration {
	if t.Timeout <= 0 {
		return DefaultTimeout
	}
	return t.Timeout
}

// ipv6 says of which family the target is. An IPv4 address within IPv6 is IPv4.
func (t Target) ipv6() bool { return !t.Addr.Addr().Unmap().Is4() }

// network is a network of package net with the target's family: tcp4, udp6.
func (t Target) network(name string) string {
	if t.ipv6() {
		return name + "6"
	}
	return name + "4"
}

// setOptions sets what has to be set before a socket is bound.
func (t Target) setOptions(fd int) error {
	if t.Interface != "" {
		if err := unix.BindToDevice(fd, t.Interface); err != nil {
			return fmt.Errorf("bind to interface %s: %w", t.Interface, err)
		}
	}
	if t.Mark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(t.Mark)); err != nil {
			return fmt.Errorf("set fwmark %d: %w", t.Mark, err)
		}
	}
	if t.Bind.Port() != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
		}
	}
	return nil
}

// dial connects by package net, within the timeout.
func (t Target) dial(ctx context.Context, network string) (net.Conn, error) {
	d := net.Dialer{
		Timeout:   t.timeout(),
		KeepAlive: -1,
		ControlContext: func(_ context.Context, _, _ string, c syscall.RawConn) error {
			var err error
			if e := c.Control(func(fd uintptr) { err = t.setOptions(int(fd)) }); e != nil {
				return e
			}
			return err
		},
	}
	for _, a := range []netip.AddrPort{t.Addr, t.Bind} {
		if _, err := t.sockaddr(a); err != nil {
			return nil, err // package net is less clear
		}
	}
	if t.Bind.Addr().IsValid() || t.Bind.Port() != 0 {
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(t.Bind)
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(t.Bind)
		}
	}
	return d.DialContext(ctx, t.network(network), t.Addr.String())
}

// socket returns a bound socket that does not block, and the address to connect
// it to. It costs less than dial: checks are many.
func (t Target) socket(typ, protocol int) (fd int, to unix.Sockaddr, err error) {
	family := unix.AF_INET
	if t.ipv6() {
		family = unix.AF_INET6
	}
	to, err = t.sockaddr(t.Addr)
	if err != nil {
		return -1, nil, err
	}
	fd, err = unix.Socket(family, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, nil, os.NewSyscallError("socket", err)
	}
	if err := t.prepare(fd); err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, to, nil
}

// prepare sets a socket's options and binds it.
func (t Target) prepare(fd int) error {
	if err := t.setOptions(fd); err != nil {
		return err
	}
	if !t.Bind.Addr().IsValid() && t.Bind.Port() == 0 {
		return nil
	}
	from, err := t.sockaddr(t.Bind)
	if err == nil {
		err = unix.Bind(fd, from)
	}
	if err != nil {
		return fmt.Errorf("bind to %s: %w", t.Bind, err)
	}
	return nil
}

// sockaddr is an address in the family of the target. No address is any.
func (t Target) sockaddr(a netip.AddrPort) (unix.Sockaddr, error) {
	ip := a.Addr().Unmap()
	switch {
	case !t.ipv6() && !ip.IsValid():
		return &unix.SockaddrInet4{Port: int(a.Port())}, nil
	case !t.ipv6() && ip.Is4():
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}, nil
	case t.ipv6() && !ip.IsValid():
		return &unix.SockaddrInet6{Port: int(a.Port())}, nil
	case t.ipv6() && ip.Is6():
		s := &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
		if zone := ip.Zone(); zone != "" {
			link, err := net.InterfaceByName(zone)
			if err != nil {
				return nil, fmt.Errorf("zone %s of %s: %w", zone, ip, unix.ENODEV)
			}
			s.ZoneId = uint32(link.Index)
		}
		return s, nil
	default:
		return nil, familyError{ip, t.Addr.Addr()}
	}
}

// withoutPort leaves the address: what has no ports cannot bind to one.
func withoutPort(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), 0) }

// past is a deadline that ends at once whatever waits.
var past = time.Unix(1, 0)

// watch ends what waits on a connection when ctx ends; the caller calls stop
// when it is done.
func watch(ctx context.Context, c interface{ SetDeadline(time.Time) error }) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.SetDeadline(past) })
}
