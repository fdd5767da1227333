package scenario

import (
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// everywhere are all networks of a machine.
var everywhere = []lab.Network{lab.Service, lab.Control}

func heal(w *World) { w.LAN.Heal() }

// partitions are faults between machines, on every channel: F4 to F7.
func partitions() []Scenario {
	// Two that were apart may both hold when they hear each other again, for what
	// G1 says: a heartbeat and two round trips.
	apart := succession()
	keeps := Promise{Dark: Slack, Verdict: AtRisk, Because: "held by lb01; VI_1: adverts of lb01 do not reach lb02"}
	apart.HealE = Heartbeat + roundTrips
	return []Scenario{{
		ID: "F4", Title: "holder isolated on every channel", Core: true,
		Shape: Shape{Gateway: true},
		Fault: isolate,
		Lasts: 8 * time.Second,
		Heal:  heal, After: 4 * time.Second,
		Promise: Beside(map[Subject]Promise{Mesh: apart, Quorum: succession()}),
	}, {
		ID: "F5", Title: "holder and second cut apart, third reaches both", Core: true,
		Fault: func(w *World) { w.LAN.Part(w.Nodes[:1], w.Nodes[1:2], everywhere...) },
		Lasts: 10 * time.Second,
		Heal:  heal, After: 3 * time.Second,
		Promise: Beside(Both(keeps)),
	}, {
		ID: "F6", Title: "ring of one-way losses",
		Fault: func(w *World) { // each hears the next one only
			for i, n := range w.Nodes {
				w.LAN.Cut(n, w.Nodes[(i+1)%len(w.Nodes)], everywhere...)
			}
		},
		Lasts: 10 * time.Second,
		Heal:  heal, After: 3 * time.Second,
		Promise: Beside(Both(keeps)),
	}, {
		ID: "F7", Title: "two nodes cut apart, both reach the gateway", Core: true,
		Shape: Shape{Nodes: 2, Gateway: true},
		Fault: func(w *World) { w.LAN.Part(w.Nodes[:1], w.Nodes[1:], everywhere...) },
		Lasts: 8 * time.Second,
		Heal:  heal, After: 3 * time.Second,
		Promise: Beside(map[Subject]Promise{Mesh: {
			E: Unbounded, Dark: Slack, Holder: Any, HealE: Heartbeat + roundTrips, Moves: 1,
			Alert: "split_brain", On: []int{0, 1}, AlertWithin: 2 * time.Second, AtHeal: true,
			Verdict: AtRisk, Because: "no other node that is heard can take it (lb01 is not heard)",
		}}),
	}, {
		ID: "F7", Title: "two nodes cut apart, both reach gateway and witness", Core: true,
		Shape:   Shape{Nodes: 2, Gateway: true, Witness: true},
		Fault:   func(w *World) { w.LAN.Part(w.Nodes[:1], w.Nodes[1:], everywhere...) },
		Lasts:   10 * time.Second,
		Heal:    heal,
		After:   3 * time.Second,
		Promise: Both(keeps),
	}}
}

// roundTrips are two round trips between processes on a machine with other
// work.
const roundTrips = 50 * time.Millisecond

// isolate cuts the holder off from every machine but the watcher.
func isolate(w *World) {
	others := w.Others(0)
	if w.Gateway != nil {
		others = append(others, w.Gateway)
	}
	w.LAN.Part(w.Nodes[:1], others, everywhere...)
}
