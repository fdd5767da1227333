package preflight

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

// maxAsked is how many virtual addresses of a network are asked for.
const maxAsked = 128

// ask asks the neighbours on a network who has its virtual addresses, and who has
// the members' own: one machine that answers for all alike is the network itself.
func ask(ctx context.Context, n Network, peers []Peer, c *collector) error {
	ifi, err := net.InterfaceByName(n.Interface)
	if err != nil || len(ifi.HardwareAddr) != 6 {
		return err // other media have no such question
	}
	asked := slices.Clone(n.VIPs[:min(len(n.VIPs), maxAsked)])
	for _, p := range peers {
		for _, a := range p.Addrs {
			if a.Is6() == n.IPv6 {
				asked = append(asked, a)
			}
		}
	}
	heard := func(addr netip.Addr, mac net.HardwareAddr) {
		answer := Responder{n.Interface, addr, mac.String()}
		if !slices.Contains(asked, addr) {
			return
		}
		c.add(func(r *Report) {
			if !slices.Contains(r.Responders, answer) {
				r.Responders = append(r.Responders, answer)
			}
		})
	}
	if n.IPv6 {
		return solicit(ctx, ifi, n.Source, asked, heard)
	}
	return askARP(ctx, ifi, asked, heard)
}

// repeat sends all questions as often as test datagrams are sent. A question that
// is lost is asked again. It ends with ctx at the latest.
func repeat(ctx context.Context, asked []netip.Addr, send func(netip.Addr)) {
	for range sendTimes {
		for _, a := range asked {
			send(a)
		}
		select {
		case <-time.After(sendEvery):
		case <-ctx.Done():
			return
		}
	}
}
