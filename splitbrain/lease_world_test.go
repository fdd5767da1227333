package splitbrain

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// leaseWorld runs whole Cores with policy quorum in virtual time, each with a
// stub of the units' engine and of the kernel's gate. No advert is ever heard:
// the leases alone keep two from holding. Time is true time; each node has a
// raw clock and a kernel clock of another rate.
type leaseWorld struct {
	t        testing.TB
	rng      *rand.Rand
	now      time.Duration
	queue    leaseQueue
	n        uint64
	nodes    []*leaseNode
	interval time.Duration // Advert_Int
	loss     float64
	dup      float64
	delay    time.Duration // at most, beyond 200 µs
	trace    strings.Builder

	broken  string // the first violation
	moves   int
	records int
	last    *leaseNode
}

type leaseEvent struct {
	at time.Duration
	n  uint64
	do func()
}

type leaseQueue []leaseEvent

func (q leaseQueue) Len() int { return len(q) }
func (q leaseQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n
}
func (q leaseQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *leaseQueue) Push(x any)   { *q = append(*q, x.(leaseEvent)) }
func (q *leaseQueue) Pop() any {
	e := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return e
}

// leaseNode is one machine with one unit; a witness has none.
type leaseNode struct {
	w       *leaseWorld
	name    string
	index   int
	witness bool
	rate    float64 // of its raw clock
	slew    float64 // true time that the kernel takes for a second
	offset  time.Duration

	life    int
	up      bool
	paused  bool
	waiting []func()
	core    *Core
	boot    BootID
	view    UnitView
	told    Lease
	adverts bool          // keep its gate open, until the first lease
	gate    time.Duration // true time at which it closes
	due     time.Duration // of the core's next Step
	timer   time.Duration // Master_Down_Timer
	bound   time.Duration
	elect   Electorate     // as on disk
	kept    kclock.Instant // by its supervisor
	cut     map[*leaseNode]bool
	alerts  map[AlertKind]int
	lingers bool // its addresses cannot be removed
}

const worldUnit = "VI_1"

func newLeaseWorld(t testing.TB, seed uint64, names ...string) *leaseWorld {
	w := &leaseWorld{t: t, rng: rand.New(rand.NewPCG(seed, 7)), delay: 500 * time.Microsecond, interval: time.Second}
	var voters []string
	for i, name := range names {
		n := &leaseNode{
			w: w, name: name, index: i, witness: strings.HasPrefix(name, "w"), rate: 1, slew: 1,
			offset: time.Duration(i+1) * time.Hour, bound: 2 * time.Second, cut: make(map[*leaseNode]bool),
			alerts: make(map[AlertKind]int),
		}
		w.nodes = append(w.nodes, n)
		voters = append(voters, name)
	}
	for _, n := range w.nodes {
		n.elect = Electorate{Epoch: 1, Voters: voters}
	}
	return w
}

func (w *leaseWorld) logf(format string, args ...any) {
	fmt.Fprintf(&w.trace, "%9.4f  "+format+"\n", append([]any{w.now.Seconds()}, args...)...)
}

func (w *leaseWorld) at(at time.Duration, do func()) {
	w.n++
	heap.Push(&w.queue, leaseEvent{at, w.n, do})
}

func (w *leaseWorld) run(until time.Duration) {
	for len(w.queue) > 0 && w.queue[0].at <= until && w.broken == "" {
		e := heap.Pop(&w.queue).(leaseEvent)
		w.now = e.at
		e.do()
	}
	w.now = until
}

func (w *leaseWorld) startAll() {
	for _, n := range w.nodes {
		n.start()
	}
}

// holder is the node whose gate is open.
func (w *leaseWorld) holder() *leaseNode {
	for _, n := range w.nodes {
		if n.view.State == Master && n.gate > w.now {
			return n
		}
	}
	return nil
}

// wall and raw are what the node's clocks show.
func (n *leaseNode) wall() time.Time { return t0.Add(n.w.now) }
func (n *leaseNode) raw() kclock.Instant {
	return kclock.Instant(n.offset) + kclock.Instant(float64(n.w.now)*n.rate)
}

func (n *leaseNode) start() {
	w := n.w
	n.life++
	n.up, n.paused, n.waiting = true, false, nil
	n.gate = min(n.gate, w.now) // what an earlier life left is removed first
	n.boot = BootID(w.rng.Uint64() | 1)
	n.core = NewCore(n.name, n.boot, 1, 0, n.wall())
	var members []Member
	for _, m := range w.nodes {
		members = append(members, Member{Name: m.name})
	}
	n.core.SetMembers(members)
	n.core.ElectorateStored(n.elect)
	n.core.SetBinding(n.kept)
	n.core.SetLeaseBound(n.bound)
	n.told, n.due = Lease{}, 0
	n.view = UnitView{}
	w.logf("%s starts, boot %x", n.name, n.boot)
	if !n.witness {
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(n.index + 1)})
		n.view = UnitView{
			Name: worldUnit, Policy: PolicyQuorum, Priority: uint8(200 - 10*n.index), Primary: a,
			VIPs: []netip.Addr{addr("192.0.2.100")}, AdvertInterval: w.interval, DownTimerAdverts: 3,
			Lease: n.bound,
		}
		n.become(Backup, "starts")
	}
	n.step()
}

func (n *leaseNode) become(s State, why string) {
	w := n.w
	v := &n.view
	v.State, v.Since, v.Eligible, v.Released, v.Wants = s, n.wall(), s != Fault, s != Master && !n.lingers, WantNothing
	w.logf("%s %v, tenure %d: %s", n.name, s, v.Tenure.Seq, why)
	if s == Backup {
		n.timer = w.now + v.masterDown()
		life, timer := n.life, n.timer
		w.at(timer, func() {
			if n.life == life && n.timer == timer && v.State == Backup {
				n.does(func() { v.Wants = WantHeld; n.show() })
			}
		})
	}
	n.show()
	w.count()
}

// count follows who holds.
func (w *leaseWorld) count() {
	if h := w.holder(); h != nil && h != w.last {
		w.last = h
		w.moves++
	}
}

func (n *leaseNode) show() {
	if !n.witness {
		n.core.SetUnits([]UnitView{n.view})
	}
}

// does runs f in the node's process, when it runs.
func (n *leaseNode) does(f func()) {
	switch {
	case !n.up:
	case n.paused:
		if len(n.waiting) < 200 {
			n.waiting = append(n.waiting, f)
		}
	default:
		f()
		n.step()
	}
}

func (n *leaseNode) step() {
	w := n.w
	for range 20 {
		out := n.core.Step(n.wall(), n.raw())
		n.kept = max(n.kept, n.core.Binding())
		if out.Store != nil {
			n.elect = *out.Store
			n.core.ElectorateStored(n.elect)
		}
		n.send(&out)
		for _, a := range out.Alerts {
			w.logf("%s: alert %s resolved=%v: %s", n.name, a.Kind, a.Resolved, a.Summary)
			n.alerts[a.Kind]++
		}
		for _, v := range out.Verdicts {
			n.verdict(v.Verdict)
		}
		if len(out.Verdicts) == 0 {
			break
		}
	}
	due := max(n.core.Deadline().Sub(t0), w.now+time.Microsecond)
	if due != n.due {
		n.due = due
		life := n.life
		w.at(due, func() {
			if n.life == life && n.due == due {
				n.due = 0
				n.does(func() {})
			}
		})
	}
}

func (n *leaseNode) verdict(v Verdict) {
	w := n.w
	u := &n.view
	switch v := v.(type) {
	case Lease:
		switch {
		case u.State == Master && v.Tenure == u.Tenure.Seq:
			if n.gate > w.now { // else the tenure is lost
				n.open(v)
			}
		case u.State == Backup && v.Tenure == u.Tenure.Seq+1:
			n.told = v
		}
	case TakeOver:
		if u.State == Backup && n.told.Tenure == u.Tenure.Seq+1 && n.raw() < n.told.Until {
			u.Tenure = Tenure{Seq: u.Tenure.Seq + 1, Priority: u.Priority, Primary: u.Primary}
			n.open(n.told)
			n.become(Master, v.Reason)
		}
	case Yield:
		if u.State == Master && u.Tenure.Seq == v.Tenure {
			n.letGo("yields to " + v.Successor + ": " + v.Reason)
		}
	}
}

// letGo closes the gate, and removes the addresses.
func (n *leaseNode) letGo(why string) {
	n.gate = min(n.gate, n.w.now)
	n.become(Backup, why)
}

// open is what the engine does with a lease: the deadline that it stores is on
// the kernel's clock, and the gate closes up to 20 ms after it.
func (n *leaseNode) open(l Lease) {
	w := n.w
	left := l.Until.Sub(n.raw())
	if left <= 0 {
		return
	}
	end := w.now + time.Duration(float64(left)*n.slew/n.rate) + time.Duration(w.rng.Int64N(int64(20*time.Millisecond)))
	if n.adverts {
		n.adverts, n.gate = false, 0
	}
	n.gate = max(n.gate, end)
	for _, o := range w.nodes {
		if o != n && o.gate > w.now && w.broken == "" {
			w.broken = fmt.Sprintf("%s holds until %v, and the gate of %s is open until %v", n.name, n.gate, o.name, o.gate)
			w.logf("VIOLATION %s", w.broken)
		}
	}
}

func (n *leaseNode) send(out *Output) {
	if out.Record != nil {
		n.w.records++
	}
	for _, name := range out.To {
		if out.Record != nil {
			n.carry(n.w.node(name), &Datagram{Record: *out.Record})
		}
	}
	for i := range out.Relays {
		n.carry(n.w.node(out.Relays[i].To), &out.Relays[i].Datagram)
	}
}

func (w *leaseWorld) node(name string) *leaseNode {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

func (n *leaseNode) carry(to *leaseNode, d *Datagram) {
	w := n.w
	if to == n || to == nil || n.cut[to] || w.rng.Float64() < w.loss {
		return
	}
	copies := 1
	if w.rng.Float64() < w.dup {
		copies = 2
	}
	for range copies {
		late := 200*time.Microsecond + time.Duration(w.rng.Int64N(int64(w.delay)))
		if w.dup > 0 && w.rng.IntN(20) == 0 {
			late += time.Duration(w.rng.Int64N(int64(3 * time.Second))) // overtaken
		}
		life := to.life
		w.at(w.now+late, func() {
			if to.life == life {
				to.does(func() { to.core.Receive(to.wall(), d, "mesh") })
			}
		})
	}
}

// kill ends the process, now and then with its supervisor; its gate stays as it is.
func (n *leaseNode) kill() {
	n.w.logf("%s is killed", n.name)
	if n.life%3 == 0 {
		n.kept = 0
	}
	n.life++
	n.up = false
	n.view.State = Init
}

func (n *leaseNode) pause() {
	if n.up {
		n.w.logf("%s is stopped", n.name)
		n.paused = true
	}
}

func (n *leaseNode) resume() {
	if !n.up || !n.paused {
		return
	}
	n.w.logf("%s goes on", n.name)
	n.paused = false
	if n.view.State == Master && n.gate <= n.w.now {
		n.letGo("its gate has closed") // R8
	}
	for _, f := range n.waiting {
		f()
	}
	n.waiting = nil
	n.step()
}

// isolate cuts a node from all others, or joins it again.
func (n *leaseNode) isolate(cut bool) {
	n.w.logf("%s isolated: %v", n.name, cut)
	for _, o := range n.w.nodes {
		n.cut[o], o.cut[n] = cut, cut
	}
}

func cutBetween(a, b *leaseNode, cut bool) { a.cut[b], b.cut[a] = cut, cut }
