package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// This file is fencing (R11): the shell around splitbrain.Fencer, the agents, and the
// nodes that give a reason: those that do not let go, or whose kernel takes packets
// for the VIP whatever their gate says. Of these the other guarantees ask nothing.

// fencing is what the configuration says of it. Every node has an agent for every
// other one.
type fencing struct {
	on      bool
	after   time.Duration
	timeout time.Duration // of an agent
	delay   time.Duration // of the second of two nodes
	first   string
}

// In the shell of package node: how often it looks, what a vote lasts beyond an agent's
// time, how often a suspect is probed, and the time between two probes.
const (
	fenceEvery  = 500 * time.Millisecond
	fenceAround = 15 * time.Second
	proveEvery  = time.Second
	proveApart  = 110 * time.Millisecond
)

// result is what an agent does.
type result int

const (
	succeeds result = iota
	fails
	hangs        // until its time is over, and then the target may be off
	lies         // it reports success, and the target goes on
	failsAndDoes // it reports failure, and the target is off
	results
)

func (r result) String() string {
	return [...]string{"succeeds", "fails", "hangs", "lies", "fails and does it"}[r]
}

// agentRun is one run of an agent.
type agentRun struct {
	by, target *node
	life       int // of by
	boot       splitbrain.BootID
	result     result
	began      time.Time
	killed     time.Time // when it took the target's power; zero: it did not
	over       bool
	reported   bool // success
}

// fencer is the fencing of one life of a node.
type fencer struct {
	*splitbrain.Fencer
	proofs map[splitbrain.Suspect]splitbrain.FenceProof
	probed map[splitbrain.Suspect]time.Time
}

// beginFencing starts it with a process.
func (n *node) beginFencing() {
	n.fencer = nil
	if !n.w.fencing.on {
		return
	}
	n.fencer = &fencer{splitbrain.NewFencer(), map[splitbrain.Suspect]splitbrain.FenceProof{}, map[splitbrain.Suspect]time.Time{}}
	n.core.SetDisarmed(n.disarmed)
	n.w.put(n.w.now, n, fenceDue{}, true)
}

type fenceDue struct{}

func (fenceDue) do(n *node, _ uint64) {
	n.w.put(n.w.now.Add(fenceEvery), n, fenceDue{}, true)
	n.fence()
	n.attend()
}

// fence looks at what is known, and carries out what follows. The arbiter looks next.
func (n *node) fence() {
	f := n.fencer
	if f == nil || !n.running {
		return
	}
	v := n.fenceView()
	d := f.Step(&v)
	n.core.SetFencing(n.now(), d.Words)
	n.inbox.woken = n.inbox.woken || len(d.Words) > 0
	for _, life := range d.Fenced {
		n.w.check.freed(n, life)
		n.core.Fenced(life)
		n.inbox.woken = true
	}
	for _, s := range d.Suspects {
		n.prove(s)
	}
	if d.Start != nil {
		n.runAgent(d.Start)
	}
}

func (n *node) fenceView() splitbrain.FenceView {
	w := n.w
	peers := n.core.View(n.now(), n.clock.instant(w.now))
	v := splitbrain.FenceView{
		Now: n.now(), Node: n.name, Boot: n.boot, Voter: peers.Electorate.Has(n.name),
		Peers: peers, Disarmed: n.now().Before(n.disarmed),
	}
	u := splitbrain.FenceUnit{
		Name: unitName, Quorum: n.byEvents(), After: w.fencing.after, First: w.fencing.first, Delay: w.fencing.delay,
		Span: w.fencing.timeout + fenceAround,
	}
	for _, m := range w.nodes {
		if m != n && n.knows(m) {
			v.Members = append(v.Members, splitbrain.FenceMember{Name: m.name, Voter: peers.Electorate.Has(m.name)})
			u.Targets = append(u.Targets, m.name)
		}
	}
	if n.unit != nil {
		s := n.unit.Status()
		u.Holds, u.Since = s.State == vrrp.Master, s.Since
		u.Tenure = splitbrain.Tenure{Seq: s.Tenure.Seq, Priority: uint8(s.Tenure.Priority), Primary: s.Tenure.Primary}
		for _, l := range peers.Leases {
			u.Leased = u.Leased || l.Tenure == s.Tenure.Seq && l.Left > 0
		}
		v.Units = []splitbrain.FenceUnit{u}
	}
	for _, p := range n.fencer.proofs {
		v.Proofs = append(v.Proofs, p)
	}
	return v
}

// prove sends two packets for the VIP to a suspect's hardware address.
func (n *node) prove(s splitbrain.Suspect) {
	f, now := n.fencer, n.now()
	if at, ok := f.probed[s]; ok && now.Sub(at) < proveEvery || n.witness || n.w.around == unprobed {
		return
	}
	f.probed[s] = now
	to := n.w.named(s.Node)
	n.unicast(to, func() {
		first := now
		n.w.schedule(n.after(n.w.now, proveApart), n, errand(func() {
			last := n.now()
			n.unicast(to, func() { f.proofs[s] = splitbrain.FenceProof{Unit: s.Unit, Node: s.Node, First: first, Last: last} })
		}))
	})
}

// unicast sends one such packet, and does something with the answer.
func (n *node) unicast(to *node, answered func()) {
	w := n.w
	w.toKernel(n, to, errand(func() {
		if to.answers() {
			w.deliver(vrrpNet, to, n, errand(answered))
		}
	}))
}

func (w *world) named(name string) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// runAgent begins a run. An agent is a process of its own, which goes on when the one
// that began it stops or dies.
func (n *node) runAgent(o *splitbrain.FenceOrder) {
	w := n.w
	r := &agentRun{by: n, target: w.named(o.Node), life: n.life, boot: o.Boot, result: result(w.rng.IntN(int(results))), began: w.now}
	if w.onlyResult != nil {
		r.result = *w.onlyResult
	}
	w.logf("%s fences %s, which %v: %v", n.name, o.Node, r.result, o.Evidence)
	w.check.fences(r)
	w.runs = append(w.runs, r)
	takes := 100*time.Millisecond + time.Duration(w.rng.Int64N(int64(w.fencing.timeout-100*time.Millisecond)))
	if r.result == hangs {
		takes = w.fencing.timeout
	}
	if r.result == succeeds || r.result == failsAndDoes || r.result == hangs && w.rng.IntN(2) == 0 {
		w.schedule(w.now.Add(time.Duration(w.rng.Int64N(int64(takes)))), nil, errand(func() { w.switchOff(r) }))
	}
	w.schedule(w.now.Add(takes), nil, errand(func() {
		r.over = true
		r.reported = r.result == succeeds || r.result == lies
		if n.life != r.life {
			return
		}
		n.receive(errand(func() {
			w.logf("%s: the agent for %s has ended: %v", n.name, o.Node, r.result)
			if r.reported {
				n.fencer.Ended(n.now(), nil)
			} else {
				n.fencer.Ended(n.now(), errors.New("the agent failed"))
			}
			n.fence()
		}))
	}))
}

// switchOff takes the target's power, for some seconds.
func (w *world) switchOff(r *agentRun) {
	r.killed = w.now
	w.check.noFratricide(r)
	r.target.powerOff()
	w.check.relink()
	w.schedule(w.now.Add(5*time.Second), nil, errand(r.target.boot1))
}

// fences checks the beginning of a run.
func (c *checker) fences(r *agentRun) {
	w, n := c.w, r.by
	switch {
	case n.now().Before(n.disarmed):
		c.fail("R11: %s fences %s while it is disarmed", n.name, r.target.name)
	case r.boot == r.target.boot && !r.target.rogue() && w.now.Sub(r.target.guilty) > innocence:
		c.fail("R11: %s fences %s, which has not answered since %v", n.name, r.target.name, r.target.guilty.Sub(epoch))
	}
	for _, o := range w.runs {
		if !o.over && o.by.up && o.by.life == o.life {
			c.fail("R11: %s fences %s while %s fences %s", n.name, r.target.name, o.by.name, o.target.name)
		}
	}
}

// innocence is for how long a node must not have answered for its fencing to be a
// mistake: as long as evidence stands and a proof counts.
const innocence = 8 * time.Second

// noFratricide fails when two nodes take each other's power.
func (c *checker) noFratricide(r *agentRun) {
	for _, o := range c.w.runs {
		if o.by == r.target && o.target == r.by && !o.killed.Before(r.began) {
			c.fail("R11: %s and %s have fenced each other", r.by.name, r.target.name)
		}
	}
}

// freed checks that only a life is taken for ended of which an agent has said so.
func (c *checker) freed(n *node, life splitbrain.FencedLife) {
	for _, o := range c.w.runs {
		if o.target.name == life.Node && o.boot == life.Boot && o.reported {
			return
		}
	}
	c.fail("R11: %s takes %s for fenced, and no agent has succeeded", n.name, life.Node)
}

// rogue reports whether the node gives a reason to fence it.
func (n *node) rogue() bool { return n.stubborn || n.stuck }

// reformed ends that.
func (n *node) reformed() {
	if n.rogue() {
		n.w.logf("%s lets go again", n.name)
	}
	n.stubborn, n.stuck, n.penance = false, false, n.w.now
	n.w.check.dirty = true
}

// rebel makes a node take the unit and not let go, by its process under policy mesh,
// or else by its kernel alone.
func (w *world) rebel(n *node, byKernel bool) {
	if !n.running || n.witness {
		return
	}
	if byKernel || n.byEvents() {
		w.logf("the kernel of %s takes packets for the VIP whatever its gate says", n.name)
		n.stuck = true
		n.crash() // its own process would remove the VIP (R12)
		w.check.relink()
		return
	}
	w.logf("%s takes the unit and will not let go", n.name)
	n.stubborn = true
	n.event(vrrp.TakeOver{Reason: "nobody said so"})
	n.attend()
}

// disarm freezes fencing and quick take-over everywhere for a while.
func (w *world) disarm(span time.Duration) {
	w.logf("fencing is disarmed for %v", span)
	for _, n := range w.nodes {
		n.disarmed = n.now().Add(span)
		if n.up {
			n.receive(errand(func() { n.core.SetDisarmed(n.disarmed) }))
		}
	}
}

// rebellion puts one into the schedule.
func (w *world) rebellion(rng *rand.Rand, at, span time.Duration) {
	a := w.nodes[rng.IntN(len(w.nodes))]
	byKernel := rng.IntN(2) == 0
	disarmed := rng.IntN(4) == 0
	if !w.fencing.on {
		return
	}
	w.at(at, func() { w.rebel(a, byKernel) })
	w.at(at+span, func() { a.reformed(); a.boot1() })
	if disarmed {
		w.at(at+time.Duration(rng.Int64N(int64(span+1))), func() { w.disarm(span / 2) })
	}
}

// A node that does not let go is fenced by the one that rightfully holds, once, and
// nobody else is.
func TestRebelIsFenced(t *testing.T) {
	for _, policy := range []splitbrain.Policy{splitbrain.PolicyMesh, splitbrain.PolicyQuorum} {
		for r := range results {
			t.Run(fmt.Sprint(policy, r), func(t *testing.T) {
				w := steady(t, func(c *config) {
					if policy == splitbrain.PolicyQuorum {
						quorum(3, 0)(c)
					}
					c.around, c.fencing = withGateway, fencing{on: true, after: 2 * time.Second, timeout: 2 * time.Second}
				})
				w.onlyResult = &r
				w.at(20*time.Second, func() { w.rebel(w.nodes[2], false) })
				w.run(50 * time.Second)
				if w.check.violation != "" {
					t.Fatalf("%s\n%s", w.check.violation, tail(w.trace.String(), 4000))
				}
				if len(w.runs) == 0 || w.runs[0].target != w.nodes[2] || w.runs[0].by != w.nodes[0] {
					t.Fatalf("runs of agents: %v; want n1 to fence n3\n%s", w.runs, tail(w.trace.String(), 4000))
				}
				if want := map[result]int{succeeds: 1, failsAndDoes: 1, fails: 3}[r]; want != 0 && len(w.runs) != want {
					t.Errorf("%d runs of agents, want %d\n%s", len(w.runs), want, tail(w.trace.String(), 4000))
				}
			})
		}
	}
}
