package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// epoch is when every run begins. It has a monotonic reading, as all times of a
// daemon have: they are subtracted and compared in other, quicker ways without.
var epoch = time.Now()

// Channels of the network.
const (
	meshNet = iota
	vrrpNet
	channels
)

var channelNames = [...]string{"mesh", "vrrp"}

// link is one direction between two nodes on one channel.
type link struct {
	cut       int // cuts in force
	loss      float64
	delay     time.Duration // at least
	jitter    time.Duration // at most that much more; enough of it reorders
	duplicate float64
}

// good reports whether nothing is lost there, or late.
func (l *link) good() bool { return l.cut == 0 && l.loss == 0 && l.jitter < 10*time.Millisecond }

// config is what a run is made of, beside its faults.
type config struct {
	nodes     int // that have the unit
	witnesses int // beside them; they vote
	guests    int // that may join; the second one as a witness
	policy    splitbrain.Policy
	lease     time.Duration // L
	interval  time.Duration // Advert_Int
	heartbeat time.Duration
	preempt   bool
	equal     bool          // equal priorities: the address decides
	latency   time.Duration // between arbiter and engine, at most
	clocks    clocks
	around    surroundings
	foreign   foreign
	fencing   fencing
}

// world is one run. Its own time is the true one; each node has clocks of its own.
type world struct {
	config
	rng      *rand.Rand
	now      time.Time
	queue    events
	serial   uint64
	nodes    []*node
	router   router
	stranger stranger
	runs     []*agentRun
	// What every agent does; nil: something at random.
	onlyResult *result
	links      [channels][][]link
	trace      strings.Builder
	quiet      bool // no trace
	check      checker
	faults     int
	mute       bool // what is scheduled now does not happen
	ballot     electorate
	roster     roster
	// How many addresses the unit of each node has, by its revision.
	addresses []int
}

func newWorld(c config, seed uint64) *world {
	w := &world{config: c, rng: rand.New(rand.NewPCG(seed, 0x5eed)), now: epoch}
	all := c.nodes + c.witnesses + c.guests
	for ch := range w.links {
		w.links[ch] = make([][]link, all+2) // the last ones are the gateway and the stranger
		for i := range w.links[ch] {
			w.links[ch][i] = make([]link, all+2)
			for j := range w.links[ch][i] {
				w.links[ch][i][j] = link{delay: 200 * time.Microsecond, jitter: 300 * time.Microsecond}
			}
		}
	}
	for i := range all {
		w.nodes = append(w.nodes, newNode(w, i))
	}
	w.router, w.stranger = newRouter(w, all), newStranger(w, all+1)
	w.enlist()
	w.ballot.init(w)
	w.check.init(w)
	return w
}

// at schedules something of the world's own.
func (w *world) at(t time.Duration, do func()) {
	if !w.mute {
		w.schedule(epoch.Add(t), nil, errand(do))
	}
}

// run goes on until the given time since the epoch. It ends early when a
// guarantee was broken.
func (w *world) run(until time.Duration) {
	end := epoch.Add(until)
	for len(w.queue) > 0 && w.queue[0].at <= until && w.check.violation == "" {
		e := w.queue.pop()
		at := epoch.Add(e.at)
		w.check.advance(at)
		w.now = at
		e.happen()
		w.check.look()
	}
	w.check.advance(end)
	w.now = end
}

func (w *world) logf(format string, args ...any) {
	if w.quiet {
		return
	}
	fmt.Fprintf(&w.trace, "%9.4f  "+format+"\n", append([]any{w.now.Sub(epoch).Seconds()}, args...)...)
}

// deliver carries something to a process, or loses it. A process that is stopped
// reads it later.
func (w *world) deliver(ch int, from, to *node, what deed) {
	w.carry(ch, from, to, func(at time.Time) { w.put(at, to, what, true) })
}

// toKernel carries something to a host on the service network that needs no process.
func (w *world) toKernel(from, to *node, what deed) {
	w.carry(vrrpNet, from, to, func(at time.Time) { w.schedule(at, nil, what) })
}

// carry finds out when something arrives over a link: never, once, or twice.
func (w *world) carry(ch int, from, to *node, arrive func(time.Time)) {
	l := &w.links[ch][from.index][to.index]
	if l.cut > 0 {
		return
	}
	if l.loss > 0 && w.rng.Float64() < l.loss {
		w.check.lost(ch)
		return
	}
	copies := 1
	if l.duplicate > 0 && w.rng.Float64() < l.duplicate {
		copies = 2
	}
	for range copies {
		at := w.now.Add(l.delay)
		if l.jitter > 0 {
			at = at.Add(time.Duration(w.rng.Int64N(int64(l.jitter))))
		}
		arrive(at)
	}
}
