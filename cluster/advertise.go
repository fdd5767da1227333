package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// AdvertiseAddr is where the other members reach this node: what --advertise
// says, host or host:port, else the source address of the default route. The port
// is that of --listen by default. It is the zero value when there is none: init and
// join then ask for it.
func AdvertiseAddr(listen, advertise string) (netip.AddrPort, error) {
	_, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--listen %s: %w", listen, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, fmt.Errorf("--listen %s: port %s is not 1 to 65535", listen, portText)
	}
	if advertise != "" {
		if ap, err := netip.ParseAddrPort(advertise); err == nil {
			return ap, nil
		}
		addr, err := netip.ParseAddr(advertise)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("--advertise %s is not an address or address:port", advertise)
		}
		return netip.AddrPortFrom(addr, uint16(port)), nil
	}
	// Connecting a UDP socket asks the routing table and sends nothing.
	for _, far := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		c, err := net.Dial("udp", far)
		if err != nil {
			continue
		}
		local := c.LocalAddr().(*net.UDPAddr).AddrPort()
		c.Close()
		return netip.AddrPortFrom(local.Addr().Unmap(), uint16(port)), nil
	}
	return netip.AddrPort{}, nil
}
