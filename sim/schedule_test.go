package sim

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this one schedule and print its trace")
	firstFlag = flag.Uint64("first", 1, "number of the first of the random schedules")
	runsFlag  = flag.Int("runs", 0, "number of random schedules; 0: SIM_RUNS, else a default")
)

// Lengths of one schedule.
const (
	length   = 60 * time.Second
	calmFrom = 46 * time.Second // all faults are over
)

// runs is how many schedules TestRandomSchedules tries.
func runs() int {
	switch n, _ := strconv.Atoi(os.Getenv("SIM_RUNS")); {
	case *runsFlag > 0:
		return *runsFlag
	case n > 0:
		return n
	case raceEnabled:
		return 300
	case testing.Short():
		return 2000
	default:
		return 20000
	}
}

func TestRandomSchedules(t *testing.T) {
	if *seedFlag != 0 {
		w := random(*seedFlag, false, nil)
		t.Logf("trace of seed %d:\n%s", *seedFlag, w.trace.String())
		if w.check.violation != "" {
			t.Error(w.check.violation)
		}
		return
	}
	n := runs()
	first := *firstFlag
	var (
		wg       sync.WaitGroup
		next     atomic.Uint64
		failures atomic.Int32
		mu       sync.Mutex
		total    stats
	)
	next.Store(first)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var own stats
			for failures.Load() < 3 {
				seed := next.Add(1) - 1
				if seed >= first+uint64(n) {
					break
				}
				w := random(seed, true, nil)
				own.add(w)
				if w.check.violation != "" {
					failures.Add(1)
					skip := minimize(seed)
					w = random(seed, false, skip)
					t.Errorf("seed %d: %s\nwithout faults %v, which it does not need:\n%s", seed, w.check.violation, skip, tail(w.trace.String(), 6000))
				}
			}
			mu.Lock()
			total.merge(&own)
			mu.Unlock()
		})
	}
	wg.Wait()
	t.Log(total.String())
}

// tail is the end of a trace that is too long to print.
func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}

// stats sums up many runs.
type stats struct {
	runs, faults, moves, fencings int
	twoMax, vacMax                time.Duration
	alerts                        map[splitbrain.AlertKind]int
}

func (s *stats) add(w *world) {
	s.merge(&stats{1, w.faults, w.check.moves, len(w.runs), w.check.twoMax, w.check.vacMax, w.check.alerts})
}

func (s *stats) merge(o *stats) {
	s.runs += o.runs
	s.faults += o.faults
	s.moves += o.moves
	s.fencings += o.fencings
	s.twoMax = max(s.twoMax, o.twoMax)
	s.vacMax = max(s.vacMax, o.vacMax)
	if s.alerts == nil {
		s.alerts = make(map[splitbrain.AlertKind]int)
	}
	for k, n := range o.alerts {
		s.alerts[k] += n
	}
}

func (s *stats) String() string {
	return fmt.Sprintf("%d schedules of %v, %d faults, %d changes of holder, %d fencings, two holders for %v at most, none for %v at most, alerts %v",
		s.runs, length, s.faults, s.moves, s.fencings, s.twoMax, s.vacMax, s.alerts)
}

// minimize finds faults that a failing schedule fails without.
func minimize(seed uint64) (skip []int) {
	n := random(seed, true, nil).faults
	for i := range n {
		if try := append(slices.Clone(skip), i); random(seed, true, try).check.violation != "" {
			skip = try
		}
	}
	return skip
}

// draw chooses what a run is made of.
func draw(rng *rand.Rand) config {
	c := config{
		nodes:     3,
		interval:  time.Second,
		heartbeat: 200 * time.Millisecond,
		preempt:   rng.IntN(2) == 0,
		equal:     rng.IntN(4) == 0,
	}
	switch rng.IntN(10) {
	case 0:
		c.nodes = 2
	case 1:
		c.nodes = 5
	}
	switch rng.IntN(8) {
	case 0:
		c.interval = 200 * time.Millisecond
	case 1:
		c.interval = 3 * time.Second
		c.heartbeat = 500 * time.Millisecond
	}
	if rng.IntN(2) == 0 {
		c.latency = time.Duration(rng.IntN(3000)) * time.Microsecond
	}
	if rng.IntN(3) == 0 {
		c.clocks = withinBound
	}
	if rng.IntN(2) == 0 {
		c.toQuorum(rng)
	}
	if rng.IntN(2) == 0 {
		c.around = surroundings(rng.IntN(int(allSurroundings)))
	}
	c.foreign = foreign(rng.IntN(int(allForeign)))
	if rng.IntN(8) == 0 {
		c.toFence(rng)
	}
	if rng.IntN(8) == 0 {
		c.guests = 1 + rng.IntN(2)
	}
	return c
}

// toFence gives each node an agent for all others.
func (c *config) toFence(rng *rand.Rand) {
	c.fencing = fencing{
		on: true, after: time.Duration(500+rng.IntN(3000)) * time.Millisecond,
		timeout: time.Duration(500+rng.IntN(3000)) * time.Millisecond, first: fmt.Sprintf("n%d", 1+rng.IntN(2)),
	}
	c.fencing.delay = c.fencing.timeout + 5*time.Second
	if c.around == unprobed {
		c.around = membersOnly
	}
}

// toQuorum gives the unit a lease, and witnesses if they are needed.
func (c *config) toQuorum(rng *rand.Rand) {
	c.policy = splitbrain.PolicyQuorum
	c.lease = max(2*c.interval, splitbrain.MinLease)
	if rng.IntN(2) == 0 {
		// Longer than Master_Down_Interval, so that it is the lease that decides.
		c.lease = splitbrain.MinLease + time.Duration(rng.Int64N(int64(7*time.Second)))
	}
	if c.nodes < 3 || rng.IntN(4) == 0 {
		c.witnesses = 1
	}
}

// random runs the schedule of that number, without the faults of the given
// numbers.
func random(seed uint64, quiet bool, skip []int) *world {
	rng := rand.New(rand.NewPCG(seed, 0xfa017))
	return randomWith(draw(rng), rng, seed, quiet, skip)
}

func randomWith(c config, rng *rand.Rand, seed uint64, quiet bool, skip []int) *world {
	w := newWorld(c, seed)
	w.quiet = quiet
	w.logf("%d nodes, %d witnesses, %d guests, policy %v, L %v, advert interval %v, preempt %v, equal %v, latency %v, clocks %v, probed %v, foreign %v, fencing %v",
		c.nodes, c.witnesses, c.guests, c.policy, c.lease, c.interval, c.preempt, c.equal, c.latency, c.clocks, c.around, c.foreign, c.fencing)
	for _, n := range w.nodes {
		w.at(time.Duration(rng.Int64N(int64(2*time.Second))), n.boot1)
	}
	for i := range 4 + rng.IntN(6) {
		w.mute = slices.Contains(skip, i)
		w.fault(rng)
	}
	w.mute = false
	w.at(calmFrom, func() { w.calm() })
	w.run(length)
	if w.check.violation == "" {
		w.check.settled()
	}
	return w
}

// Faults of one channel alone, whatever they are, move nothing: as long as the
// other one is well, there is one holder, and it stays (G3). Under policy quorum
// that is so for the service network: leases travel on the other one. What probes
// show of it moves a unit, so only faults of the mesh are tried beside them.
func TestFaultsOfOneChannelMoveNothing(t *testing.T) {
	for seed := range uint64(runs() / 40) {
		rng := rand.New(rand.NewPCG(seed, 0x93))
		c := config{nodes: 2 + rng.IntN(3), interval: time.Second, heartbeat: 200 * time.Millisecond, preempt: rng.IntN(2) == 0}
		ch := rng.IntN(channels)
		switch {
		case ch == meshNet:
			c.around = surroundings(rng.IntN(int(allSurroundings)))
		case rng.IntN(2) == 0:
			c.toQuorum(rng)
		}
		w := newWorld(c, seed)
		for i, n := range w.nodes {
			w.at(time.Duration(i)*10*time.Millisecond, n.boot1)
		}
		for range 4 + rng.IntN(8) {
			w.channelFault(rng, ch, rng.IntN(8))
		}
		w.at(10*time.Second, func() { w.check.moves, w.check.twoMax, w.check.vacMax = 0, 0, 0 })
		w.run(length)
		if w.holders() != "n1" || w.check.moves != 0 || w.check.twoMax != 0 || w.check.vacMax != 0 || w.check.violation != "" {
			t.Fatalf("seed %d, faults on %s: %q holds, %d moves, two for %v, none for %v, %s\n%s", seed, channelNames[ch],
				w.holders(), w.check.moves, w.check.twoMax, w.check.vacMax, w.check.violation, tail(w.trace.String(), 6000))
		}
	}
}

func (n *node) boot1() {
	if !n.up && n.belongs() {
		n.start()
		n.w.check.relink()
	}
}

// fault puts one random fault into the schedule.
func (w *world) fault(rng *rand.Rand) {
	w.faults++
	at, span := moment(rng)
	a, b := w.two(rng)
	switch kind := rng.IntN(34); {
	case kind < 8:
		w.channelFault(rng, rng.IntN(channels), kind)
	case kind < 10:
		w.partition(rng)
	case kind < 12:
		w.at(at, func() {
			if !a.running {
				return
			}
			a.pause("with its supervisor")
			w.check.relink()
			a.goOnAfter(span)
		})
	case kind == 12:
		w.at(at, func() {
			if a.running {
				a.hang(span)
				w.check.relink()
			}
		})
	case kind < 15:
		// Most of what goes wrong between two instructions lasts about as long as
		// a lease.
		where := nowhere + 1 + place(rng.IntN(int(places)-1))
		span := time.Duration(rng.Int64N(int64(3 * max(w.lease, w.interval))))
		w.at(at, func() { a.stall = stall{where, span} })
	case kind < 19:
		how := rng.IntN(4)
		w.at(at, func() {
			switch {
			case !a.up:
				return
			case how == 0 && a.running:
				a.stop()
			case how == 1:
				a.crash()
			case how == 2:
				a.powerOff()
			default:
				a.kill()
			}
			w.check.relink()
		})
		w.at(at+span, a.boot1)
	case kind == 19:
		hard := rng.IntN(3) == 0
		w.at(at, func() { a.track(hard, true) })
		w.at(at+span, func() { a.track(hard, false) })
	case kind == 20:
		w.at(at, func() {
			if a.running && !b.witness {
				w.logf("%s is asked to hand over to %s", a.name, b.name)
				a.core.RequestHandover(a.now(), unitName, b.name)
				a.settle()
			}
		})
	case kind == 21, kind == 22:
		w.revision(rng, at, span)
	case kind == 23:
		w.reform(rng, at, span)
	case kind == 24, kind == 25:
		// Some take longer than a tenure outlives its process.
		w.at(at, func() { a.restart(span / 8) })
	case kind == 26:
		w.at(at, func() { w.router.die() })
		w.at(at+span, func() { w.router.live() })
	case kind == 27, kind == 28:
		w.visit(rng, at, span)
	case kind == 29, kind == 30:
		w.rebellion(rng, at, span)
	case kind == 31, kind == 32:
		w.movement(rng, at, span)
	default:
		w.cutLinks(at, span, a.name+" – gateway", vrrpNet, func(i, j *node) bool {
			return i == a && j == w.router.node || i == w.router.node && j == a
		})
	}
}

// revision rolls a revision out: each node runs it in its own time.
func (w *world) revision(rng *rand.Rand, at, span time.Duration) {
	lease, addresses := w.lease, 1+rng.IntN(2)
	if w.policy == splitbrain.PolicyQuorum && rng.IntN(2) == 0 {
		lease = splitbrain.MinLease + time.Duration(rng.Int64N(int64(7*time.Second)))
	}
	for _, n := range w.nodes {
		priority := n.priority
		if !w.equal && rng.IntN(3) == 0 {
			priority = vrrp.Priority(100 + 10*rng.IntN(10) + n.index)
		}
		late := time.Duration(rng.Int64N(int64(span/2 + 1)))
		w.at(at+late, func() { n.revise(lease, priority, addresses) })
	}
}

// reform takes a voter out of the electorate and puts it back later.
func (w *world) reform(rng *rand.Rand, at, span time.Duration) {
	a := w.nodes[rng.IntN(len(w.nodes))]
	deaf := w.nodes[rng.IntN(len(w.nodes))]
	for _, at := range []time.Duration{at, at + span} {
		w.at(at, func() {
			if w.policy == splitbrain.PolicyQuorum && a.belongs() {
				w.ballot.change(a.name, func(n *node) bool { return n != deaf })
			}
		})
	}
}

// moment is when a fault begins, and how long it lasts.
func moment(rng *rand.Rand) (at, span time.Duration) {
	at = 10*time.Second + time.Duration(rng.Int64N(int64(calmFrom-13*time.Second)))
	span = min(time.Duration(rng.Int64N(int64(12*time.Second))), calmFrom-at-time.Millisecond)
	if rng.IntN(3) == 0 {
		span /= 10
	}
	return at, span
}

// two are two different nodes.
func (w *world) two(rng *rand.Rand) (a, b *node) {
	a = w.nodes[rng.IntN(len(w.nodes))]
	b = w.nodes[(a.index+1+rng.IntN(len(w.nodes)-1))%len(w.nodes)]
	return a, b
}

// channelFault puts a fault of the network into the schedule.
func (w *world) channelFault(rng *rand.Rand, ch, kind int) {
	at, span := moment(rng)
	a, b := w.two(rng)
	switch kind {
	case 0, 1:
		w.cutLinks(at, span, fmt.Sprintf("one way %s → %s", a.name, b.name), ch, func(i, j *node) bool { return i == a && j == b })
	case 2:
		w.cutLinks(at, span, fmt.Sprintf("%s – %s", a.name, b.name), ch, func(i, j *node) bool { return i == a && j == b || i == b && j == a })
	case 3:
		w.cutLinks(at, span, "all", ch, func(i, j *node) bool { return true })
	case 4:
		deaf := rng.IntN(2) == 0
		w.cutLinks(at, span, fmt.Sprintf("%s deaf=%v", a.name, deaf), ch, func(i, j *node) bool { return deaf && j == a || !deaf && i == a })
	case 5:
		w.cutLinks(at, span, a.name+" isolated", ch, func(i, j *node) bool { return i == a || j == a })
	case 6:
		loss := []float64{0.05, 0.2, 0.5}[rng.IntN(3)]
		w.shape(at, span, fmt.Sprintf("loss %v on %s", loss, channelNames[ch]), ch, func(l *link) { l.loss = loss })
	case 7:
		jitter := []time.Duration{2, 20, 80}[rng.IntN(3)] * time.Millisecond
		w.shape(at, span, fmt.Sprintf("jitter %v and duplicates on %s", jitter, channelNames[ch]), ch, func(l *link) { l.jitter, l.duplicate = jitter, 0.2 })
	}
}

// partition cuts some nodes off from the others on both channels at once. Each
// direction of each channel heals in its own time.
func (w *world) partition(rng *rand.Rand) {
	at, span := moment(rng)
	side := make([]bool, len(w.nodes)+2)
	for i := range side {
		side[i] = rng.IntN(2) == 0
	}
	together := rng.IntN(2) == 0
	for ch := range channels {
		for _, from := range []bool{false, true} {
			span := span
			if !together {
				_, span = moment(rng)
				span = min(span, calmFrom-at-time.Millisecond)
			}
			w.cutLinks(at, span, fmt.Sprintf("%v, from %v", side, from), ch, func(i, j *node) bool {
				return side[i.index] == from && side[j.index] != from
			})
		}
	}
}

func (n *node) goOn() {
	n.resume()
	n.w.check.relink()
}

// stop ends the process politely.
func (n *node) stop() {
	n.w.logf("%s is shut down", n.name)
	n.event(vrrp.Shutdown{Reason: "stopped"})
	n.settle()
	n.core.Leave()
	n.settle()
	n.w.schedule(n.w.now.Add(100*time.Millisecond), n, errand(func() {
		n.life++
		n.up, n.running, n.pledge = false, false, 0
		n.w.check.relink()
	}))
}

func (n *node) track(hard, down bool) {
	if hard {
		n.broken = down
	} else {
		n.degraded = down
	}
	if !n.up || n.witness {
		return
	}
	n.receive(errand(func() {
		n.w.logf("%s: hard=%v down=%v", n.name, hard, down)
		key := trackSoft
		if hard {
			key = trackHard
		}
		n.since = n.w.now
		n.event(vrrp.TrackResult{Key: key, Up: !down})
	}))
}

func (w *world) cutLinks(at, span time.Duration, what string, ch int, which func(i, j *node) bool) {
	change := func(by int) func() {
		return func() {
			w.logf("%s: cut %+d %s", channelNames[ch], by, what)
			for _, i := range w.ends(ch) {
				for _, j := range w.ends(ch) {
					if i != j && which(i, j) {
						w.links[ch][i.index][j.index].cut += by
					}
				}
			}
			w.check.relink()
		}
	}
	w.at(at, change(1))
	w.at(at+span, change(-1))
}

// shape changes all links of a channel for a while.
func (w *world) shape(at, span time.Duration, what string, ch int, f func(*link)) {
	each := func(f func(*link)) {
		for i := range w.links[ch] {
			for j := range w.links[ch][i] {
				f(&w.links[ch][i][j])
			}
		}
	}
	w.at(at, func() { w.logf("%s", what); each(f); w.check.relink() })
	w.at(at+span, func() { w.logf("end of %s", what); each(normal); w.check.relink() })
}

func normal(l *link) {
	l.loss, l.duplicate = 0, 0
	l.delay, l.jitter = 200*time.Microsecond, 300*time.Microsecond
}

// calm ends all faults.
func (w *world) calm() {
	w.logf("calm")
	w.router.live()
	w.stranger.goes(true)
	for ch := range w.links {
		for i := range w.links[ch] {
			for j := range w.links[ch][i] {
				normal(&w.links[ch][i][j])
				w.links[ch][i][j].cut = 0
			}
		}
	}
	for _, n := range w.nodes {
		n.stall = stall{} // one that found no step to stop
		switch {
		case !n.belongs():
			if n.up {
				n.crash() // it was removed, and never heard of it
			}
			continue
		case !n.up:
			n.start()
		case !n.running:
			n.resume()
		}
		if n.broken {
			n.track(true, false)
		}
		if n.degraded {
			n.track(false, false)
		}
	}
	w.check.relink()
}

// settled checks the end of a run: one holder.
func (c *checker) settled() {
	n := 0
	for _, m := range c.w.nodes {
		if m.answers() {
			n++
		}
	}
	if n != 1 {
		c.fail("at the end %d nodes hold the VIP", n)
	}
}
