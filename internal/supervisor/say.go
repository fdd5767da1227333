package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// openUDP opens a socket for each family that this machine has.
func (x *executor) openUDP() {
	for i, family := range []int{unix.AF_INET, unix.AF_INET6} {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			fd = -1 // what cannot be sent is told when it is to be sent
		}
		x.udp[i] = fd
	}
}

func (x *executor) closeUDP() {
	for _, fd := range x.udp {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// say sends words to all their receivers, whatever happens to some of them.
func (x *executor) say(w *Words) error {
	if w.Protocol != unix.IPPROTO_UDP {
		return sendRaw(w)
	}
	var errs []error
	for _, to := range w.To {
		fd := x.udp[0]
		if !to.Addr().Is4() {
			fd = x.udp[1]
		}
		if err := unix.Sendto(fd, w.Payload, unix.MSG_DONTWAIT, sockaddr(to, 0)); err != nil {
			errs = append(errs, fmt.Errorf("send to %v: %w", to, os.NewSyscallError("sendto", err)))
		}
	}
	return errors.Join(errs...)
}

func sockaddr(to netip.AddrPort, zone uint32) unix.Sockaddr {
	if to.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}
	}
	return &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port()), ZoneId: zone}
}

// internetControl is precedence 6 (RFC 791), as routing protocols use it.
const internetControl = 6 << 5

// sendRaw sends raw packets through a socket of their own: there are few, and
// once in a life.
func sendRaw(w *Words) error {
	domain, protocol := unix.AF_INET6, int(w.Protocol)
	if w.Source.Is4() {
		domain, protocol = unix.AF_INET, unix.IPPROTO_RAW // with our own header
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return fmt.Errorf("open raw socket: %w", err)
	}
	defer unix.Close(fd)
	if err := prepareRaw(fd, w); err != nil {
		return fmt.Errorf("set up raw socket: %w", err)
	}
	packet := w.Payload
	var errs []error
	for _, to := range w.To {
		if w.Source.Is4() {
			packet = ipv4Packet(w, to.Addr())
		}
		to = netip.AddrPortFrom(to.Addr(), 0)
		if err := unix.Sendto(fd, packet, unix.MSG_DONTWAIT, sockaddr(to, w.Interface)); err != nil {
			errs = append(errs, fmt.Errorf("send to %v: %w", to.Addr(), err))
		}
	}
	return errors.Join(errs...)
}

// prepareRaw makes packets leave by the interface, from the source and with the
// hop limit of the words.
func prepareRaw(fd int, w *Words) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, int(w.Interface)); err != nil {
		return os.NewSyscallError("setsockopt SO_BINDTOIFINDEX", err)
	}
	if w.Source.Is4() {
		return os.NewSyscallError("setsockopt IP_MULTICAST_LOOP", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0))
	}
	for option, value := range map[int]int{
		unix.IPV6_MULTICAST_HOPS: int(w.TTL),
		unix.IPV6_UNICAST_HOPS:   int(w.TTL),
		unix.IPV6_MULTICAST_LOOP: 0,
		unix.IPV6_TCLASS:         internetControl,
	} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, option, value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	err := unix.Bind(fd, &unix.SockaddrInet6{Addr: w.Source.As16(), ZoneId: w.Interface})
	return os.NewSyscallError("bind", err)
}

// ipv4Packet puts the header of RFC 791 in front. The kernel adds length,
// identification and checksum.
func ipv4Packet(w *Words, to netip.Addr) []byte {
	const header = 20
	b := make([]byte, header, header+len(w.Payload))
	src, dst := w.Source.As4(), to.As4()
	b[0] = 4<<4 | header/4
	b[1] = internetControl
	binary.BigEndian.PutUint16(b[2:], uint16(header+len(w.Payload)))
	b[8], b[9] = w.TTL, w.Protocol
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	return append(b, w.Payload...)
}
