package director

import (
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/lvs"
)

// share is what a server has of a service: how it is judged by its checks.
type share struct {
	up     bool
	weight uint32 // that it has when it is up
	drains bool   // it has weight 0 by hand
	kept   bool   // it is down by its checks, and up only by what other directors see
}

// table returns what is wanted in the kernel, given the shares of the servers, in
// their order, and whether there is quorum. The sorry server may be one of the
// real servers: then it has that one's place.
func (s *Service) table(shares []share, quorum bool) []lvs.Service {
	sorry := s.Sorry != nil && !quorum
	servers := make([]lvs.Server, 0, len(s.Servers)+1)
	for i := range s.Servers {
		server, inhibit := s.Servers[i].Server, s.Servers[i].Inhibit
		server.Weight = shares[i].weight
		isSorry := s.Sorry != nil && server.Address == s.Sorry.Address
		switch down := sorry || !shares[i].up; {
		case sorry && isSorry:
			server = s.Sorry.Server
		case down && (inhibit || isSorry && s.Sorry.Inhibit || shares[i].up && shares[i].drains):
			server.Weight = 0
		case down:
			continue
		}
		servers = append(servers, server)
	}
	if s.Sorry != nil && (sorry || s.Sorry.Inhibit) && find(servers, s.Sorry.Address) < 0 {
		server := s.Sorry.Server
		if !sorry {
			server.Weight = 0
		}
		servers = append(servers, server)
	}
	return s.spread(servers)
}

// spread gives the servers to each key. Keys share what is the same for them.
func (s *Service) spread(servers []lvs.Server) []lvs.Service {
	services := make([]lvs.Service, 0, len(s.Keys))
	for _, k := range s.Keys {
		own := servers
		for i, server := range servers {
			if at := place(server, k); at != server.Address {
				if &own[0] == &servers[0] {
					own = slices.Clone(servers)
				}
				own[i].Address = at
			}
		}
		services = append(services, lvs.Service{Key: k, Settings: s.Settings, Servers: own})
	}
	return services
}

// place is where a service has a server: one without a port, and one that gets
// packets with the port that they have, has the service's.
func place(server lvs.Server, k lvs.Key) netip.AddrPort {
	if k.Mark != 0 || server.Method == lvs.NAT && server.Address.Port() != 0 {
		return server.Address
	}
	return netip.AddrPortFrom(server.Address.Addr(), k.Address.Port())
}

func find(servers []lvs.Server, addr netip.AddrPort) int {
	return slices.IndexFunc(servers, func(s lvs.Server) bool { return s.Address == addr })
}

// sameTable reports whether two tables are written alike.
func sameTable(a, b []lvs.Service) bool {
	return slices.EqualFunc(a, b, func(a, b lvs.Service) bool {
		return a.Key == b.Key && a.Settings == b.Settings && slices.Equal(a.Servers, b.Servers)
	})
}
