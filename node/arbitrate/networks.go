package arbitrate

import (
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/netif"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// WayOut is one network of this node.
type WayOut struct {
	Interface string
	Family    netif.Family
}

// WaysOut are the networks that units serve on, whose gateways Networks wants.
func WaysOut(state desired.State) []WayOut {
	var out []WayOut
	for _, u := range state.Units {
		for _, inst := range u.Spec.Instances {
			for _, a := range inst.Addresses {
				if way := (WayOut{a.Interface, netif.Family(inst.Family)}); !slices.Contains(out, way) {
					out = append(out, way)
				}
			}
		}
	}
	return out
}

// Networks are where each unit serves, by its name, with whom it can ask there:
// from the links of this node, by name, and the gateways of its networks.
func Networks(state desired.State, links map[string]netif.LinkState, gateways map[WayOut]netip.Addr) map[string][]splitbrain.Network {
	s := surroundings{named: state.Mesh.GatewayProbe, links: links, gateways: gateways, vips: make(map[netip.Addr]bool)}
	for _, addrs := range state.VirtualAddresses() {
		for _, a := range addrs {
			s.vips[a] = true
		}
	}
	networks := make(map[string][]splitbrain.Network, len(state.Units))
	for _, u := range state.Units {
		var list []splitbrain.Network
		for i := range u.Spec.Instances {
			list = s.serves(list, &u.Spec.Instances[i])
		}
		networks[u.Spec.Name] = list
	}
	return networks
}

// surroundings are what the networks of all units have in common.
type surroundings struct {
	named    []netip.Addr // gateways that the document names
	links    map[string]netif.LinkState
	gateways map[WayOut]netip.Addr
	vips     map[netip.Addr]bool
}

// serves appends where an instance serves.
func (s *surroundings) serves(list []splitbrain.Network, inst *vrrp.InstanceSpec) []splitbrain.Network {
	for _, a := range slices.Concat(inst.Addresses, inst.Excluded) {
		addr := a.Prefix.Addr()
		at := slices.IndexFunc(list, func(n splitbrain.Network) bool {
			return n.Interface == a.Interface && n.VIPs[0].Is6() == addr.Is6()
		})
		if at >= 0 {
			list[at].VIPs = append(list[at].VIPs, addr)
			continue
		}
		list = append(list, s.network(a, inst.Family))
	}
	return list
}

// network is that of the first address that is served there.
func (s *surroundings) network(a vrrp.Address, family vrrp.Family) splitbrain.Network {
	addr := a.Prefix.Addr()
	n := splitbrain.Network{Interface: a.Interface, VIPs: []netip.Addr{addr}}
	for _, own := range s.links[a.Interface].Addrs {
		if own.Addr().Is6() != addr.Is6() {
			continue
		}
		n.Subnets = append(n.Subnets, own.Masked())
		if !n.Source.IsValid() && !s.vips[own.Addr()] {
			n.Source = own.Addr().WithZone("")
		}
	}
	for _, g := range s.named {
		if on := slices.ContainsFunc(n.Subnets, func(s netip.Prefix) bool { return s.Contains(g) }); on && !s.vips[g] {
			n.Gateways, n.Named = append(n.Gateways, g), true
		}
	}
	// The way out may be one of our own addresses: the holder would ask
	// itself (S54).
	if g := s.gateways[WayOut{a.Interface, netif.Family(family)}]; len(s.named) == 0 && g.IsValid() && !s.vips[g] {
		n.Gateways = []netip.Addr{g}
	}
	return n
}
