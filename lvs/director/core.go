package director

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
)

// core is all pools. It is pure.
type core struct {
	pools  []*pool // as they were listed
	checks map[string]found
	held   map[netip.Addr]bool
	byHand Overrides
	agree  bool // see Desired
	others map[ServerKey]Others
	sync   []lvs.SyncDaemon
	drain  time.Duration
	numbering
}

// found is where a check stands.
type found struct {
	pool   int // in pools
	server *server
	check  int // in its checks
}

// numbering numbers checks. No number comes again, so that a verdict of a check
// that is gone is never taken for another one's.
type numbering struct{ last *uint64 }

// of returns what names the checks of a server.
func (n numbering) of(s *Service, r *Server) func(check.Checker) string {
	return func(c check.Checker) string {
		*n.last++
		return fmt.Sprintf("%s %v %s #%d", s.Name, r.Address, kind(c), *n.last)
	}
}

func newCore() *core { return &core{numbering: numbering{new(uint64)}} }

// news is what came in since the last step.
type news struct {
	desired  *Desired // nil: as before
	held     *map[netip.Addr]bool
	byHand   *Overrides
	others   *map[ServerKey]Others
	verdicts map[string]check.Verdict // by key: the newest
}

// orders are what follows from news.
type orders struct {
	table   *lvs.Desired  // all that is wanted; nil: what was, but for put
	put     []lvs.Service // of it, what changed
	checks  *[]check.Spec // all that shall run; nil: as before
	changes []Change
}

// step takes news and draws the consequences. What is wanted anew counts before
// verdicts.
func (c *core) step(now time.Time, n news) orders {
	var o orders
	rest := false // whether a service begins or ceases to be suspended
	if n.held != nil {
		rest = c.suspends(*n.held)
		c.held = *n.held
	}
	touched := make(map[int]bool)
	if n.byHand != nil {
		c.byHand = *n.byHand
		for i, p := range c.pools {
			if p.override(c.byHand) {
				touched[i] = true
			}
		}
	}
	if n.others != nil {
		c.others = *n.others
		for i, p := range c.pools {
			if p.hear(c.agree, c.others) {
				touched[i] = true
			}
		}
	}
	if n.desired != nil {
		o.changes = c.reload(now, n.desired)
		for i := range c.pools {
			touched[i] = true
		}
	}
	for key, v := range n.verdicts {
		if f, ok := c.checks[key]; ok {
			f.server.checks[f.check].verdict = v
			touched[f.pool] = true
		}
	}
	for _, i := range slices.Sorted(maps.Keys(touched)) {
		p := c.pools[i]
		if p.wanted == nil {
			o.changes = append(o.changes, p.begin(now))
			continue
		}
		changes, changed := p.step(now)
		o.changes = append(o.changes, changes...)
		if changed && n.desired == nil {
			o.put = append(o.put, p.wanted...)
		}
	}
	if n.desired != nil {
		o.table = c.table()
	}
	if n.desired != nil || rest {
		o.checks = c.wantedChecks()
	}
	return o
}

// reload takes over a new configuration, and tells of what is not in it.
func (c *core) reload(now time.Time, d *Desired) []Change {
	before := make(map[string]*pool, len(c.pools))
	for _, p := range c.pools {
		before[p.spec.Name] = p
	}
	was := c.pools
	c.sync, c.drain, c.agree = d.Sync, d.Drain, d.Agree
	c.pools = make([]*pool, len(d.Services))
	c.checks = make(map[string]found, len(c.checks))
	var changes []Change
	for i := range d.Services {
		spec := &d.Services[i]
		p := cmp.Or(before[spec.Name], &pool{})
		delete(before, spec.Name)
		changes = append(changes, p.reload(now, spec, c.byHand, c.numbering)...)
		p.hear(c.agree, c.others)
		c.pools[i] = p
		for _, s := range p.servers {
			for j := range s.checks {
				c.checks[s.checks[j].verdict.Key] = found{i, s, j}
			}
		}
	}
	for _, p := range was {
		if before[p.spec.Name] == p {
			changes = append(changes, p.farewell(now, "it is not configured any more")...)
		}
	}
	return changes
}

// farewell tells what is to be told when the director stops.
func (c *core) farewell(now time.Time) []Change {
	var changes []Change
	for _, p := range c.pools {
		if p.spec.Omega {
			changes = append(changes, p.farewell(now, "the director stops")...)
		}
	}
	return changes
}

// table is all that is wanted in the kernel.
func (c *core) table() *lvs.Desired {
	d := lvs.Desired{Sync: c.sync, Drain: c.drain}
	for _, p := range c.pools {
		d.Services = append(d.Services, p.wanted...)
	}
	return &d
}

// suspends reports whether holding these addresses suspends other services.
func (c *core) suspends(held map[netip.Addr]bool) bool {
	return slices.ContainsFunc(c.pools, func(p *pool) bool {
		return p.spec.suspended(held) != p.spec.suspended(c.held)
	})
}

// wantedChecks are all checks that shall run.
func (c *core) wantedChecks() *[]check.Spec {
	specs := make([]check.Spec, 0, len(c.checks))
	for _, p := range c.pools {
		suspended := p.spec.suspended(c.held)
		for _, s := range p.servers {
			for _, h := range s.checks {
				specs = append(specs, check.Spec{Key: h.verdict.Key, Checker: h.Checker, Settings: h.Settings, Suspended: suspended})
			}
		}
	}
	return &specs
}
