package balance

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/lvs/director"
)

// Known is what a process knows when it hands over (F26). For the next one a server that
// was down is down until an attempt succeeds: a restart sends no client to a dead server.
// What was told of it and of quorum is no news then, and runs no script again.
type Known struct {
	// ServersDown are the real servers that were told to be down, by service.
	ServersDown map[string][]netip.AddrPort `json:",omitempty"`
	// Quorum is whether each service was told to have it.
	Quorum map[string]bool `json:",omitempty"`
}

// handOverTime bounds the wait for what is handed over.
const handOverTime = time.Second

// HandOver says what is known; nothing when that cannot be found out.
func (b *Balancer) HandOver() Known {
	s, _ := b.now()
	if s == nil {
		return Known{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOverTime)
	defer cancel()
	services, err := s.director.Status(ctx)
	if err != nil {
		b.o.Log.Warn("it is not handed over which real servers are down", "err", err)
	}
	k := Known{ServersDown: make(map[string][]netip.AddrPort), Quorum: make(map[string]bool, len(services))}
	for _, service := range services {
		k.Quorum[service.Name] = service.Quorum
		for _, r := range service.Servers {
			// What is kept is out once its check has failed here again, if it must be.
			if !r.Up && !r.Kept && r.Told {
				k.ServersDown[service.Name] = append(k.ServersDown[service.Name], r.Address)
			}
		}
	}
	return k
}

// mark has services and servers begin as they were told.
func (k Known) mark(d director.Desired) director.Desired {
	d.Services = slices.Clone(d.Services)
	for i := range d.Services {
		s := &d.Services[i]
		if quorum, told := k.Quorum[s.Name]; told {
			s.ToldQuorum = &quorum
		}
		s.Servers = slices.Clone(s.Servers)
		for j := range s.Servers {
			r := &s.Servers[j]
			r.ToldDown = slices.Contains(k.ServersDown[s.Name], r.Address)
		}
	}
	return d
}
