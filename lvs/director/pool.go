package director

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/lvs"
)

// noScript is what is run where nothing is.
var noScript run.Command

// pool is one service with all that is known of it.
type pool struct {
	spec    *Service
	servers []*server // in the order of spec
	quorum  bool      // the latch
	since   time.Time // when quorum was gained or lost
	wanted  []lvs.Service
}

// weight is that of all servers that are up.
func (p *pool) weight() uint64 {
	var sum uint64
	for _, s := range p.servers {
		if s.up {
			sum += uint64(s.weight)
		}
	}
	return sum
}

// latched reports whether there is quorum at this weight, if there was or was not
// before.
func (s *Service) latched(before bool, weight uint64) bool {
	if before {
		return weight >= s.quorum()-uint64(s.Hysteresis)
	}
	return weight >= s.quorum()+uint64(s.Hysteresis)
}

// begin is the first step of a pool. It tells whether there is quorum.
func (p *pool) begin(now time.Time) Change {
	told := p.spec.ToldQuorum
	p.since = now
	p.quorum = p.spec.latched(told != nil && *told, p.weight())
	p.render()
	c := p.change(now)
	if told != nil && *told == p.quorum {
		c = c.again()
	}
	return c
}

// step draws the consequences of what changed and tells them. changed: something
// else is wanted in the kernel.
func (p *pool) step(now time.Time) (changes []Change, changed bool) {
	for _, s := range p.servers {
		changes = s.step(now, p.spec.Name, changes)
	}
	if q := p.spec.latched(p.quorum, p.weight()); q != p.quorum {
		p.quorum, p.since = q, now
		changes = append(changes, p.change(now))
	}
	return changes, p.render()
}

// change says whether there is quorum by now.
func (p *pool) change(now time.Time) Change {
	c := Change{Kind: QuorumGained, Service: p.spec.Name, Weight: p.weight(), Reason: p.reason(), Alert: p.spec.Alert, Script: p.spec.QuorumUp, At: now}
	if !p.quorum {
		c.Kind, c.Script = QuorumLost, p.spec.QuorumDown
	}
	return c
}

// reason is what it rests on that there is quorum or none.
func (p *pool) reason() string {
	reason := fmt.Sprintf("the servers that are up have weight %d, quorum is %d", p.weight(), p.spec.quorum())
	if p.spec.Hysteresis > 0 {
		reason += fmt.Sprintf(" with hysteresis %d", p.spec.Hysteresis)
	}
	return reason
}

// render writes anew what is wanted, and reports whether it is something else.
func (p *pool) render() bool {
	shares := make([]share, len(p.servers))
	for i, s := range p.servers {
		shares[i] = s.share
	}
	before := p.wanted
	p.wanted = p.spec.table(shares, p.quorum)
	return !sameTable(before, p.wanted)
}

// farewell tells that all is down, for nobody looks after it any more.
func (p *pool) farewell(now time.Time, reason string) []Change {
	var changes []Change
	for _, s := range p.servers {
		changes = s.farewell(now, p.spec.Name, reason, changes)
	}
	if p.quorum {
		p.quorum, p.since = false, now
		c := p.change(now)
		c.Reason = reason
		changes = append(changes, c)
	}
	return changes
}

// override takes over the weights given by hand, and reports whether one changed.
func (p *pool) override(all Overrides) (changed bool) {
	for _, s := range p.servers {
		was := s.byHand
		s.byHand = all.of(p.spec.Name, s.spec.Address)
		changed = changed || (was == nil) != (s.byHand == nil) || was != nil && *was != *s.byHand
	}
	return changed
}

// reload takes over a new configuration, and tells of servers that are not in it.
func (p *pool) reload(now time.Time, spec *Service, byHand Overrides, number numbering) []Change {
	before := make(map[netip.AddrPort]*server, len(p.servers))
	for _, s := range p.servers {
		before[s.spec.Address] = s
	}
	was := p.servers
	p.spec, p.servers = spec, make([]*server, len(spec.Servers))
	for i := range spec.Servers {
		r := &spec.Servers[i]
		s, known := before[r.Address]
		delete(before, r.Address)
		if !known {
			s = &server{key: KeyOf(spec.Name, r.Address), since: now}
		}
		s.byHand = byHand.of(spec.Name, r.Address)
		s.reload(now, r, number.of(spec, r))
		if !known {
			s.share = s.judge()
			s.untold = !s.up
			s.toldDown = r.ToldDown
		}
		p.servers[i] = s
	}
	var changes []Change
	for _, s := range was {
		if before[s.spec.Address] == s {
			changes = s.farewell(now, spec.Name, "it is not configured any more", changes)
		}
	}
	return changes
}
