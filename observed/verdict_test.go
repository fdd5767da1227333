package observed

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/vrrp"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// node runs the unit vi_1 in the given state.
func node(name string, state vrrp.State, priority vrrp.Priority) Node {
	return Node{Name: name, Alive: true, Revision: 3, Units: []vrrp.UnitStatus{{
		Name: "vi_1", State: state, Priority: priority, Primary: netip.MustParseAddr("192.0.2." + name[len(name)-1:]),
		Instances: []vrrp.InstanceStatus{{
			Name: "vi_1", Interface: "eth0", State: state, Priority: priority, AdvertInterval: time.Second,
			Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")},
		}},
	}}}
}

func cluster(nodes ...Node) Snapshot {
	return Snapshot{Time: now, Observer: "lb1", Nodes: nodes, Cluster: Cluster{Name: "web", Revision: 3, Majority: true}}
}

func with(s Snapshot, change func(*Snapshot)) Snapshot {
	change(&s)
	return s
}

func TestJudgeSaysWhatIsWrongAndHowMuchMoreMayFail(t *testing.T) {
	three := func() Snapshot {
		return cluster(node("lb1", vrrp.Master, 120), node("lb2", vrrp.Backup, 110), node("lb3", vrrp.Backup, 100))
	}
	tests := []struct {
		name      string
		snapshot  Snapshot
		want      Verdict
		reason    string
		tolerance int
	}{{
		name: "one holder and two backups", snapshot: three(),
		want: Safe, reason: "the virtual address has one holder", tolerance: 2,
	}, {
		name:     "two holders",
		snapshot: cluster(node("lb1", vrrp.Master, 120), node("lb2", vrrp.Master, 110)),
		want:     Violated, reason: "192.0.2.100: held by lb1 and lb2", tolerance: 0,
	}, {
		name: "a holder that fell silent before another took over",
		snapshot: with(cluster(node("lb1", vrrp.Master, 120), node("lb2", vrrp.Master, 110)), func(s *Snapshot) {
			s.Nodes[0].Lapsed = []string{"vi_1"}
		}),
		want: AtRisk, reason: "192.0.2.100: held by lb2; no other node can take it", tolerance: 0,
	}, {
		name: "two holders that both fell silent",
		snapshot: with(cluster(node("lb1", vrrp.Master, 120), node("lb2", vrrp.Master, 110), node("lb3", vrrp.Backup, 100)), func(s *Snapshot) {
			s.Nodes[0].Lapsed, s.Nodes[1].Lapsed = []string{"vi_1"}, []string{"vi_1"}
		}),
		want: Violated, reason: "192.0.2.100: held by lb1 and lb2", tolerance: 1,
	}, {
		name:     "no holder",
		snapshot: cluster(node("lb1", vrrp.Fault, 120), node("lb2", vrrp.Backup, 110)),
		want:     Dark, reason: "192.0.2.100: held by nobody: lb2 is BACKUP, lb1 is FAULT", tolerance: 0,
	}, {
		name:     "nobody left to take over",
		snapshot: cluster(node("lb1", vrrp.Master, 120), node("lb2", vrrp.Fault, 110)),
		want:     AtRisk, reason: "192.0.2.100: held by lb1; no other node can take it (lb2 is FAULT)", tolerance: 0,
	}, {
		name:     "a member is off",
		snapshot: with(three(), func(s *Snapshot) { s.Nodes[2].Alive = false }),
		want:     AtRisk, reason: "lb3 is not heard", tolerance: 1,
	}, {
		name:     "a dead master holds nothing",
		snapshot: with(three(), func(s *Snapshot) { s.Nodes[0].Alive = false }),
		want:     Dark, reason: "held by nobody", tolerance: 0,
	}, {
		name:     "no majority",
		snapshot: with(three(), func(s *Snapshot) { s.Cluster.Majority = false }),
		want:     AtRisk, reason: "no majority of the voters answers", tolerance: 2,
	}, {
		name: "an election",
		snapshot: with(three(), func(s *Snapshot) {
			s.Cluster.Majority, s.Cluster.Voters = false, []string{"lb1", "lb2", "lb3"}
		}),
		want: AtRisk, reason: "the voters are choosing a leader", tolerance: 2,
	}, {
		name:     "a member cannot run the revision",
		snapshot: with(three(), func(s *Snapshot) { s.Nodes[1].RevisionError = "no interface eth7" }),
		want:     AtRisk, reason: "lb2 does not run revision 3", tolerance: 2,
	}, {
		name:     "a member whose disk stalls has no vote",
		snapshot: with(three(), func(s *Snapshot) { s.Nodes[2].StoreError = "the disk did not complete a write in time" }),
		want:     AtRisk, reason: "lb3 has no vote: the disk did not complete a write in time", tolerance: 2,
	}, {
		name: "with quorum the voters bound what may fail",
		snapshot: with(three(), func(s *Snapshot) {
			s.Policies, s.Cluster.Voters = map[string]string{"vi_1": "quorum"}, []string{"lb1", "lb2", "lb3"}
		}),
		want: Safe, reason: "the virtual address has one holder", tolerance: 1,
	}, {
		name: "with quorum a voter that is off is missed",
		snapshot: with(three(), func(s *Snapshot) {
			s.Policies, s.Cluster.Voters = map[string]string{"vi_1": "quorum"}, []string{"lb1", "lb2", "w1"}
		}),
		want: AtRisk, reason: "held by lb1; without one more voter nobody may hold it (2 of 3 answer)", tolerance: 0,
	}, {
		name: "an open alert on the unit",
		snapshot: with(three(), func(s *Snapshot) {
			s.Alerts = []Alert{{Unit: "vi_1", Severity: Warning, Summary: "adverts of lb1 do not arrive"}}
		}),
		want: AtRisk, reason: "held by lb1; adverts of lb1 do not arrive", tolerance: 2,
	}, {
		name: "an open alert on a channel between nodes",
		snapshot: with(three(), func(s *Snapshot) {
			s.Alerts = []Alert{{Severity: Warning, Summary: "heartbeats of lb2 do not reach lb1"}}
		}),
		want: AtRisk, reason: "heartbeats of lb2 do not reach lb1", tolerance: 2,
	}, {
		name: "a router outside the cluster holds it",
		snapshot: with(cluster(node("lb1", vrrp.Backup, 120), node("lb2", vrrp.Backup, 110)), func(s *Snapshot) {
			s.Nodes[0].Units[0].Instances[0].LastAdvert = vrrp.AdvertSeen{
				From: netip.MustParseAddr("192.0.2.50"), Priority: 200, Interval: time.Second, At: now.Add(-time.Second)}
		}),
		want: AtRisk, reason: "held by 192.0.2.50, which is no member", tolerance: 0,
	}, {
		name: "a member whose heartbeats do not arrive",
		snapshot: with(cluster(node("lb1", vrrp.Backup, 120), Node{Name: "lb2", Alive: true, Sources: []netip.Addr{netip.MustParseAddr("192.0.2.50")}}), func(s *Snapshot) {
			s.Nodes[0].Units[0].Instances[0].LastAdvert = vrrp.AdvertSeen{
				From: netip.MustParseAddr("192.0.2.50"), Priority: 200, Interval: time.Second, At: now.Add(-time.Second)}
		}),
		want: AtRisk, reason: "held by lb2, by its adverts from 192.0.2.50: its heartbeats do not arrive", tolerance: 0,
	}, {
		name:     "nobody who could take over is heard",
		snapshot: with(three(), func(s *Snapshot) { s.Nodes[1].Alive, s.Nodes[2].Alive = false, false }),
		want:     AtRisk, reason: "held by lb1; no other node that is heard can take it (lb2, lb3 are not heard)", tolerance: 0,
	}, {
		name:     "no virtual addresses yet",
		snapshot: cluster(Node{Name: "lb1", Alive: true}),
		want:     Safe, reason: "no virtual addresses are configured", tolerance: 0,
	}, {
		name:     "one node alone",
		snapshot: cluster(node("lb1", vrrp.Master, 120)),
		want:     AtRisk, reason: "no other node can take it", tolerance: 0,
	}, {
		name:     "not in a cluster",
		snapshot: Snapshot{Time: now, Observer: "lb1", Nodes: []Node{{Name: "lb1", Alive: true}}},
		want:     Unknown, reason: "in no cluster yet", tolerance: 0,
	}, {
		name:     "standalone",
		snapshot: with(cluster(node("lb1", vrrp.Master, 120)), func(s *Snapshot) { s.Standalone = true }),
		want:     Safe, reason: "this node runs alone", tolerance: 0,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Judge(tt.snapshot)
			if got.Verdict != tt.want || !strings.Contains(got.Reason, tt.reason) || got.Tolerance != tt.tolerance {
				t.Errorf("Judge = %s %q tolerance %d, want %s %q tolerance %d",
					got.Verdict, got.Reason, got.Tolerance, tt.want, tt.reason, tt.tolerance)
			}
			if got.Verdict > Safe && got.Next == "" {
				t.Error("nothing is said of what to do next")
			}
		})
	}
}

func TestEditsSurviveAsManyFailuresAsVotersAreToSpare(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Snapshot)
		want   int
	}{
		{"three voters", func(*Snapshot) {}, 1},
		{"one is off", func(s *Snapshot) { s.Nodes[2].Alive = false }, 0},
		{"no majority", func(s *Snapshot) { s.Cluster.Majority = false }, 0},
		{"the disk of one stalls", func(s *Snapshot) { s.Nodes[2].StoreError = "stalled" }, 0},
		{"two voters", func(s *Snapshot) { s.Cluster.Voters = s.Cluster.Voters[:2] }, 0},
	} {
		s := cluster(node("lb1", vrrp.Master, 120), node("lb2", vrrp.Backup, 110), node("lb3", vrrp.Backup, 100))
		s.Cluster.Voters = []string{"lb1", "lb2", "lb3"}
		tt.change(&s)
		if got := Judge(s).Edits; got != tt.want {
			t.Errorf("%s: Edits = %d, want %d", tt.name, got, tt.want)
		}
	}
}
