package director

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/lvs/check"
)

// Sight is what the checks of this node say of its real servers. Services with
// ha_suspend are not in it: only who holds their addresses checks them.
type Sight struct {
	// Set stands for which servers are looked at: two nodes with the same one look at
	// the same servers of the same services. 0: at none.
	Set uint64
	// Servers are those that are not seen up, and those that were asked for, by Key.
	Servers []Seen
}

// ServerKey stands for a real server of a service. It is the same on every node, and
// has 47 bits.
type ServerKey uint64

// Seen is a real server as the checks of one node see it.
type Seen struct {
	Key     ServerKey
	Service string
	Server  netip.AddrPort
	Opinion Opinion
	Reason  string
	// Settles bounds how long after a change of the server directors may not agree
	// about it, because they look at it one after the other.
	Settles time.Duration
}

// Opinion is what the checks of a node say of a real server.
type Opinion uint8

// Opinions.
const (
	Unsure   Opinion = iota // not all checks are made
	SeesUp                  // by all checks
	SeesDown                // by one at least
)

// KeyOf is the key of a real server of a service.
func KeyOf(service string, server netip.AddrPort) ServerKey {
	h := fnv.New64a()
	h.Write([]byte(service)) // never fails
	at := server.Addr().As16()
	h.Write(binary.BigEndian.AppendUint16(append([]byte{0}, at[:]...), server.Port()))
	return ServerKey(h.Sum64() >> 17)
}

// sight is what is seen of the servers that are not seen up, and of those of these
// keys.
func (c *core) sight(asked map[ServerKey]bool) Sight {
	var out Sight
	for _, p := range c.pools {
		if p.spec.HASuspend {
			continue
		}
		for _, s := range p.servers {
			out.Set += uint64(s.key)
			if o := s.opinion(); o != SeesUp || asked[s.key] {
				out.Servers = append(out.Servers, Seen{
					Key: s.key, Service: p.spec.Name, Server: s.spec.Address, Opinion: o, Reason: s.reason(), Settles: s.settles(),
				})
			}
		}
	}
	slices.SortFunc(out.Servers, func(a, b Seen) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// opinion is what the checks say of the server.
func (s *server) opinion() Opinion {
	switch {
	case s.found(func(v check.Verdict) bool { return v.Known && !v.Up }):
		return SeesDown
	case !s.known():
		return Unsure
	}
	return SeesUp
}

// settles is that of the check that takes longest.
func (s *server) settles() (longest time.Duration) {
	for i := range s.checks {
		longest = max(longest, check.Settles(s.checks[i].Checker, s.checks[i].Settings))
	}
	return longest
}
