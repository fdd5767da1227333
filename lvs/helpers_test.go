package lvs

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"pgregory.net/rapid"
)

func web(n int) Key {
	return Key{Protocol: TCP, Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 80)}
}

func backend(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 80)
}

// service is a service with servers 1, 2 and so on of these weights.
func service(n int, weights ...uint32) Service {
	s := Service{Key: web(n), Settings: Settings{Scheduler: "wlc"}}
	for i, w := range weights {
		s.Servers = append(s.Servers, Server{Address: backend(i + 1), Weight: w})
	}
	return s
}

func stateOf(services ...Service) []ServiceState {
	var states []ServiceState
	for _, s := range services {
		state := ServiceState{Key: s.Key, Settings: s.Settings}
		for _, r := range s.Servers {
			state.Servers = append(state.Servers, ServerState{Server: r})
		}
		states = append(states, state)
	}
	return states
}

func ownedBy(services ...Service) Owned {
	owned := make(Owned)
	for _, s := range services {
		owned[Entry{Service: s.Key}] = true
		for _, r := range s.Servers {
			owned[Entry{Service: s.Key, Server: r.Address}] = true
		}
	}
	return owned
}

func texts[S ~[]E, E fmt.Stringer](list S) []string {
	var s []string
	for _, e := range list {
		s = append(s, e.String())
	}
	return s
}

// genKey is one of few keys, so that tables overlap.
func genKey(t *rapid.T) Key {
	switch n := rapid.IntRange(1, 4).Draw(t, "n"); rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return Key{Mark: uint32(n), MarkFamily: IPv4}
	case 1:
		return Key{Mark: uint32(n), MarkFamily: IPv6}
	case 2:
		return Key{Protocol: UDP, Address: netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), uint16(n))}
	default:
		return web(n)
	}
}

func genServer(t *rapid.T, k Key) Server {
	s := Server{
		Address:        backend(rapid.IntRange(1, 5).Draw(t, "server")),
		Method:         rapid.SampledFrom([]Method{NAT, TUN, DR}).Draw(t, "method"),
		Weight:         rapid.SampledFrom([]uint32{0, 1, 70000, MaxWeight}).Draw(t, "weight"),
		UpperThreshold: rapid.SampledFrom([]uint32{0, 100}).Draw(t, "upper"),
	}
	if k.Family() == IPv6 {
		s.Address = netip.AddrPortFrom(netip.MustParseAddr("2001:db8:1::1"), s.Address.Port()+uint16(s.Address.Addr().As4()[3]))
	}
	if s.Method == TUN {
		s.Tunnel = rapid.SampledFrom([]Tunnel{{}, {Type: GUE, Port: 6080}, {Type: GRE}}).Draw(t, "tunnel")
	}
	return s
}

func genServices(t *rapid.T, label string) []Service {
	services := make(map[Key]Service)
	for range rapid.IntRange(0, 6).Draw(t, label) {
		k := genKey(t)
		s := Service{Key: k, Settings: Settings{
			Scheduler: rapid.SampledFrom([]string{"rr", "wlc", "mh"}).Draw(t, "scheduler"),
			Flags:     rapid.SampledFrom([]Flags{0, Flag2, Flag1 | Flag3}).Draw(t, "flags"),
			Persistence: rapid.SampledFrom([]Persistence{
				{}, {Timeout: time.Minute}, {Timeout: time.Minute, MaskBits: 24},
			}).Draw(t, "persistence"),
		}}
		for range rapid.IntRange(0, 4).Draw(t, "servers") {
			if r := genServer(t, k); !s.has(r.Address) {
				s.Servers = append(s.Servers, r)
			}
		}
		services[k] = s
	}
	var list []Service
	for _, s := range services {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Service) int { return a.Compare(b.Key) })
	return list
}
