package mmsg

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sockaddr is an address as a socket of IPv4 alone or of IPv6 wants it: the latter
// takes IPv4 in the IPv6 form.
func Sockaddr(to netip.AddrPort, ipv4 bool) (name unix.RawSockaddrInet6) {
	if !ipv4 {
		return unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swapped(to.Port()), Addr: to.Addr().As16()}
	}
	v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&name))
	*v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swapped(to.Port()), Addr: to.Addr().Unmap().As4()}
	return name
}

// addrPort is the address that the kernel has written.
func addrPort(name *unix.RawSockaddrInet6) netip.AddrPort {
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
