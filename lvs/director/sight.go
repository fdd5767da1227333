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
	// NotUp are the servers that are not seen up, in any order.
	NotUp []Glimpse
	// Servers are those that were asked for, and of NotUp those with the MostSeen lowest
	// keys at least; by Key.
	Servers []Seen
}

// MostSeen bounds what is told in full of servers that are not seen up, of which there
// may be ten thousands.
const MostSeen = 64

// Glimpse is a real server in short.
type Glimpse struct {
	Key     ServerKey
	Opinion Opinion
}

// ServerKey stands for a real server of a service. It is the same on every node, and
// has 47 bits.
type ServerKey uint64

// Seen is a real server as the checks of one node see it.
type Seen struct {
	Glimpse
	Service string
	Server  netip.AddrPort
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

// sight is what is seen of all servers, and of those of these keys in full.
func (c *core) sight(asked map[ServerKey]bool) Sight {
	type at struct {
		Glimpse
		*server
		service string
	}
	var (
		out   Sight
		first []at // of those that are not up, by key
		full  []at
	)
	byKey := func(a, b at) int { return cmp.Compare(a.Key, b.Key) }
	for _, p := range c.pools {
		if p.spec.HASuspend {
			continue
		}
		for _, s := range p.servers {
			out.Set += uint64(s.key)
			is := at{Glimpse{s.key, s.opinion()}, s, p.spec.Name}
			if is.Opinion != SeesUp {
				out.NotUp = append(out.NotUp, is.Glimpse)
			}
			switch {
			case asked[s.key]:
				full = append(full, is)
			case is.Opinion == SeesUp:
			case len(first) < MostSeen || s.key < first[MostSeen-1].Key:
				i, _ := slices.BinarySearchFunc(first, is, byKey)
				first = slices.Insert(first, i, is)
				first = first[:min(len(first), MostSeen)]
			}
		}
	}
	full = append(full, first...)
	slices.SortFunc(full, byKey)
	for _, s := range full {
		out.Servers = append(out.Servers, Seen{Glimpse: s.Glimpse, Service: s.service, Server: s.spec.Address, Reason: s.reason(), Settles: s.settles()})
	}
	return out
}

// opinion is what the checks say of the server.
func (s *server) opinion() Opinion {
	is := SeesUp
	for i := range s.checks {
		switch v := &s.checks[i].verdict; {
		case !v.Known:
			is = Unsure
		case !v.Up:
			return SeesDown
		}
	}
	return is
}

// settles is that of the check that takes longest.
func (s *server) settles() (longest time.Duration) {
	for i := range s.checks {
		longest = max(longest, check.Settles(s.checks[i].Checker, s.checks[i].Settings))
	}
	return longest
}
