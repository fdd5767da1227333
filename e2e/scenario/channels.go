package scenario

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// nothingMoves is what most faults of one channel must come to.
func nothingMoves() Promise { return Promise{Dark: Slack} }

// lostChannel is nothingMoves with the alert that the standby raises.
func lostChannel(words ...string) Promise {
	p := nothingMoves()
	p.Alert, p.Words, p.AlertWithin, p.On = "vrrp_channel_lost", words, 5*time.Second, []int{1}
	p.Verdict, p.Because = AtRisk, "held by lb01; VI_1: adverts of lb01 do not reach"
	return p
}

// blockVRRP drops protocol 112 on every member.
func blockVRRP(w *World) {
	for _, n := range w.Nodes {
		n.Block(lab.VRRP, lab.Both)
	}
}

func unblockVRRP(w *World) {
	for _, n := range w.Nodes {
		n.Unblock(lab.VRRP)
	}
}

// groups4 is where adverts go by default (RFC 9568 section 5.1.2.2).
var group4 = netip.MustParseAddr("224.0.0.18")

// lostLimit is F1's bar for a holder that dies while protocol 112 is blocked: a
// backup that never takes over would be no solution.
func lostLimit(row Scenario, successor Index) time.Duration {
	return row.MasterDown(successor)*11/10 + 500*time.Millisecond
}

// channels are faults of one channel while the others are well: F1 to F3, F16
// and F17.
func channels() []Scenario {
	dies := Promise{Dark: lostLimit(Scenario{}, 1), Holder: Any, Returned: Any, Moves: 2, Verdict: AtRisk, Because: "held by lb0"}
	// Without adverts only claims tell two successors apart that had no processor
	// when their turns came: they end it as G1 says of mesh.
	late := dies
	late.E = Heartbeat + roundTrips
	succeeded := map[Subject]Promise{Mesh: late, Quorum: dies}
	return []Scenario{{
		ID: "F1", Title: "protocol 112 dropped everywhere", Core: true,
		Fault: blockVRRP, Lasts: 8 * time.Second,
		Heal: unblockVRRP, After: 3 * time.Second,
		Promise: Beside(Both(lostChannel("protocol 112"))),
	}, {
		ID: "F1", Title: "holder killed while protocol 112 is dropped",
		Fault: func(w *World) {
			blockVRRP(w)
			lab.During(5 * time.Second)
			w.Struck = time.Now()
			w.Processes[0].KillAll()
		},
		Lasts:   6 * time.Second,
		Promise: succeeded,
	}, {
		ID: "F1", Title: "holder stopped while protocol 112 is dropped",
		Fault: func(w *World) {
			blockVRRP(w)
			lab.During(5 * time.Second)
			w.Struck = time.Now()
			w.Processes[0].SignalAll(syscall.SIGSTOP)
		},
		Lasts:   6 * time.Second,
		Heal:    func(w *World) { w.Processes[0].SignalAll(syscall.SIGCONT) },
		After:   5 * time.Second,
		Promise: succeeded,
	}, {
		ID: "F2", Title: "backup deaf to protocol 112",
		Fault: func(w *World) { w.Nodes[1].Block(lab.VRRP, lab.In) },
		Lasts: 8 * time.Second,
		Heal:  unblockVRRP, After: 3 * time.Second,
		Promise: Beside(Both(lostChannel("protocol 112", "lb01"))),
	}, {
		ID: "F3", Title: "multicast group pruned by the switch",
		Fault: func(w *World) { w.LAN.Prune(group4) },
		Lasts: 8 * time.Second,
		Heal:  func(w *World) { w.LAN.Heal() }, After: 3 * time.Second,
		Promise: Beside(Both(lostChannel("IGMP snooping"))),
	}, {
		ID: "F16", Title: "gossip and heartbeats dropped on every path",
		Fault: func(w *World) {
			for _, n := range w.Everybody() {
				n.Block(lab.GossipUDP, lab.Both)
				n.Block(lab.Heartbeats, lab.Both)
			}
		},
		Lasts: 10 * time.Second,
		Heal: func(w *World) {
			for _, n := range w.Everybody() {
				n.Unblock(lab.GossipUDP)
				n.Unblock(lab.Heartbeats)
			}
		},
		After: 4 * time.Second,
		Promise: map[Subject]Promise{Mesh: {
			Dark: Slack, Alert: "mesh_channel_lost", On: []int{1}, AlertWithin: 8 * time.Second,
			Verdict: AtRisk,
		}, Quorum: {
			Dark: Unbounded, Holder: None, Returned: Any, HealDark: 3 * time.Second, Moves: 2,
			Alert: "quorum_lost", On: []int{0}, AlertWithin: 5 * time.Second,
			Verdict: Dark, Because: "held by nobody",
		}},
	}, {
		ID: "F17", Title: "control network down",
		Fault: func(w *World) {
			for _, n := range w.Everybody() {
				n.CutLink(lab.Control)
			}
		},
		Lasts: 8 * time.Second,
		Heal: func(w *World) {
			for _, n := range w.Everybody() {
				n.RestoreLink(lab.Control)
			}
		},
		After:   3 * time.Second,
		Promise: Both(Promise{Dark: Slack, Verdict: AtRisk, Because: "the configuration is read-only"}),
	}, {
		ID: "F17", Title: "control network down and protocol 112 dropped",
		Fault: func(w *World) {
			for _, n := range w.Everybody() {
				n.CutLink(lab.Control)
			}
			blockVRRP(w) // only the service network's heartbeats are left
		},
		Lasts: 8 * time.Second,
		Heal: func(w *World) {
			for _, n := range w.Everybody() {
				n.RestoreLink(lab.Control)
			}
			unblockVRRP(w)
		},
		After:   3 * time.Second,
		Promise: Both(lostChannel("protocol 112")),
	}}
}
