package director

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
)

// many is 10,000 services with two servers each.
func many() Desired {
	var d Desired
	for i := range 10_000 {
		s := web(1, 1)
		s.Name = fmt.Sprint("web", i)
		s.Keys = []lvs.Key{address(1, 1+i)}
		d.Services = append(d.Services, s)
	}
	return d
}

// BenchmarkVerdict is one server of 20,000 that goes down or comes up.
func BenchmarkVerdict(b *testing.B) {
	c, d := newCore(), many()
	o := c.step(time.Time{}, news{desired: &d})
	key := (*o.checks)[5000].Key
	up := true
	for b.Loop() {
		up = !up
		if o := c.step(time.Time{}, news{verdicts: map[string]check.Verdict{key: {Key: key, Up: up}}}); len(o.put) != 1 {
			b.Fatalf("%d services put, want 1", len(o.put))
		}
	}
}

// BenchmarkReload is a reload that changes one of 10,000 services.
func BenchmarkReload(b *testing.B) {
	c, d := newCore(), many()
	c.step(time.Time{}, news{desired: &d})
	for b.Loop() {
		next := d
		next.Services = slices.Clone(d.Services)
		next.Services[5000].Scheduler = "rr"
		c.step(time.Time{}, news{desired: &next})
	}
}

// BenchmarkSight is a look at 20,000 servers that are all up, and at as many of which
// nothing is known yet.
func BenchmarkSight(b *testing.B) {
	for _, known := range []bool{true, false} {
		b.Run(fmt.Sprintf("known=%v", known), func(b *testing.B) {
			c, d := newCore(), many()
			c.step(time.Time{}, news{desired: &d})
			for _, f := range c.checks {
				f.server.checks[f.check].verdict = check.Verdict{Up: true, Known: known}
			}
			for b.Loop() {
				c.sight(nil)
			}
		})
	}
}
