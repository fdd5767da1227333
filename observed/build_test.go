package observed

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

func TestBuildTellsOfOthersWhatTheirHeartbeatsClaim(t *testing.T) {
	self := node("lb1", vrrp.Backup, 110)
	in := Input{
		Now: now, Self: self, Cluster: Cluster{Name: "web", Majority: true, Revision: 3},
		Members: []Member{{Name: "lb3", Address: "192.0.2.3:7112", Role: RoleWitness}, {Name: "lb2", Version: "0.1"}, {Name: "lb1", Role: RoleVoter}},
		Peers: splitbrain.PeerView{
			Members: []splitbrain.MemberView{{
				Name: "lb2", At: now.Add(-100 * time.Millisecond), Direct: now.Add(-100 * time.Millisecond), RTT: time.Millisecond,
				Facts: Facts{Version: "0.2", Revision: 2, RevisionError: "no eth7", Started: 1000, RestartingUntil: 2000}.Encode(200),
				Claims: []splitbrain.ClaimView{{Claim: splitbrain.Claim{
					Unit: "vi_1", State: splitbrain.Master, Priority: 120, Primary: netip.MustParseAddr("192.0.2.2"), Tenure: splitbrain.Tenure{Seq: 4}}}},
			}},
			Reach: []splitbrain.Reach{
				{From: "lb2", To: "lb1", Channel: splitbrain.ChannelVRRP, Unit: "a", At: now.Add(-time.Minute)},
				{From: "lb2", To: "lb1", Channel: splitbrain.ChannelVRRP, Unit: "b", At: now.Add(-time.Second)},
			},
		},
	}
	s := Build(in)
	if len(s.Nodes) != 3 || s.Nodes[0].Name != "lb1" || s.Nodes[0].Role != RoleVoter || !s.Nodes[0].Alive {
		t.Fatalf("nodes = %+v; want lb1, lb2, lb3", s.Nodes)
	}
	lb2, lb3 := s.Nodes[1], s.Nodes[2]
	if !lb2.Alive || lb2.Version != "0.2" || lb2.Revision != 2 || lb2.RevisionError != "no eth7" || lb2.Started.Unix() != 1000 || lb2.RestartingUntil.Unix() != 2000 {
		t.Errorf("lb2 = %+v; want what its facts say", lb2)
	}
	if u := lb2.Units[0]; u.State != vrrp.Master || u.Tenure.Seq != 4 || u.Instances[0].Addresses[0] != self.Units[0].Instances[0].Addresses[0] {
		t.Errorf("unit of lb2 = %+v; want its claim with this node's addresses", u)
	}
	if lb3.Alive || lb3.Role != RoleWitness || !lb3.LastSeen.IsZero() {
		t.Errorf("lb3 = %+v; want a witness that was never heard", lb3)
	}
	if len(s.Links) != 1 || s.Links[0].From != "lb1" || !s.Links[0].Alive {
		t.Errorf("links = %+v; want one: lb1 hears lb2 by its best unit", s.Links)
	}
	if j := Judge(s); j.VIPs[0].Holders[0] != "lb2" || j.Verdict != AtRisk {
		t.Errorf("Judge = %+v; want AT RISK, held by lb2", j)
	}
}

func TestALinkByVRRPIsJudgedByWhatSenderAndListenerAre(t *testing.T) {
	claims := func(state splitbrain.State) []splitbrain.MemberView {
		return []splitbrain.MemberView{{Name: "lb2", Claims: []splitbrain.ClaimView{{Claim: splitbrain.Claim{Unit: "vi_1", State: state}}}}}
	}
	for _, tt := range []struct {
		name     string
		listener vrrp.State
		wants    vrrp.Want
		peers    []splitbrain.MemberView
		age      time.Duration
		want     string
	}{
		{"a BACKUP whose timer runs, noted long ago", vrrp.Backup, vrrp.WantNothing, claims(splitbrain.Master), time.Hour, "alive"},
		{"a BACKUP whose timer ended", vrrp.Backup, vrrp.WantHeld, claims(splitbrain.Master), time.Second, "silent"},
		{"two adverts of ten seconds are missing", vrrp.Fault, vrrp.WantNothing, claims(splitbrain.Master), 31 * time.Second, "alive"},
		{"more than three are missing", vrrp.Fault, vrrp.WantNothing, claims(splitbrain.Master), 33 * time.Second, "silent"},
		{"the sender is BACKUP by now", vrrp.Backup, vrrp.WantNothing, claims(splitbrain.Backup), time.Second, "nothing"},
		{"the sender claims nothing", vrrp.Fault, vrrp.WantNothing, nil, time.Second, "alive"},
	} {
		self := node("lb1", tt.listener, 110)
		self.Units[0].Wants, self.Units[0].Instances[0].AdvertInterval = tt.wants, 10*time.Second
		s := Build(Input{Now: now, Self: self, Peers: splitbrain.PeerView{Members: tt.peers, Reach: []splitbrain.Reach{
			{From: "lb2", To: "lb1", Channel: splitbrain.ChannelVRRP, Unit: "vi_1", At: now.Add(-tt.age)}}}})
		got := "nothing"
		if len(s.Links) == 1 {
			got = map[bool]string{true: "alive", false: "silent"}[s.Links[0].Alive]
		}
		if got != tt.want {
			t.Errorf("%s: the link is %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAHolderWhoseAdvertsArriveIsAliveWithoutHeartbeats(t *testing.T) {
	in := Input{
		Now: now, Self: node("lb1", vrrp.Backup, 110), Members: []Member{{Name: "lb1"}, {Name: "lb2"}},
		Peers: splitbrain.PeerView{
			Members: []splitbrain.MemberView{{Name: "lb2", At: now.Add(-time.Minute), Claims: []splitbrain.ClaimView{{
				Claim: splitbrain.Claim{Unit: "vi_1", State: splitbrain.Master}}}}},
			Reach: []splitbrain.Reach{{From: "lb2", To: "lb1", Channel: splitbrain.ChannelVRRP, Unit: "vi_1", At: now.Add(-time.Minute)}},
		},
	}
	if lb2 := Build(in).Nodes[1]; !lb2.Alive {
		t.Errorf("lb2 = %+v; want it alive by its adverts", lb2)
	}
	in.Self.Units[0].Wants = vrrp.WantHeld
	if lb2 := Build(in).Nodes[1]; lb2.Alive {
		t.Errorf("lb2 = %+v; want it silent when they do not arrive", lb2)
	}
}

// One lost heartbeat ends no record: it is fresh for three.
func TestAMemberIsSilentWhenNothingOfItCounts(t *testing.T) {
	for _, tt := range []struct {
		name          string
		record        time.Duration // ago
		fresh         bool
		advert        time.Duration // ago
		leaving       bool
		alive, silent bool
	}{
		{"its record counts", 500 * time.Millisecond, true, time.Minute, false, true, false},
		{"its record counts no more", 2500 * time.Millisecond, false, time.Minute, false, true, true},
		{"its adverts arrive", 2500 * time.Millisecond, false, time.Second, false, true, false},
		{"long gone", 10 * time.Second, false, time.Minute, false, false, false},
		{"it said goodbye", 2500 * time.Millisecond, false, time.Minute, true, false, false},
	} {
		in := Input{
			Now: now, Self: node("lb1", vrrp.Master, 110), Members: []Member{{Name: "lb1"}, {Name: "lb2"}},
			Peers: splitbrain.PeerView{
				Members: []splitbrain.MemberView{{Name: "lb2", At: now.Add(-tt.record), Fresh: tt.fresh, Leaving: tt.leaving, Claims: []splitbrain.ClaimView{{
					Claim: splitbrain.Claim{Unit: "vi_1", State: splitbrain.Master}, Fresh: tt.fresh}}}},
				Reach: []splitbrain.Reach{{From: "lb2", To: "lb1", Channel: splitbrain.ChannelVRRP, Unit: "vi_1", At: now.Add(-tt.advert)}},
			},
		}
		if lb2 := Build(in).Nodes[1]; lb2.Alive != tt.alive || lb2.Silent != tt.silent {
			t.Errorf("%s: alive %v, silent %v; want %v, %v", tt.name, lb2.Alive, lb2.Silent, tt.alive, tt.silent)
		}
	}
}

func TestAClaimLapsesWithItsRecordAndItsAdverts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fresh  bool
		advert time.Duration // ago
		want   bool
	}{
		{"the record counts", true, time.Minute, false},
		{"adverts arrive", false, time.Second, false},
		{"neither", false, 4 * time.Second, true},
	} {
		in := Input{
			Now: now, Self: node("lb1", vrrp.Master, 110), Members: []Member{{Name: "lb1"}, {Name: "lb2"}},
			Peers: splitbrain.PeerView{
				Members: []splitbrain.MemberView{{Name: "lb2", At: now.Add(-2 * time.Second), Claims: []splitbrain.ClaimView{{
					Claim: splitbrain.Claim{Unit: "vi_1", State: splitbrain.Master}, Fresh: tt.fresh}}}},
				Reach: []splitbrain.Reach{{From: "lb2", To: "lb1", Channel: splitbrain.ChannelVRRP, Unit: "vi_1", At: now.Add(-tt.advert)}},
			},
		}
		if got := len(Build(in).Nodes[1].Lapsed) > 0; got != tt.want {
			t.Errorf("%s: lapsed is %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Who took over knows more than who only watches: to the latter the old holder's last
// claim counts for a while yet.
func TestAClaimThatIsOlderThanAnotherTenureHasLapsed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		record time.Duration // of lb2, ago
		advert time.Duration // of lb2, ago
		want   bool
	}{
		{"silent since before the other began", 2 * time.Second, time.Minute, true},
		{"it goes on saying that it holds", 100 * time.Millisecond, time.Minute, false},
		{"it goes on advertising", 2 * time.Second, 100 * time.Millisecond, false},
	} {
		in := Input{
			Now: now, Self: node("lb1", vrrp.Fault, 110), Members: []Member{{Name: "lb1"}, {Name: "lb2"}, {Name: "lb3"}},
			Peers: splitbrain.PeerView{
				Members: []splitbrain.MemberView{
					{Name: "lb2", At: now.Add(-tt.record), Claims: []splitbrain.ClaimView{{
						Claim: splitbrain.Claim{Unit: "vi_1", State: splitbrain.Master, StateAge: time.Hour}, At: now.Add(-tt.record), Fresh: true}}},
					{Name: "lb3", At: now, Claims: []splitbrain.ClaimView{{
						Claim: splitbrain.Claim{Unit: "vi_1", State: splitbrain.Master, StateAge: 300 * time.Millisecond}, At: now, Fresh: true}}},
				},
				Reach: []splitbrain.Reach{{From: "lb2", To: "lb1", Channel: splitbrain.ChannelVRRP, Unit: "vi_1", At: now.Add(-tt.advert)}},
			},
		}
		s := Build(in)
		if got := len(s.Nodes[1].Lapsed) > 0; got != tt.want || len(s.Nodes[2].Lapsed) > 0 {
			t.Errorf("%s: lapsed of lb2 is %v, of lb3 %v; want %v, and lb3 to hold", tt.name, got, s.Nodes[2].Lapsed, tt.want)
		}
	}
}

func TestTheTargetIsTheNewestRevisionThatAnyNodeRuns(t *testing.T) {
	self := node("lb1", vrrp.Backup, 110)
	self.Revision = 2
	s := Build(Input{Now: now, Self: self, Cluster: Cluster{Revision: 2}, Members: []Member{{Name: "lb1"}, {Name: "lb2"}}, Peers: splitbrain.PeerView{
		Members: []splitbrain.MemberView{{Name: "lb2", At: now, Facts: Facts{Revision: 3}.Encode(200)}}}})
	if s.Cluster.Revision != 3 {
		t.Errorf("revision = %d, want 3", s.Cluster.Revision)
	}
}

func TestAGoodbyeCountsAtOnce(t *testing.T) {
	s := Build(Input{
		Now: now, Self: node("lb1", vrrp.Backup, 110), Members: []Member{{Name: "lb1"}, {Name: "lb2"}},
		Peers: splitbrain.PeerView{Members: []splitbrain.MemberView{{Name: "lb2", At: now, Direct: now, Leaving: true}}},
	})
	if s.Nodes[1].Alive {
		t.Error("a node that said goodbye counts as alive")
	}
}

func FuzzDecodeFacts(f *testing.F) {
	f.Add(Facts{Version: "1", Revision: 2, RevisionError: "x", Started: 3}.Encode(200))
	f.Add([]byte(`{"v":7}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		facts := DecodeFacts(data)
		if out := facts.Encode(200); len(out) > 200 {
			t.Errorf("%q is encoded in %d bytes", data, len(out))
		}
	})
}

func TestAnswersToProbesAndGossipAreChannels(t *testing.T) {
	in := Input{
		Now: now, Self: Node{Name: "lb1"}, Members: []Member{{Name: "lb1"}, {Name: "lb2"}, {Name: "lb3"}},
		Gossip: map[string]bool{"lb2": true, "lb3": false, "gone": true},
		Peers: splitbrain.PeerView{Reach: []splitbrain.Reach{
			{From: "lb2", To: "lb1", Channel: splitbrain.ChannelProbe, At: now.Add(-10 * time.Second)},
			{From: "lb3", To: "lb1", Channel: splitbrain.ChannelProbe},
		}},
	}
	got := map[string]bool{}
	for _, l := range Build(in).Links {
		got[string(l.Channel)+" "+l.To] = l.Alive
	}
	want := map[string]bool{"probe lb2": true, "probe lb3": false, "gossip lb2": true, "gossip lb3": false}
	if !maps.Equal(got, want) {
		t.Errorf("links = %v, want %v", got, want)
	}
}

func TestALeaseIsShownWithItsHolder(t *testing.T) {
	s := Build(Input{Now: now, Cluster: Cluster{Name: "web"}, Self: Node{Name: "lb1", Units: node("lb1", vrrp.Master, 100).Units}, Peers: splitbrain.PeerView{Leases: []splitbrain.UnitLease{
		{Unit: "vi_1", Ballot: 7, Left: 900 * time.Millisecond, Missing: []string{"lb3: not heard"}}}}})
	if v := Judge(s).VIPs; len(v) != 1 || v[0].Lease == nil || *v[0].Lease != (Lease{Left: 900 * time.Millisecond, Ballot: "7"}) {
		t.Fatalf("addresses = %+v, want one with lease 7", v)
	}
	s.Nodes[0].Leases["vi_1"] = Lease{Ballot: "8", Waiting: "lb3: not heard"}
	if v := Judge(s).VIPs; v[0].Lease == nil || v[0].Lease.Waiting != "lb3: not heard" {
		t.Errorf("lease = %+v, want what is waited for", v[0].Lease)
	}
}
