package balance

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/lvs/director"
)

// Down are the real servers that were down when a process handed over (F26), by
// service. For the next one they are down until an attempt succeeds: a restart sends
// no client to a dead server.
type Down map[string][]netip.AddrPort

// handOverTime bounds the wait for what is handed over.
const handOverTime = time.Second

// HandOver says which real servers are down; none when that cannot be found out.
func (b *Balancer) HandOver() Down {
	s, _ := b.now()
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOverTime)
	defer cancel()
	services, err := s.director.Status(ctx)
	if err != nil {
		b.o.Log.Warn("it is not handed over which real servers are down", "err", err)
	}
	down := make(Down)
	for _, service := range services {
		for _, r := range service.Servers {
			if !r.Up && !r.Kept { // what is kept is out once its check has failed here again, if it must be
				down[service.Name] = append(down[service.Name], r.Address)
			}
		}
	}
	return down
}

// mark has the servers that are down begin so.
func (down Down) mark(d director.Desired) director.Desired {
	d.Services = slices.Clone(d.Services)
	for i := range d.Services {
		s := &d.Services[i]
		s.Servers = slices.Clone(s.Servers)
		for j := range s.Servers {
			r := &s.Servers[j]
			if !slices.Contains(down[s.Name], r.Address) {
				continue
			}
			r.Checks = slices.Clone(r.Checks)
			for k := range r.Checks {
				r.Checks[k].Alpha = true
			}
		}
	}
	return d
}
