package lab

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func at(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

// answersOf makes answers of one node every 10 ms from one time to another.
func answersOf(node string, from, to time.Duration) []answer {
	var all []answer
	for d := from; d <= to; d += probeEvery {
		all = append(all, answer{at: at(d), node: node})
	}
	return all
}

// probesAt makes one round of probes at each time.
func probesAt(times ...time.Duration) []probe {
	var all []probe
	for i, d := range times {
		all = append(all, probe{at: at(d), round: uint16(i)})
	}
	return all
}

func TestOverlapCountsEverySecondAnswer(t *testing.T) {
	both := []answer{{at: at(0), node: "a"}, {at: at(1 * ms), node: "b"}, {at: at(500 * ms), node: "a"}, {at: at(501 * ms), node: "b"}}
	tests := []struct {
		name    string
		probes  []probe
		answers []answer
		want    time.Duration
	}{
		{"one holder", probesAt(0, 10*ms, 20*ms), answersOf("a", 0, 100*ms), 0},
		{"hand-over between two probes", probesAt(0, 50*ms, 51*ms), append(answersOf("a", 0, 50*ms), answersOf("b", 52*ms, 100*ms)...), 0},
		{"one answer of another in between", probesAt(0, 10*ms), []answer{{at: at(0), node: "a"}, {at: at(5 * ms), node: "b"}, {at: at(10 * ms), node: "a"}}, probeEvery},
		{"back after more rounds than the joint", probesAt(0, 10*ms, 20*ms, 30*ms, 40*ms, 50*ms),
			[]answer{{at: at(0), node: "a"}, {at: at(20 * ms), node: "b"}, {at: at(60 * ms), node: "a"}}, 0},
		{"the prober paused while two held", probesAt(0, 500*ms), both, 499*ms + probeEvery},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := longest(overlaps(holdings(tt.probes, tt.answers))); got != tt.want {
				t.Errorf("overlaps last %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDarknessCountsUnansweredProbesOnly(t *testing.T) {
	answersAt := func(times ...time.Duration) []answer {
		var all []answer
		for _, d := range times {
			all = append(all, answer{at: at(d), node: "a"})
		}
		return all
	}
	tests := []struct {
		name    string
		probes  []probe
		answers []answer
		want    time.Duration
	}{
		{"all answered", probesAt(0, 10*ms, 20*ms), answersAt(1*ms, 11*ms, 21*ms), 0},
		{"the prober itself paused", probesAt(0, 200*ms), answersAt(1*ms, 201*ms), 0},
		{"two unanswered", probesAt(0, 10*ms, 20*ms, 30*ms), answersAt(1*ms, 31*ms), 21 * ms},
		{"dark to the end", probesAt(0, 10*ms, 20*ms, 30*ms), answersAt(1 * ms), 20 * ms},
		{"one of several nodes answers", []probe{
			{at: at(0), round: 1, kind: ByEcho}, {at: at(1), round: 1, kind: ByEcho},
			{at: at(300 * ms), round: 2, kind: ByEcho}, {at: at(300*ms + 1), round: 2, kind: ByEcho},
		}, []answer{{at: at(1 * ms), round: 1, kind: ByEcho}, {at: at(301 * ms), round: 2, kind: ByEcho}}, 0},
		{"never answered", probesAt(0, 10*ms), nil, 10 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := longest(darknesses(tt.probes, tt.answers)); got != tt.want {
				t.Errorf("darknesses last %v, want %v", got, tt.want)
			}
		})
	}
}

func TestBothCountsEachMomentOnce(t *testing.T) {
	stretch := func(from, to time.Duration) Stretch { return Stretch{at(from), at(to)} }
	tests := []struct {
		name string
		all  []Stretch
		want time.Duration
	}{
		{"none", nil, 0},
		{"outside", []Stretch{stretch(0, 100*ms), stretch(200*ms, 300*ms)}, 0},
		{"in part, on both sides", []Stretch{stretch(190*ms, 300*ms), stretch(0, 110*ms)}, 20 * ms},
		{"one within another", []Stretch{stretch(120*ms, 150*ms), stretch(130*ms, 140*ms)}, 30 * ms},
		{"one after the start of another", []Stretch{stretch(130*ms, 160*ms), stretch(120*ms, 140*ms)}, 40 * ms},
		{"all of it", []Stretch{stretch(0, 300*ms)}, 100 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := both(tt.all, at(100*ms), at(200*ms)); got != tt.want {
				t.Errorf("both = %v, want %v", got, tt.want)
			}
		})
	}
}
