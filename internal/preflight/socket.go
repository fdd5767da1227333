package preflight

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// vrrpProtocol is the IP protocol of VRRP.
const vrrpProtocol = 112

// hops is the TTL of VRRP: what has less has passed a router.
const hops = 255

// socket is a raw socket for protocol 112 on one interface.
type socket struct {
	conn    net.PacketConn
	zone    string // of IPv6 addresses
	subnets []netip.Prefix
}

// openSocket opens a socket that belongs to the network's group.
func openSocket(n Network) (*socket, error) {
	ifi, err := net.InterfaceByName(n.Interface)
	if err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if ctl := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), n.Interface) }); ctl != nil {
			return ctl
		}
		return err
	}}
	network, any := fmt.Sprintf("ip4:%d", vrrpProtocol), "0.0.0.0"
	if n.IPv6 {
		network, any = fmt.Sprintf("ip6:%d", vrrpProtocol), "::"
	}
	conn, err := lc.ListenPacket(context.Background(), network, any)
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn}
	if n.IPv6 {
		s.zone = n.Interface
	}
	if err := s.setup(ifi, n); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *socket) setup(ifi *net.Interface, n Network) error {
	addrs, err := ifi.Addrs()
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			s.subnets = append(s.subnets, p.Masked())
		}
	}
	group := &net.IPAddr{IP: n.Group.AsSlice()}
	if n.IPv6 {
		p := ipv6.NewPacketConn(s.conn)
		return first(p.JoinGroup(ifi, group), p.SetMulticastInterface(ifi), p.SetMulticastHopLimit(hops), p.SetHopLimit(hops), p.SetMulticastLoopback(false))
	}
	p := ipv4.NewPacketConn(s.conn)
	return first(p.JoinGroup(ifi, group), p.SetMulticastInterface(ifi), p.SetMulticastTTL(hops), p.SetTTL(hops), p.SetMulticastLoopback(false))
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Send sends one datagram.
func (s *socket) Send(b []byte, to netip.Addr) error {
	addr := &net.IPAddr{IP: to.AsSlice()}
	if to.IsLinkLocalUnicast() || to.IsLinkLocalMulticast() {
		addr.Zone = s.zone
	}
	_, err := s.conn.WriteTo(b, addr)
	return err
}

// Read receives one datagram, without its IP header.
func (s *socket) Read(b []byte) (int, netip.Addr, error) {
	n, from, err := s.conn.ReadFrom(b)
	if err != nil {
		return 0, netip.Addr{}, err
	}
	a, _ := netip.AddrFromSlice(from.(*net.IPAddr).IP)
	return n, a.Unmap(), nil
}

// near reports whether an address is in a subnet of the interface.
func (s *socket) near(a netip.Addr) bool {
	for _, p := range s.subnets {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func (s *socket) SetReadDeadline(t time.Time) error { return s.conn.SetReadDeadline(t) }
func (s *socket) Close() error                      { return s.conn.Close() }
