package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// lostLimit is F1's bar for a holder that dies while protocol 112 is blocked:
// 1.1 × Master_Down_Interval and half a second.
func lostLimit(priority int) time.Duration {
	return masterDown(priority)*11/10 + 500*time.Millisecond
}

// U9 and F1: a firewall drops protocol 112 on every node. keepalived has as
// many holders as nodes then.
func TestU9BlockedVRRPDoesNotSplitTheBrain(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	blocked := time.Now()
	for _, n := range s.nodes() {
		n.Block(lab.VRRP, lab.Both)
	}
	wantAlert(t, s.db, 5*time.Second, "vrrp_channel_lost", "protocol 112")
	lab.During(8 * time.Second)
	s.watch.WantHolder(s.a, vip, time.Second)
	view := s.watch.Since(blocked)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)

	healed := time.Now()
	for _, n := range s.nodes() {
		n.Unblock(lab.VRRP)
	}
	lab.During(3 * time.Second)
	s.watch.WantHolder(s.a, vip, time.Second)
	s.watch.Since(healed).WantNeverTwo(0, vip)
}

// F1 with the holder killed, and stopped, while protocol 112 is blocked: a
// backup that never takes over would be no solution.
func TestF1HolderDiesWhileVRRPIsBlocked(t *testing.T) {
	for _, fault := range []struct {
		name   string
		signal syscall.Signal
	}{{"killed", syscall.SIGKILL}, {"stopped", syscall.SIGSTOP}} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			s := newTrio(t, lab.Control, trioConf(""))
			for _, n := range s.nodes() {
				n.Block(lab.VRRP, lab.Both)
			}
			lab.During(5 * time.Second)
			died := time.Now()
			s.da.SignalAll(fault.signal)
			s.watch.WantHolder(s.b, vip, lostLimit(120)+slack)
			view := s.watch.Since(died)
			view.WantNeverTwo(0, vip)
			view.WantDarkAtMost(lostLimit(120), vip)
			if fault.signal == syscall.SIGSTOP {
				woke := time.Now()
				s.da.SignalAll(syscall.SIGCONT)
				lab.During(5 * time.Second)
				s.watch.Since(woke).WantNeverTwo(meeting, vip)
			}
		})
	}
}

// F5: A and B do not hear each other, C hears both. One holder throughout.
func TestF5PartialPartition(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	cut := time.Now()
	s.lan.Cut(s.a, s.b, lab.Service, lab.Control)
	s.lan.Cut(s.b, s.a, lab.Service, lab.Control)
	lab.During(10 * time.Second)
	s.watch.WantHolder(s.a, vip, time.Second)
	view := s.watch.Since(cut)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
	wantReigns(t, view, 4, 51, s.a)

	healed := time.Now()
	s.lan.Heal()
	lab.During(3 * time.Second)
	s.watch.Since(healed).WantNeverTwo(0, vip)
	s.watch.WantHolder(s.a, vip, time.Second)
}

// F16: gossip and heartbeats are blocked, VRRP is healthy. Nothing moves.
func TestF16BlockedMeshMovesNothing(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	blocked := time.Now()
	for _, n := range s.nodes() {
		n.Block(lab.GossipUDP, lab.Both)
		n.Block(lab.Heartbeats, lab.Both)
	}
	wantAlert(t, s.db, 10*time.Second, "mesh_channel_lost")
	lab.During(8 * time.Second)
	view := s.watch.Since(blocked)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
	wantReigns(t, view, 4, 51, s.a)

	for _, n := range s.nodes() {
		n.Unblock(lab.GossipUDP)
		n.Unblock(lab.Heartbeats)
	}
	for _, d := range s.daemons() {
		wantPeers(t, d, 2)
	}
	s.watch.Since(blocked).WantNeverTwo(0, vip)
}

// Two holders that the mesh connects: both channels are cut between two halves,
// so both hold; at the heal one lets go within two heartbeats.
func TestTotalPartitionEndsAtTheHeal(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	for _, other := range []*lab.Node{s.b, s.c} {
		s.lan.Cut(s.a, other, lab.Service, lab.Control)
		s.lan.Cut(other, s.a, lab.Service, lab.Control)
	}
	lab.Want(t, 8*time.Second, "lb02 serves its half", func() (string, bool) { return "", s.b.Has(vip) })
	lab.During(2 * time.Second)
	healed := time.Now()
	s.lan.Heal()
	s.watch.WantHolder(s.a, vip, 3*time.Second)
	s.watch.Since(healed).WantNeverTwo(time.Second, vip)
	wantAlert(t, s.da, 3*time.Second, "split_brain")
}

// F17: the control network is down, the service network is fine. Heartbeats
// have a path left, so nothing moves and everybody stays heard.
func TestF17ControlNetworkDown(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	s.watch.WantHeartbeats(5*time.Second, s.nodes()...)
	down := time.Now()
	for _, n := range s.nodes() {
		n.CutLink(lab.Control)
	}
	lab.During(8 * time.Second)
	view := s.watch.Since(down)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
	wantReigns(t, view, 4, 51, s.a)
	for _, n := range s.nodes() {
		n.Block(lab.VRRP, lab.Both) // only the service network's heartbeats are left
	}
	lab.During(6 * time.Second)
	s.watch.WantHolder(s.a, vip, time.Second)
	s.watch.Since(down).WantNeverTwo(0, vip)
}
