package lvs

import (
	"net/netip"
	"time"
)

// drains are the servers that are on their way out, by service, and when each
// of them goes at the latest.
type drains map[Key]map[netip.AddrPort]time.Time

// keep returns what must be there of service k at time now: what is wanted, and
// with weight 0 each owned server that is not wanted any more but may keep its
// connections for up to limit. It notes those and forgets all others. atOnce: what
// was wanted until now goes without that, and only what was going before stays.
//
// A server goes in two steps even if it has no connections: only when its weight
// is 0 is none on its way. So between two calls have must be read anew.
func (d drains) keep(now time.Time, k Key, want *Service, have *ServiceState, owned Owned, limit time.Duration, atOnce bool) *Service {
	before := d[k]
	delete(d, k)
	if have == nil {
		return want
	}
	var kept []Server
	going := make(map[netip.AddrPort]time.Time)
	for i := range have.Servers {
		s := &have.Servers[i]
		if want != nil && want.has(s.Address) || !owned[Entry{Service: k, Server: s.Address}] {
			continue
		}
		due, draining := before[s.Address]
		switch latest := now.Add(limit); {
		case !draining && atOnce:
			due = now
		case !draining || latest.Before(due): // the limit may be another one by now
			due = latest
		}
		if !now.Before(due) || draining && s.Weight == 0 && s.Connections.Active == 0 && s.Connections.Inactive == 0 {
			continue
		}
		going[s.Address] = due
		last := s.Server
		last.Weight = 0
		kept = append(kept, last)
	}
	if len(kept) == 0 {
		return want
	}
	d[k] = going
	if want == nil {
		return &Service{Key: k, Settings: have.Settings, Servers: kept}
	}
	with := *want
	with.Servers = append(with.Servers[:len(with.Servers):len(with.Servers)], kept...)
	return &with
}
