package scenario

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// startUp is what a daemon needs from its start to its first record on a busy
// machine.
const startUp = time.Second

// killAll ends every daemon at the same moment, as a power cut does.
func killAll(w *World) {
	for _, p := range w.Processes {
		p.KillAll()
	}
	if w.Witness != nil {
		w.Witness.KillAll()
	}
}

// restart starts daemons again on their old data.
func (w *World) restart(members ...int) {
	for _, i := range members {
		w.Daemons[i].Restart()
		w.Processes[i] = w.Daemons[i].Process
	}
}

// machines are faults of whole machines and of people who touch their
// addresses: F21, F22 and F27.
func machines() []Scenario {
	return []Scenario{{
		ID: "F21", Title: "somebody adds the address on a third machine",
		Shape: Shape{Gateway: true},
		Fault: func(w *World) { w.Gateway.AddAddr(lab.Service, netip.PrefixFrom(VIP, 32)) },
		Lasts: 8 * time.Second,
		Heal:  func(w *World) { w.Gateway.DeleteAddr(lab.Service, netip.PrefixFrom(VIP, 32)) }, After: 3 * time.Second,
		Promise: Both(Promise{E: Unbounded, HealE: roundTrips, Dark: Slack, Holder: Any,
			Alert: "duplicate_address", On: []int{1}, AlertWithin: 6 * time.Second, Verdict: AtRisk, Because: "no member of this cluster, answers for"}),
	}, {
		ID: "F21", Title: "somebody adds the address on a member",
		Fault: func(w *World) { w.Nodes[2].AddAddr(lab.Service, netip.PrefixFrom(VIP, 24)) },
		Lasts: 5 * time.Second,
		// The member may answer once or twice before it has removed the address.
		Promise: Both(Promise{E: 100 * time.Millisecond, Dark: Slack, Moves: 2,
			Alert: "stray_address", On: []int{2}, AlertWithin: 5 * time.Second, Verdict: AtRisk, Because: "was removed"}),
	}, {
		ID: "F22", Title: "somebody deletes the address on the holder",
		Fault: func(w *World) {
			for range 5 {
				w.Nodes[0].DeleteAddr(lab.Service, netip.PrefixFrom(VIP, 32))
				w.Nodes[0].WantAddr(VIP, time.Second)
				lab.During(100 * time.Millisecond)
			}
		},
		Lasts:   3 * time.Second,
		Promise: Both(Promise{Dark: Slack, Verdict: Safe}),
	}, {
		ID: "F27", Title: "whole cluster powers on at once",
		Fault: func(w *World) {
			killAll(w)
			w.Struck = time.Now()
			w.restart(0, 1, 2)
		},
		Lasts:   10 * time.Second,
		Promise: Both(Promise{Dark: Scenario{}.MasterDown(0) + startUp + Slack, Verdict: Safe}),
	}, {
		ID: "F27", Title: "one node powers on alone",
		Fault: func(w *World) {
			killAll(w)
			lab.During(3 * time.Second)
			w.Struck = time.Now()
			w.restart(2)
		},
		Lasts: 8 * time.Second,
		Promise: map[Subject]Promise{Mesh: {Dark: Scenario{}.MasterDown(2) + startUp + Slack, Holder: 2, Moves: 1, Verdict: AtRisk, Because: "no other node that is heard can take it (lb01, lb02 are not heard)", Asked: 2},
			Quorum: {Dark: Unbounded, Holder: None, Verdict: Dark, Because: "lb03 is BACKUP, lb01, lb02 are not heard", Asked: 2}},
	}}
}
