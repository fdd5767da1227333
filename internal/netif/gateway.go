package netif

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// probeDst4 and probeDst6 are looked up to find the way out of a network: the
// first was an anycast address that nobody has any more (RFC 7526), the second
// was never given to anybody.
var (
	probeDst4 = netip.AddrFrom4([4]byte{192, 88, 99, 1})
	probeDst6 = netip.MustParseAddr("2000::1")
)

// Gateway is the machine on the interface's network to which the default route
// there leads; the zero address: there is none.
func (a *Addresses) Gateway(iface string, f Family) (netip.Addr, error) {
	dst := probeDst4
	if f == IPv6 {
		dst = probeDst6
	}
	index, err := a.index.of(iface)
	if err != nil {
		return netip.Addr{}, err
	}
	routes, err := a.routes.RouteGetWithOptions(dst.AsSlice(), &netlink.RouteGetOptions{OifIndex: index})
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return netip.Addr{}, nil
	case err != nil:
		return netip.Addr{}, fmt.Errorf("find the gateway on %s: %w", iface, err)
	}
	for _, r := range routes {
		if gw, ok := netip.AddrFromSlice(r.Gw); ok && r.LinkIndex == index {
			return gw.Unmap(), nil
		}
	}
	return netip.Addr{}, nil
}
