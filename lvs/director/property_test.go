package director

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
)

// Whatever the order of verdicts, reloads and holding: what is wanted is what the
// rules say of the configuration, the verdicts and the latch of quorum; only what
// differs is put; all is told, and a reload takes no server down.
func TestAnyOrderOfNewsKeepsTheTable(t *testing.T) { rapid.Check(t, anyOrder) }

func FuzzCore(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anyOrder)) }

func anyOrder(t *rapid.T) {
	w := &witness{
		T: t, core: newCore(),
		table: map[lvs.Key]lvs.Service{}, verdicts: map[string]check.Verdict{}, quorum: map[string]bool{}, up: map[string]bool{}, untold: map[string]bool{},
	}
	w.step(news{desired: drawDesired(t)})
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		switch rapid.IntRange(0, 9).Draw(t, "news") {
		case 0:
			w.step(news{desired: drawDesired(t)})
		case 1:
			held := drawHeld(t)
			w.step(news{held: &held})
		case 2:
			held := drawHeld(t)
			w.step(news{desired: drawDesired(t), held: &held, verdicts: w.drawVerdicts()})
		default:
			w.step(news{verdicts: w.drawVerdicts()})
		}
	}
}

// witness knows what came in and follows a core's orders.
type witness struct {
	*rapid.T
	core     *core
	desired  Desired
	held     map[netip.Addr]bool
	checks   []check.Spec
	verdicts map[string]check.Verdict // as a scheduler has them
	table    map[lvs.Key]lvs.Service  // as a reconciler has it
	quorum   map[string]bool          // the latch of each service
	up       map[string]bool          // servers, as told
	untold   map[string]bool          // servers that began down
}

func (w *witness) step(n news) {
	o := w.core.step(time.Time{}, n)
	if n.desired != nil {
		w.desired = *n.desired
	}
	if n.held != nil {
		w.held = *n.held
	}
	w.followChecks(n, o)
	for key, v := range n.verdicts {
		if _, ok := w.verdicts[key]; ok {
			w.verdicts[key] = v
		}
	}
	want := w.oracle()
	w.followTable(n, o, want)
	w.followChanges(n, o)

	// The same news again is none.
	again := w.core.step(time.Time{}, n)
	if len(again.put) > 0 || len(again.changes) > 0 {
		w.Fatalf("the same again: put %v, told %v", again.put, again.changes)
	}
	if diff := cmp.Diff(o.checks, again.checks, cmpopts.EquateEmpty()); n.desired != nil && diff != "" {
		w.Fatalf("the same again: checks (-before +now):\n%s", diff)
	}
}

// followChecks is the scheduler's part: a new check begins up, or with alpha down.
func (w *witness) followChecks(n news, o orders) {
	if o.checks == nil {
		if n.desired != nil {
			w.Fatal("a reload without checks")
		}
	} else {
		w.checks = *o.checks
		before := w.verdicts
		w.verdicts = make(map[string]check.Verdict)
		for _, c := range w.checks {
			v, ok := before[c.Key]
			if !ok {
				v = check.Verdict{Key: c.Key, Up: !c.Alpha}
			}
			if _, twice := w.verdicts[c.Key]; twice {
				w.Fatalf("check %s is there twice", c.Key)
			}
			w.verdicts[c.Key] = v
		}
	}
	i := 0
	for s, r := range w.servers() {
		for _, c := range r.Checks {
			got := w.checks[i]
			if got.Checker != c.Checker || got.Retry != c.Retry || got.Suspended != s.suspended(w.held) {
				w.Fatalf("check %d is %+v, want %v suspended %v", i, got, c, s.suspended(w.held))
			}
			i++
		}
	}
}

// servers are all servers as they are configured, with their services.
func (w *witness) servers() func(func(*Service, *Server) bool) {
	return func(yield func(*Service, *Server) bool) {
		for i := range w.desired.Services {
			s := &w.desired.Services[i]
			for j := range s.Servers {
				if !yield(s, &s.Servers[j]) {
					return
				}
			}
		}
	}
}

// oracle says what the rules want in the table, in the plainest words, and moves
// the latches.
func (w *witness) oracle() map[lvs.Key]lvs.Service {
	next := 0
	latches := make(map[string]bool)
	table := make(map[lvs.Key]lvs.Service)
	for _, s := range w.desired.Services {
		sum := 0
		alive := make(map[netip.AddrPort]int) // weight
		for _, r := range s.Servers {
			up, weight := true, int(r.Weight)
			for range r.Checks {
				v := w.verdicts[w.checks[next].Key]
				up = up && v.Up
				if v.Weight.Op == check.WeightSet {
					weight += v.Weight.Value - int(r.Weight)
				} else {
					weight += v.Weight.Value
				}
				next++
			}
			if up {
				alive[r.Address] = max(0, weight)
				sum += max(0, weight)
			}
		}
		quorum, hysteresis := max(1, int(s.Quorum)), int(s.Hysteresis)
		lost := sum < quorum+hysteresis
		if w.quorum[s.Name] {
			lost = sum < quorum-hysteresis
		}
		latches[s.Name] = !lost

		weights := make(map[netip.AddrPort]int)
		for _, r := range s.Servers {
			weight, up := alive[r.Address]
			switch {
			case up && (!lost || s.Sorry == nil):
				weights[r.Address] = weight
			case r.Inhibit:
				weights[r.Address] = 0
			}
		}
		if s.Sorry != nil {
			_, there := weights[s.Sorry.Address]
			if lost {
				weights[s.Sorry.Address] = int(s.Sorry.Weight)
			} else if s.Sorry.Inhibit && !there {
				weights[s.Sorry.Address] = 0
			}
		}
		for _, k := range s.Keys {
			service := lvs.Service{Key: k, Settings: s.Settings}
			for addr, weight := range weights {
				service.Servers = append(service.Servers, lvs.Server{Address: addr, Weight: uint32(weight)})
			}
			table[k] = service
		}
	}
	w.quorum = latches
	return table
}

// followTable is the reconciler's part. Nothing is put that was there already.
func (w *witness) followTable(n news, o orders, want map[lvs.Key]lvs.Service) {
	if (o.table != nil) != (n.desired != nil) || o.table != nil && len(o.put) > 0 {
		w.Fatalf("reload %v: whole table %v, %d put", n.desired != nil, o.table != nil, len(o.put))
	}
	before := w.table
	if o.table != nil {
		if err := o.table.Validate(); err != nil {
			w.Fatal(err)
		}
		w.table = make(map[lvs.Key]lvs.Service)
		for _, s := range o.table.Services {
			w.table[s.Key] = s
		}
	}
	for _, s := range o.put {
		if cmp.Equal(s, before[s.Key], anyServers) {
			w.Fatalf("put without a change: %v", s)
		}
		w.table[s.Key] = s
	}
	if diff := cmp.Diff(want, w.table, anyServers); diff != "" {
		w.Fatalf("wanted (-want +got):\n%s", diff)
	}
}

// anyServers compares servers in any order.
var anyServers = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.EquateComparable(lvs.Key{}, lvs.Server{}),
	cmpopts.SortSlices(func(a, b lvs.Server) bool { return a.Address.Compare(b.Address) < 0 }),
}

// followChanges checks that what was told is what is, and that a reload alone
// takes no server down that is still configured.
func (w *witness) followChanges(n news, o orders) {
	before := maps.Clone(w.up)
	for _, c := range o.changes {
		server := c.Service + " " + c.Server.String()
		switch c.Kind {
		case ServerUp, ServerDown:
			if before[server] == (c.Kind == ServerUp) && !w.untold[server] {
				w.Fatalf("%v of %s, which was so", c.Kind, server)
			}
			delete(w.untold, server)
			before[server] = c.Kind == ServerUp
		case ServerWeight:
			if !before[server] {
				w.Fatalf("%v of %s, which is down", c.Kind, server)
			}
		}
	}
	now := make(map[string]bool)
	for _, p := range w.core.pools {
		if p.quorum != w.quorum[p.spec.Name] {
			w.Fatalf("quorum of %s = %v", p.spec.Name, p.quorum)
		}
		for _, s := range p.servers {
			server := p.spec.Name + " " + s.spec.Address.String()
			now[server] = s.up
			was, known := w.up[server]
			if !known && !s.up {
				w.untold[server] = true
			}
			if w.untold[server] && s.found(func(v check.Verdict) bool { return v.Known && !v.Up }) {
				w.Fatalf("%s was found down and nobody was told", server)
			}
			if known && s.up != before[server] {
				w.Fatalf("%s is up %v, told %v", server, s.up, before[server])
			}
			if was && !s.up && len(n.verdicts) == 0 {
				w.Fatalf("%s went down without a verdict", server)
			}
		}
	}
	for server, was := range w.up {
		if _, there := now[server]; !there && was && before[server] {
			w.Fatalf("%s is gone and was not told down", server)
		}
	}
	maps.DeleteFunc(w.untold, func(server string, _ bool) bool { _, there := now[server]; return !there })
	w.up = now
}

func (w *witness) drawVerdicts() map[string]check.Verdict {
	verdicts := make(map[string]check.Verdict)
	for range rapid.IntRange(0, 3).Draw(w.T, "verdicts") {
		key := "gone"
		if len(w.checks) > 0 {
			key = rapid.SampledFrom(w.checks).Draw(w.T, "check").Key
		}
		verdicts[key] = check.Verdict{
			Key: key, Up: rapid.Bool().Draw(w.T, "up"), Known: true,
			Weight: rapid.SampledFrom([]check.Weight{
				{}, {Op: check.WeightSet}, {Op: check.WeightSet, Value: 3}, {Op: check.WeightAdjust, Value: 1}, {Op: check.WeightAdjust, Value: -2},
			}).Draw(w.T, "weight"),
		}
	}
	return verdicts
}

func drawHeld(t *rapid.T) map[netip.Addr]bool {
	held := make(map[netip.Addr]bool)
	for n := range 2 {
		held[address(n+1, 80).Address.Addr()] = rapid.Bool().Draw(t, "held")
	}
	return held
}

func drawDesired(t *rapid.T) *Desired {
	d := &Desired{}
	for _, n := range rapid.SampledFrom([][]int{{1}, {1, 2}, {2, 1}, {2}, {}}).Draw(t, "services") {
		s := Service{
			Name: fmt.Sprint("web", n),
			Keys: []lvs.Key{address(n, 80)},
			Settings: lvs.Settings{
				Scheduler: rapid.SampledFrom([]string{"rr", "wlc"}).Draw(t, "scheduler"),
			},
			Quorum:    rapid.Uint32Range(0, 4).Draw(t, "quorum"),
			HASuspend: rapid.Bool().Draw(t, "ha_suspend"),
		}
		if rapid.Bool().Draw(t, "group") {
			s.Keys = append(s.Keys, address(n, 443))
		}
		s.Hysteresis = rapid.Uint32Range(0, uint32(s.quorum())-1).Draw(t, "hysteresis")
		if rapid.Bool().Draw(t, "sorry") {
			s.Sorry = &SorryServer{Server: lvs.Server{Address: drawBackend(t), Weight: 1}, Inhibit: rapid.Bool().Draw(t, "sorry inhibit")}
		}
		for range rapid.IntRange(0, 3).Draw(t, "servers") {
			r := drawServer(t)
			if !slices.ContainsFunc(s.Servers, func(o Server) bool { return o.Address == r.Address }) {
				s.Servers = append(s.Servers, r)
			}
		}
		d.Services = append(d.Services, s)
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	return d
}

func drawBackend(t *rapid.T) netip.AddrPort { return backend(rapid.IntRange(1, 4).Draw(t, "backend")) }

func drawServer(t *rapid.T) Server {
	r := Server{
		Server:     lvs.Server{Address: drawBackend(t), Weight: rapid.Uint32Range(0, 3).Draw(t, "weight")},
		Inhibit:    rapid.Bool().Draw(t, "inhibit"),
		NotifyDown: run.Command{Argv: []string{"down"}},
	}
	for range rapid.IntRange(0, 3).Draw(t, "checks") {
		r.Checks = append(r.Checks, Check{
			Checker:  rapid.SampledFrom([]check.Checker{probe("TCP_CHECK a"), probe("TCP_CHECK b"), probe("HTTP_GET a"), probe("HTTP_GET b")}).Draw(t, "checker"),
			Settings: check.Settings{Alpha: rapid.Bool().Draw(t, "alpha"), Retry: rapid.IntRange(0, 1).Draw(t, "retry")},
		})
	}
	return r
}
