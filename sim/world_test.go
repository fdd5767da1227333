package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// epoch is when every run begins.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

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

// config is what a run is made of, beside its faults.
type config struct {
	nodes     int
	interval  time.Duration // Advert_Int
	heartbeat time.Duration
	preempt   bool
	equal     bool          // equal priorities: the address decides
	latency   time.Duration // between arbiter and engine, at most
}

// world is one run.
type world struct {
	config
	rng    *rand.Rand
	now    time.Time
	queue  events
	serial uint64
	nodes  []*node
	links  [channels][][]link
	trace  strings.Builder
	quiet  bool // no trace
	check  checker
	faults int
	mute   bool // what is scheduled now does not happen
}

// event is something that happens to a node, or to the world.
type event struct {
	at   time.Time
	seq  uint64
	node *node // nil: the world; its life must be the same, or the event is void
	life int
	do   func()
}

type events []event

func (e *event) before(o *event) bool {
	if c := e.at.Compare(o.at); c != 0 {
		return c < 0
	}
	return e.seq < o.seq
}

// push and pop keep a heap. That of the standard library makes garbage of each
// event, which costs a tenth of a run.
func (q *events) push(e event) {
	h := append(*q, e)
	*q = h
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			return
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (q *events) pop() event {
	h := *q
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	*q = h
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			return first
		}
		if right := down + 1; right < last && h[right].before(&h[down]) {
			down = right
		}
		if !h[down].before(&h[i]) {
			return first
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
}

func newWorld(c config, seed uint64) *world {
	w := &world{config: c, rng: rand.New(rand.NewPCG(seed, 0x5eed)), now: epoch}
	for ch := range w.links {
		w.links[ch] = make([][]link, c.nodes)
		for i := range w.links[ch] {
			w.links[ch][i] = make([]link, c.nodes)
			for j := range w.links[ch][i] {
				w.links[ch][i][j] = link{delay: 200 * time.Microsecond, jitter: 300 * time.Microsecond}
			}
		}
	}
	w.check.init(w)
	for i := range c.nodes {
		n := &node{w: w, index: i, name: fmt.Sprintf("n%d", i+1), addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})}
		n.priority = vrrp.Priority(200 - 20*i)
		if c.equal {
			n.priority = 100
		}
		w.nodes = append(w.nodes, n)
	}
	return w
}

// at schedules something of the world's own.
func (w *world) at(t time.Duration, do func()) {
	if !w.mute {
		w.schedule(epoch.Add(t), nil, do)
	}
}

func (w *world) schedule(at time.Time, n *node, do func()) {
	w.serial++
	e := event{at: at, seq: w.serial, node: n, do: do}
	if n != nil {
		e.life = n.life
	}
	w.queue.push(e)
}

// run goes on until the given time since the epoch. It ends early when a
// guarantee was broken.
func (w *world) run(until time.Duration) {
	end := epoch.Add(until)
	for len(w.queue) > 0 && !w.queue[0].at.After(end) && w.check.violation == "" {
		e := w.queue.pop()
		w.check.advance(e.at)
		w.now = e.at
		if e.node == nil || e.node.life == e.life && e.node.running {
			e.do()
		}
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

// deliver carries something over a link, or loses it.
func (w *world) deliver(ch int, from, to *node, receive func()) {
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
		// Not void by a pause: it waits in the socket.
		life := to.life
		w.schedule(at, nil, func() {
			if to.life == life {
				to.receive(receive)
			}
		})
	}
}

// node is one machine.
type node struct {
	w        *world
	index    int
	name     string
	addr     netip.Addr
	priority vrrp.Priority

	life    int // counts boots
	up      bool
	running bool // up and not paused
	since   time.Time
	unit    *vrrp.Unit
	core    *splitbrain.Core
	boot    splitbrain.BootID
	told    splitbrain.UnitView
	stepped bool // the unit was, since then
	wakeAt  time.Time
	coreAt  time.Time

	holds    bool      // the kernel has the VIP
	lapse    time.Time // when the kernel removes it if nobody renews it
	paused   time.Time
	buffered []func()
	degraded bool // its tracked script is down: lower priority
	broken   bool // its tracked interface is down: FAULT
}

const (
	unitName  = "VI_1"
	trackSoft = "script:chk"
	trackHard = "interface:eth0"
	softDrop  = -70
)

var (
	vip  = netip.MustParsePrefix("192.0.2.100/24")
	vips = []netip.Addr{vip.Addr()}
)

func (n *node) spec() vrrp.UnitSpec {
	return vrrp.UnitSpec{Name: unitName, Instances: []vrrp.InstanceSpec{{
		Name: unitName, Interface: "eth0", Family: vrrp.IPv4, VRID: 51, Version: 3,
		Priority: n.priority, AdvertInterval: n.w.interval, DownTimerAdverts: 3, Preempt: n.w.preempt,
		Addresses: []vrrp.Address{{Prefix: vip, Interface: "eth0"}},
		Tracks:    []vrrp.Track{{Key: trackSoft, Weight: softDrop}, {Key: trackHard}},
	}}}
}

// start begins a new life: what an earlier one left is removed first.
func (n *node) start() {
	n.life++
	n.up, n.running, n.since = true, true, n.w.now
	n.w.drop(n)
	n.buffered = nil
	n.boot = splitbrain.BootID(n.w.rng.Uint64() | 1)
	n.unit = vrrp.NewUnit(n.spec())
	n.core = splitbrain.NewCore(n.name, n.boot, 1, n.w.heartbeat, n.w.now)
	n.told = splitbrain.UnitView{}
	n.wakeAt, n.coreAt = time.Time{}, time.Time{}
	var members []splitbrain.Member
	for _, m := range n.w.nodes {
		if m != n {
			members = append(members, splitbrain.Member{Name: m.name})
		}
	}
	n.core.SetMembers(members)
	n.w.logf("%s starts, boot %x", n.name, n.boot)
	n.event(vrrp.SourceChanged{Instance: unitName, Source: n.addr})
	n.event(vrrp.TrackResult{Key: trackSoft, Up: !n.degraded})
	n.event(vrrp.TrackResult{Key: trackHard, Up: !n.broken})
	n.event(vrrp.Startup{})
	n.settle()
}

// crash ends the process; the kernel keeps the VIP until its lifetime ends.
func (n *node) crash() {
	n.w.logf("%s is killed", n.name)
	n.life++
	n.up, n.running = false, false
	n.linger()
}

// pause stops the process.
func (n *node) pause() {
	n.w.logf("%s is stopped", n.name)
	n.running, n.paused = false, n.w.now
	n.linger()
}

// linger removes the VIP when the lifetime that the process last gave it ends.
func (n *node) linger() {
	if !n.holds {
		return
	}
	life := n.life
	w := n.w
	n.lapse = w.now.Add(time.Duration(w.rng.Int64N(int64(2 * w.interval))))
	w.schedule(n.lapse, nil, func() {
		if n.life == life && !n.running {
			w.logf("%s: the kernel removes the VIP", n.name)
			w.drop(n)
		}
	})
}

// resume continues it: what came in the meantime is read, and its timers are
// late.
func (n *node) resume() {
	if !n.up || n.running {
		return
	}
	gap := n.w.now.Sub(n.paused)
	n.w.logf("%s goes on after %v", n.name, gap)
	n.running, n.since = true, n.w.now
	if gap >= 2*n.w.interval {
		n.event(vrrp.Paused{For: gap})
	} else if n.unit.Status().State == vrrp.Master {
		n.w.hold(n) // F22: restored by the engine
	}
	for _, f := range n.buffered {
		f()
	}
	n.buffered = nil
	n.event(vrrp.Tick{})
	n.settle()
}

// maxBuffered is what a socket keeps for a process that does not read.
const maxBuffered = 200

func (n *node) receive(f func()) {
	switch {
	case n.running:
		f()
		n.settle()
	case n.up && len(n.buffered) < maxBuffered:
		n.buffered = append(n.buffered, f)
	}
}

// event feeds the unit and carries out what it says.
func (n *node) event(ev vrrp.Event) {
	w := n.w
	n.stepped = true
	for _, action := range n.unit.Step(w.now, ev) {
		switch a := action.(type) {
		case vrrp.SendAdvert:
			ev := vrrp.Advert{Instance: unitName, From: n.addr, Priority: a.Priority, Interval: w.interval}
			for _, to := range w.nodes {
				if to != n {
					w.deliver(vrrpNet, n, to, func() { to.advert(ev) })
				}
			}
		case vrrp.Claim:
			w.hold(n)
		case vrrp.Release:
			w.drop(n)
		case vrrp.Notify:
			w.logf("%s %v → %v: %s", n.name, a.From, a.To, a.Reason)
		}
	}
}

// advert takes an advert as the engine does: the arbiter hears of each one, but
// gets a new view only when something has changed.
func (n *node) advert(ev vrrp.Advert) {
	n.core.Observe(splitbrain.AdvertEvidence{
		Unit: unitName, From: ev.From, Priority: uint8(ev.Priority), VIPs: vips, At: n.w.now,
	})
	n.event(ev)
}

// settle tells the arbiter of changes, and the unit of verdicts, until both
// are quiet, and arms the timers.
func (n *node) settle() {
	w := n.w
	for {
		if n.stepped {
			n.stepped = false
			if view := n.view(); !same(&view, &n.told) {
				n.told = view
				n.core.SetUnits([]splitbrain.UnitView{view})
			}
		}
		out := n.core.Step(w.now, kclock.Instant(w.now.Sub(epoch)))
		n.send(&out)
		for _, v := range out.Verdicts {
			n.verdict(v.Verdict)
		}
		if len(out.Verdicts) == 0 {
			break
		}
	}
	n.arm()
}

func (n *node) arm() {
	w := n.w
	if due := n.unit.Deadline(); !due.IsZero() && !due.Equal(n.wakeAt) {
		n.wakeAt = due
		w.schedule(later(due, w.now), n, func() {
			if n.wakeAt.Equal(due) {
				n.wakeAt = time.Time{}
				n.event(vrrp.Tick{})
				n.settle()
			}
		})
	}
	if due := n.core.Deadline(); !due.Equal(n.coreAt) {
		n.coreAt = due
		w.schedule(later(due, w.now), n, func() {
			if n.coreAt.Equal(due) {
				n.coreAt = time.Time{}
				n.settle()
			}
		})
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (n *node) verdict(v splitbrain.Verdict) {
	var ev vrrp.Event
	switch v := v.(type) {
	case splitbrain.Hold:
		ev = vrrp.Hold{Until: v.Until, Rank: v.Rank, Reason: v.Reason}
	case splitbrain.TakeOver:
		n.w.logf("%s: verdict take over after %v: %s", n.name, v.After, v.Reason)
		ev = vrrp.TakeOver{After: v.After, Reason: v.Reason}
	case splitbrain.Yield:
		n.w.logf("%s: verdict yield %d to %s: %s", n.name, v.Tenure, v.Successor, v.Reason)
		ev = vrrp.Yield{Tenure: v.Tenure, Successor: v.Successor, Reason: v.Reason}
	case splitbrain.Members:
		ev = vrrp.Members{Addrs: v.Addrs}
	case splitbrain.Reannounce:
		ev = vrrp.Reannounce{}
	}
	if n.w.latency == 0 {
		n.event(ev)
		return
	}
	n.w.schedule(n.w.now.Add(n.w.latency), n, func() { n.event(ev); n.settle() })
}

func (n *node) send(out *splitbrain.Output) {
	for _, m := range n.w.nodes {
		if out.Record == nil || m == n {
			continue
		}
		r := out.Record
		n.w.deliver(meshNet, n, m, func() {
			m.core.Receive(m.w.now, &splitbrain.Datagram{Record: *r}, "mesh")
		})
	}
	for _, relay := range out.Relays {
		for _, m := range n.w.nodes {
			if m.name == relay.To {
				n.w.deliver(meshNet, n, m, func() { m.core.Receive(m.w.now, &relay.Datagram, "mesh") })
			}
		}
	}
	for _, a := range out.Alerts {
		n.w.check.alerts[a.Kind]++
		n.w.logf("%s: alert %s (%s) resolved=%v: %s", n.name, a.Kind, a.Peer, a.Resolved, a.Summary)
	}
}

// view is what the node would make of the unit's status.
func (n *node) view() splitbrain.UnitView {
	s := n.unit.Status()
	heard := s.Instances[0].LastAdvert
	return splitbrain.UnitView{
		Name: s.Name, State: splitbrain.State(s.State), Since: s.Since, Wants: splitbrain.Want(s.Wants),
		Tenure:   splitbrain.Tenure{Seq: s.Tenure.Seq, Priority: uint8(s.Tenure.Priority), Primary: s.Tenure.Primary},
		Released: s.State != vrrp.Master && s.Tenure.Seq > 0,
		Eligible: s.State != vrrp.Fault && s.State != vrrp.Init,
		Priority: uint8(s.Priority), Primary: s.Primary,
		VIPs:           vips,
		Heard:          splitbrain.Advert{From: heard.From, Priority: uint8(heard.Priority), At: heard.At},
		AdvertInterval: n.w.interval, DownTimerAdverts: 3,
	}
}

func same(a, b *splitbrain.UnitView) bool {
	return a.State == b.State && a.Since.Equal(b.Since) && a.Wants == b.Wants && a.Tenure == b.Tenure &&
		a.Released == b.Released && a.Eligible == b.Eligible && a.Priority == b.Priority &&
		a.Primary == b.Primary && a.Heard.From == b.Heard.From && a.Heard.Priority == b.Heard.Priority && a.Name == b.Name
}

// hold and drop are the kernel's side of a VIP.
func (w *world) hold(n *node) {
	n.holds = true
	w.check.dirty = true
}

func (w *world) drop(n *node) {
	n.holds = false
	w.check.dirty = true
}
