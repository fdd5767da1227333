package sim

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// heir is what the next process of a life gets in a planned restart (F26).
type heir struct {
	legacy   splitbrain.Legacy
	heritage vrrp.Heritage
}

// Of the engine: what a tenure must outlive its process by, or else it says goodbye,
// and how late the heir may be.
const (
	leastLeft     = 500 * time.Millisecond
	inheritMargin = 50 * time.Millisecond
)

// restart ends the process without letting go, and begins the next one of the same
// life after a while. The kernel keeps the VIP, and the gate, until it closes.
func (n *node) restart(span time.Duration) {
	if !n.running {
		return
	}
	w := n.w
	w.logf("%s is restarted", n.name)
	h := heir{heritage: vrrp.Heritage{Unit: unitName}}
	if n.unit != nil {
		if n.left() < leastLeft {
			n.event(vrrp.Shutdown{Reason: "the daemon is restarted"})
			n.settle()
			if !n.running {
				return // it was stopped on the way
			}
		}
		s := n.unit.Status()
		h.heritage.Tenure, h.heritage.Granted = s.Tenure, n.gate.granted
		if s.State == vrrp.Master {
			h.heritage.Held, h.heritage.Left = true, n.left()
			h.heritage.Age = n.now().Sub(s.Since)
		}
	}
	h.legacy = n.core.Legacy()
	began, frozen := n.began, n.now()
	n.end()
	w.check.relink()
	life := n.life
	w.schedule(w.now.Add(span), nil, errand(func() {
		if n.life != life || n.off {
			return // another life has begun
		}
		gone := n.now().Sub(frozen)
		h.heritage.Left -= gone
		h.heritage.Age += gone
		n.begin(&h)
		n.began = began // its voter remembers
		w.check.relink()
	}))
}

// left is for how long a tenure outlives its process.
func (n *node) left() time.Duration {
	left := 2 * n.w.interval
	if n.unit.Status().State == vrrp.Master {
		left = min(left, n.clock.local(n.gate.deadline).Sub(n.now()))
	}
	return left - inheritMargin
}

func TestF26PlannedRestartMovesNothing(t *testing.T) {
	for name, change := range map[string]func(*config){"mesh": nil, "quorum": quorum(3, 0)} {
		t.Run(name, func(t *testing.T) {
			w := steady(t, change)
			for i := range 20 {
				n := w.nodes[i%3]
				w.at(20*time.Second+time.Duration(i)*2100*time.Millisecond, func() { n.restart(300 * time.Millisecond) })
			}
			w.run(80 * time.Second)
			w.want(t, "n1", 0, 300*time.Millisecond)
		})
	}
}

// A holder is cut off with a long lease, and a majority of the voters that granted it
// is restarted: the heirs know of the grants, and wait for them to end. The candidate
// is none of them, because one that is new waits by itself (R0).
func TestQuorumHeirsOfVotersWait(t *testing.T) {
	w := newWorld(config{nodes: 5, policy: splitbrain.PolicyQuorum, lease: 10 * time.Second,
		interval: time.Second, heartbeat: 200 * time.Millisecond, preempt: true}, 1)
	for _, n := range w.nodes {
		w.at(0, n.boot1)
	}
	w.run(29 * time.Second)
	if w.holders() != "n1" {
		t.Fatalf("%q holds, want n1", w.holders())
	}
	for ch := range channels {
		w.cutLinks(30*time.Second, long, "n1 isolated", ch, func(i, j *node) bool { return i.index == 0 || j.index == 0 })
	}
	for _, n := range w.nodes[2:] {
		w.at(30100*time.Millisecond, func() { n.restart(200 * time.Millisecond) })
	}
	w.run(60 * time.Second)
	if w.holders() != "n2" || w.check.violation != "" {
		t.Errorf("%q holds, %s\n%s", w.holders(), w.check.violation, tail(w.trace.String(), 3000))
	}
}
