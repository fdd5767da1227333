package sim

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

func quorum(nodes, witnesses int) func(*config) {
	return func(c *config) {
		c.nodes, c.witnesses = nodes, witnesses
		c.policy, c.lease = splitbrain.PolicyQuorum, 2*c.interval
	}
}

// A candidate that is heard and hears nobody would never learn of its grants: they
// must go to one that does.
func TestQuorumDeafCandidateKeepsNobodyOut(t *testing.T) {
	w := steady(t, quorum(5, 0))
	for ch := range channels {
		w.cutLinks(10*time.Second, long, "n2 deaf", ch, func(i, j *node) bool { return j.index == 1 })
	}
	w.at(20*time.Second, func() { w.nodes[0].crash(); w.check.relink() })
	w.run(60 * time.Second)
	if w.holders() != "n3" || w.check.vacMax > 5*time.Second || w.check.violation != "" {
		t.Errorf("%q holds, %v dark, %s\n%s", w.holders(), w.check.vacMax, w.check.violation, tail(w.trace.String(), 6000))
	}
}

// F4: the holder is cut off on every channel; it is silent before another is granted
// the unit.
func TestF4QuorumIsolatedHolderIsSilentFirst(t *testing.T) {
	w := steady(t, quorum(3, 0))
	for ch := range channels {
		w.cutLinks(20*time.Second, long, "n1 isolated", ch, func(i, j *node) bool { return i.index == 0 || j.index == 0 })
	}
	w.run(60 * time.Second)
	if w.holders() != "n2" || w.check.vacMax > 4*time.Second || w.check.violation != "" {
		t.Errorf("%q holds, %v dark, %s\n%s", w.holders(), w.check.vacMax, w.check.violation, tail(w.trace.String(), 6000))
	}
}

// F7 with a witness: two nodes lose each other and both reach the witness.
func TestF7QuorumWithWitnessKeepsItsHolder(t *testing.T) {
	w := steady(t, quorum(2, 1))
	for ch := range channels {
		w.cutLinks(20*time.Second, long, "n1 – n2", ch, func(i, j *node) bool { return !i.witness && !j.witness })
	}
	w.run(60 * time.Second)
	w.want(t, "n1", 0, 0, splitbrain.MeshChannelLost, splitbrain.VRRPChannelLost)
}

// F8: the worker is killed, and its last will arrives.
func TestF8WorkerKilledIsFollowedAtOnce(t *testing.T) {
	for name, change := range map[string]func(*config){"mesh": nil, "quorum": quorum(3, 0)} {
		t.Run(name, func(t *testing.T) {
			w := steady(t, change)
			w.at(20*time.Second, func() { w.nodes[0].kill(); w.check.relink() })
			w.run(21 * time.Second)
			w.want(t, "n2", 1, 200*time.Millisecond)
		})
	}
}

// F10: a process is stopped at each place of a step, for about as long as its gate
// stays open; nothing passes after it.
func TestF10QuorumStopWithinAStep(t *testing.T) {
	for at := atLook; at < places; at++ {
		for span := 100 * time.Millisecond; span < 6*time.Second; span += 300 * time.Millisecond {
			w := steady(t, quorum(3, 0))
			w.at(20*time.Second, func() { w.nodes[0].stall = stall{at, span} })
			w.run(60 * time.Second)
			if w.check.violation != "" || len(w.holders()) != 2 {
				t.Errorf("stopped at place %d for %v: %q holds, %s\n%s", at, span, w.holders(), w.check.violation, tail(w.trace.String(), 6000))
			}
		}
	}
}

// The slowest holder that rule R6b allows for, cut off from the quickest voters: with
// a lease much longer than Master_Down_Interval they grant the unit to another as soon
// as they may.
func TestQuorumClocksAtTheBound(t *testing.T) {
	for phase := time.Duration(0); phase < time.Second; phase += 200 * time.Millisecond {
		w := newWorld(config{nodes: 3, policy: splitbrain.PolicyQuorum, lease: 6 * time.Second,
			interval: time.Second, heartbeat: 200 * time.Millisecond, preempt: true}, 1)
		for i, n := range w.nodes {
			n.clock.raw, n.clock.mono = 1.01, 1.01*1.099
			if i == 0 {
				n.clock.raw, n.clock.mono = 0.99, 0.99*0.901
			}
			w.at(time.Duration(i)*10*time.Millisecond, n.boot1)
		}
		w.at(60*time.Second+phase, func() {
			if w.holders() != "n1" {
				t.Fatalf("%q holds\n%s", w.holders(), tail(w.trace.String(), 3000))
			}
		})
		for ch := range channels {
			w.cutLinks(60*time.Second+phase, long, "n1 isolated", ch, func(i, j *node) bool { return i.index == 0 || j.index == 0 })
		}
		w.run(90 * time.Second)
		if w.holders() != "n2" || w.check.violation != "" {
			t.Fatalf("cut off at %v: %q holds, %s\n%s", phase, w.holders(), w.check.violation, tail(w.trace.String(), 3000))
		}
	}
}

// Both other voters die and come back without memory while the holder is cut off: its
// lease still binds them.
func TestQuorumVotersWithoutMemoryWait(t *testing.T) {
	w := newWorld(config{nodes: 3, policy: splitbrain.PolicyQuorum, lease: 10 * time.Second,
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
	for _, n := range w.nodes[1:] {
		w.at(30100*time.Millisecond, func() { n.crash(); w.check.relink() })
		w.at(30600*time.Millisecond, n.boot1)
	}
	w.run(80 * time.Second)
	if w.holders() != "n2" || w.check.violation != "" {
		t.Errorf("%q holds, %s\n%s", w.holders(), w.check.violation, tail(w.trace.String(), 3000))
	}
}

// Clocks that are wrong by more than the margin covers do break the guarantee, and
// then the checker says so: it is alive.
func TestClocksBeyondTheBoundAreNoticed(t *testing.T) {
	beyond := clocks{raw: 0.25}
	for seed := range uint64(200) {
		w := newWorld(config{nodes: 3, policy: splitbrain.PolicyQuorum, lease: 5 * time.Second,
			interval: time.Second, heartbeat: 200 * time.Millisecond, clocks: beyond}, seed)
		w.quiet = true
		for _, n := range w.nodes {
			w.at(0, n.boot1)
		}
		for i := range 10 {
			a := w.nodes[i%3]
			for ch := range channels {
				w.cutLinks(time.Duration(10+8*i)*time.Second, 7*time.Second, "isolated", ch, func(i, j *node) bool { return i == a || j == a })
			}
		}
		w.run(100 * time.Second)
		if w.check.violation != "" {
			t.Logf("seed %d: %s", seed, w.check.violation)
			return
		}
	}
	t.Error("clocks that differ by a half never made two holders")
}
