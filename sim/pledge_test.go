package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// The workers of a majority of the voters die while the holder is cut off, and come
// back without memory. Their supervisors know until when they are bound: its lease
// still counts, whenever in it they die. The candidate is none of them, because one
// that is new waits by itself (R0).
func TestQuorumWorkersThatDiedAreBoundByWhatTheyGranted(t *testing.T) {
	for phase := time.Duration(0); phase < 2*time.Second; phase += 250 * time.Millisecond {
		w := newWorld(config{nodes: 5, policy: splitbrain.PolicyQuorum, lease: 10 * time.Second,
			interval: time.Second, heartbeat: 200 * time.Millisecond, preempt: true}, 1)
		for _, n := range w.nodes {
			w.at(0, n.boot1)
		}
		for ch := range channels {
			w.cutLinks(30*time.Second, long, "n1 isolated", ch, func(i, j *node) bool { return i.index == 0 || j.index == 0 })
		}
		for _, n := range w.nodes[2:] {
			w.at(30*time.Second+phase, func() { n.kill(); w.check.relink() })
			w.at(30400*time.Millisecond+phase, n.boot1)
		}
		w.run(29 * time.Second)
		if w.holders() != "n1" {
			t.Fatalf("%q holds, want n1", w.holders())
		}
		w.run(80 * time.Second)
		if w.holders() != "n2" || w.check.violation != "" {
			t.Errorf("killed after %v: %q holds, %s\n%s", phase, w.holders(), w.check.violation, tail(w.trace.String(), 3000))
		}
	}
}

// F9 after another failure: the worker of a voter dies and is started again, and
// within a second the holder loses power. Both voters that are left are needed, and
// an earlier revision had leases of 10 s; the one that rests for what it granted, half
// a second, is no obstacle. With its supervisor it loses what it granted, and rests
// for 10 s.
func TestF9QuorumAfterAWorkerOfAVoterDied(t *testing.T) {
	const died = 30 * time.Second
	for _, tt := range []struct {
		name           string
		die            func(*node)
		step           time.Duration
		beyond, within time.Duration
	}{
		{"the worker", (*node).kill, 100 * time.Millisecond, 0, 1500 * time.Millisecond},
		{"the worker and its supervisor", (*node).crash, 600 * time.Millisecond, 8 * time.Second, 11 * time.Second},
	} {
		for phase := 300 * time.Millisecond; phase <= time.Second; phase += tt.step {
			t.Run(fmt.Sprint(tt.name, " ", phase, " before"), func(t *testing.T) {
				w := newWorld(config{nodes: 3, policy: splitbrain.PolicyQuorum, lease: 500 * time.Millisecond,
					interval: 250 * time.Millisecond, heartbeat: 200 * time.Millisecond, preempt: true}, 1)
				for _, n := range w.nodes {
					n.disk.leases = []time.Duration{10 * time.Second, 500 * time.Millisecond}
					w.at(0, n.boot1)
				}
				w.at(died, func() { tt.die(w.nodes[2]); w.check.relink() })
				w.at(died+250*time.Millisecond, w.nodes[2].boot1)
				w.at(died+phase, func() {
					if w.holders() != "n1" {
						t.Errorf("%q holds, want n1", w.holders())
					}
					w.check.vacMax = 0
					w.nodes[0].powerOff()
					w.check.relink()
				})
				w.run(died + 20*time.Second)
				if w.holders() != "n2" || w.check.vacMax > tt.within || w.check.vacMax < tt.beyond || w.check.violation != "" {
					t.Errorf("%q holds, nobody for %v, want %v to %v; %s\n%s", w.holders(), w.check.vacMax, tt.beyond, tt.within,
						w.check.violation, tail(w.trace.String(), 4000))
				}
				t.Logf("nobody held for %v", w.check.vacMax)
			})
		}
	}
}
