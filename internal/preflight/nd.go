package preflight

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
)

// solicit asks for IPv6 addresses until ctx is done (RFC 4861 section 7.2). The
// questions come from an address of this machine: those of :: are answered to
// everybody, and would change the neighbours' caches.
func solicit(ctx context.Context, ifi *net.Interface, source netip.Addr, asked []netip.Addr, heard func(netip.Addr, net.HardwareAddr)) error {
	conn, err := openND(ifi, source)
	if err != nil {
		return err
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(d); err != nil {
			return err
		}
	}
	go repeat(ctx, asked, func(a netip.Addr) {
		_ = askND(conn, ifi, a) // the next one may get through
	})
	buf := make([]byte, 1500)
	for {
		size, control, _, err := conn.ReadRaw(buf)
		if err != nil {
			return nil // the window is over
		}
		if control == nil || control.HopLimit != ndp.HopLimit {
			continue // it was routed: RFC 4861 section 7.1.2
		}
		if addr, mac, ok := advertisement(buf[:size]); ok {
			heard(addr, mac)
		}
	}
}

// openND opens a socket that hears neighbour advertisements, and asks from source,
// or from a link-local address when there is none.
func openND(ifi *net.Interface, source netip.Addr) (*ndp.Conn, error) {
	from := ndp.LinkLocal
	if source.Is6() {
		from = ndp.Addr(source.WithZone("").String())
	}
	conn, addr, err := ndp.Listen(ifi, from)
	if err != nil {
		return nil, err
	}
	if addr.WithZone("").IsUnspecified() {
		conn.Close()
		return nil, errors.New("it has no link-local address")
	}
	var only ipv6.ICMPFilter
	only.SetAll(true)
	only.Accept(ipv6.ICMPTypeNeighborAdvertisement)
	if err := first(conn.SetICMPFilter(&only), conn.SetControlMessage(ipv6.FlagHopLimit, true)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func askND(conn *ndp.Conn, ifi *net.Interface, target netip.Addr) error {
	group, err := ndp.SolicitedNodeMulticast(target)
	if err != nil {
		return err
	}
	return conn.WriteTo(&ndp.NeighborSolicitation{
		TargetAddress: target,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: ifi.HardwareAddr}},
	}, nil, group)
}

// advertisement reads who has which address. An answer to a multicast question
// names its hardware address (RFC 4861 section 7.2.4).
func advertisement(b []byte) (netip.Addr, net.HardwareAddr, bool) {
	m, err := ndp.ParseMessage(b)
	if err != nil {
		return netip.Addr{}, nil, false
	}
	na, ok := m.(*ndp.NeighborAdvertisement)
	if !ok {
		return netip.Addr{}, nil, false
	}
	for _, o := range na.Options {
		if l, ok := o.(*ndp.LinkLayerAddress); ok && l.Direction == ndp.Target {
			return na.TargetAddress, l.Addr, true
		}
	}
	return netip.Addr{}, nil, false
}
