package splitbrain

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// scene drives n1's core, a BACKUP of VI_1, through virtual time: every 200 ms
// those who speak send a record, and every second those who hold an advert.
type scene struct {
	c      *Core
	seq    uint64
	now    time.Duration
	alerts []Alert // as they were told
	record *Record // the latest
}

func newScene() *scene { return &scene{c: newCore(Backup)} }

// run goes on until the given time. A speaker is a name of newCore.
func (s *scene) run(until time.Duration, speakers, advertisers []string) {
	for ; s.now < until; s.now += 200 * ms {
		s.seq++
		for _, name := range speakers {
			d := record(name, BootID(name[1]), s.seq, Ack{Boot: 1, Known: s.c.seq, Direct: s.c.seq})
			d.Record.Interval = 200 * ms
			d.Record.Addrs = append(d.Record.Addrs, sceneAddrs[name])
			s.c.Receive(at(s.now), d, "eth0")
		}
		for _, name := range advertisers {
			if s.now%time.Second == 0 {
				s.c.Observe(AdvertEvidence{Unit: "VI_1", From: sceneAddrs[name], Priority: 100, At: at(s.now)})
			}
		}
		out := step(s.c, at(s.now))
		s.alerts = append(s.alerts, out.Alerts...)
		if out.Record != nil {
			s.record = out.Record
		}
	}
}

var sceneAddrs = map[string]netip.Addr{"n2": addr("192.0.2.2"), "n3": addr("192.0.2.3")}

// told are the alerts so far, as kind and peer; an end has a minus before it.
func (s *scene) told() []string {
	var told []string
	for _, a := range s.alerts {
		sign := ""
		if a.Resolved {
			sign = "-"
		}
		told = append(told, sign+string(a.Kind)+" "+a.Peer)
	}
	slices.Sort(told)
	return told
}

func (s *scene) want(t *testing.T, want ...string) {
	t.Helper()
	if got := s.told(); !slices.Equal(got, want) {
		t.Errorf("at %v alerts %q; want %q", s.now, got, want)
	}
}

var both = []string{"n2", "n3"}

// F16: units are seldom shown anew in steady state, so it is the single adverts
// that prove a holder alive whose records stay away.
func TestAdvertsTellABlockedMeshFromADeath(t *testing.T) {
	s := newScene()
	s.run(5*time.Second, both, both[:1])
	s.want(t)
	s.run(20*time.Second, nil, both[:1])
	s.want(t, "member_silent n3", "mesh_channel_lost n2")
	s.run(30*time.Second, both, both[:1])
	s.want(t, "-member_silent n3", "-mesh_channel_lost n2", "member_silent n3", "mesh_channel_lost n2")
}

func TestClaimsTellTheAgeOfTheLastAdvertOfAll(t *testing.T) {
	s := newScene()
	s.run(5*time.Second+100*ms, both, both[:1])
	if c := s.record.Claims[0]; c.Heard != sceneAddrs["n2"] || c.HeardAge > 200*ms {
		t.Errorf("claim says: heard %v, %v ago; want 192.0.2.2 at most 200ms ago", c.Heard, c.HeardAge)
	}
	s.c.SetUnits([]UnitView{*ownView(Backup)}) // which has no advert
	s.run(6*time.Second, both, nil)
	if c := s.record.Claims[0]; c.Heard != sceneAddrs["n2"] {
		t.Errorf("claim says: heard %v after a new view; want 192.0.2.2", c.Heard)
	}
}

// Gossip notices a death before the last record is old; that is no sign that
// heartbeats arrive.
func TestDeathIsNotTakenForLostGossip(t *testing.T) {
	s := newScene()
	s.run(5*time.Second, both, nil)
	s.run(6800*ms, both[1:], nil)
	s.c.SetMembers([]Member{{Name: "n2", Gossip: GossipLost}, {Name: "n3"}})
	s.run(20*time.Second, both[1:], nil)
	s.want(t, "member_silent n2")
}

// Who hears nobody is rather cut off itself; and what a silent member held last is said.
func TestSilenceOfAllMembersIsLookedForHereFirst(t *testing.T) {
	for _, alone := range []bool{true, false} {
		s := newScene()
		s.run(5*time.Second, both, nil)
		d := record("n2", BootID('2'), s.seq+1, Ack{Boot: 1, Known: s.c.seq, Direct: s.c.seq})
		d.Record.Interval = 200 * ms
		d.Record.Claims = []Claim{{Unit: "VI_1", State: Master, Eligible: true, Tenure: Tenure{Seq: 1, Priority: 100, Primary: sceneAddrs["n2"]}}}
		s.c.Receive(at(5*time.Second), d, "eth0")
		var speak []string
		if !alone {
			speak = both[1:]
		}
		s.run(20*time.Second, speak, nil)
		i := slices.IndexFunc(s.alerts, func(a Alert) bool { return a.Kind == MemberSilent && a.Peer == "n2" })
		if i < 0 {
			t.Fatalf("alerts %q; want member_silent n2", s.told())
		}
		a := s.alerts[i]
		if here := strings.HasPrefix(a.Remedy, "look first whether n1 is connected itself, it hears no member; then look whether n2"); here != alone {
			t.Errorf("hears nobody: %v, remedy %q", alone, a.Remedy)
		}
		if !slices.Contains(a.Evidence, "mesh: by its last word it is MASTER of VI_1") {
			t.Errorf("evidence %q does not say what it held", a.Evidence)
		}
	}
}

func TestLostGossipIsToldWhenItHasStood(t *testing.T) {
	s := newScene()
	s.run(5*time.Second, both, nil)
	s.c.SetMembers([]Member{{Name: "n2", Gossip: GossipLost}, {Name: "n3"}})
	s.run(5*time.Second+doubtGrace, both, nil)
	s.want(t)
	s.run(10*time.Second, both, nil)
	s.want(t, "mesh_channel_lost n2")
	s.run(11*time.Second, both[1:], nil) // a few records are lost
	s.run(12*time.Second, both, nil)
	s.want(t, "mesh_channel_lost n2")
	s.c.SetMembers([]Member{{Name: "n2", Gossip: GossipAlive}, {Name: "n3"}})
	s.run(13*time.Second, both, nil)
	s.want(t, "-mesh_channel_lost n2", "mesh_channel_lost n2")
}

func TestNobodyIsAStrangerBeforeTheMembersWereHeard(t *testing.T) {
	s := newScene()
	s.run(10*time.Second, both[1:], both[:1])
	s.want(t)
	s.run(12*time.Second, both, both[:1])
	s.want(t)

	s = newScene()
	s.run(14*time.Second, both[1:], both[:1])
	if !slices.Contains(s.told(), "foreign_master 192.0.2.2") {
		t.Errorf("alerts %q; want foreign_master of a router that nobody claims to be", s.told())
	}
}

// A node that starts while the mesh is down knows its members by what they told an
// earlier life of it.
func TestMemberOfAnEarlierLifeIsNoStrangerBehindADeadMesh(t *testing.T) {
	s := newScene()
	s.c.SetMembers([]Member{{Name: "n2", Before: Identity{Addrs: []netip.Addr{sceneAddrs["n2"]}}}, {Name: "n3"}})
	s.run(30*time.Second, nil, both[:1])
	s.want(t, "member_silent n3", "mesh_channel_lost n2")
	s.c.Observe(AdvertEvidence{Unit: "VI_1", From: addr("192.0.2.9"), Priority: 100, Refused: "its password is another one", At: at(s.now)})
	s.run(31*time.Second, nil, both[:1])
	s.want(t, "foreign_master 192.0.2.9", "member_silent n3", "mesh_channel_lost n2")
}

// What a member says itself replaces what it said before.
func TestAddressThatAMemberHasGivenUpIsAStrangers(t *testing.T) {
	s := newScene()
	s.c.SetMembers([]Member{{Name: "n2", Before: Identity{Addrs: []netip.Addr{addr("192.0.2.9")}}}, {Name: "n3"}})
	s.run(12*time.Second, both, both[:1])
	s.c.Observe(AdvertEvidence{Unit: "VI_1", From: addr("192.0.2.9"), Priority: 100, At: at(s.now)})
	s.run(13*time.Second, both, both[:1])
	s.want(t, "foreign_master 192.0.2.9")
}

// Without such a memory the alert says who it may be.
func TestStrangerMayBeAMemberThatTheMeshDoesNotReach(t *testing.T) {
	s := newScene()
	s.c.SetMembers([]Member{{Name: "n2"}, {Name: "n3"}, {Name: "w", Witness: true}})
	s.run(14*time.Second, both[1:], both[:1])
	for _, a := range s.alerts {
		if a.Kind == ForeignMaster && !strings.Contains(a.Summary, "unless it is n2, of which nothing was heard since n1 started") {
			t.Errorf("summary %q does not say that it may be n2", a.Summary)
		}
	}
	if !slices.Contains(s.told(), "foreign_master 192.0.2.2") {
		t.Errorf("alerts %q; want foreign_master", s.told())
	}
}

// The last advert of a member may be looked at when it is a member no more.
func TestMemberThatLeftIsAStrangerOnlyByNewAdverts(t *testing.T) {
	s := newScene()
	s.run(12*time.Second, both, both)
	s.c.SetMembers([]Member{{Name: "n3"}})
	s.c.Observe(AdvertEvidence{Unit: "VI_1", From: addr("192.0.2.2"), Priority: 100, At: at(12 * time.Second)})
	s.run(13*time.Second, both[1:], both[1:])
	s.want(t)
	s.c.Observe(AdvertEvidence{Unit: "VI_1", From: addr("192.0.2.2"), Priority: 100, At: at(13 * time.Second)})
	s.run(14*time.Second, both[1:], both[1:])
	if !slices.Contains(s.told(), "foreign_master 192.0.2.2") {
		t.Errorf("alerts %q; want foreign_master of one that left and goes on", s.told())
	}
}

// Who leaves has no units any more, and so no addresses that it would advertise from.
func TestMemberThatNamesNoAddressesAnyMoreIsAStrangerOnlyByNewAdverts(t *testing.T) {
	s := newScene()
	s.run(12*time.Second, both, both)
	d := record("n2", BootID('2'), s.seq+1, Ack{Boot: 1, Known: s.c.seq, Direct: s.c.seq})
	d.Record.Leaving = true
	s.c.Receive(at(12*time.Second), d, "eth0")
	s.c.Observe(AdvertEvidence{Unit: "VI_1", From: sceneAddrs["n2"], Priority: 100, At: at(11900 * ms)})
	s.run(13*time.Second, both[1:], both[1:])
	s.want(t)
	s.c.Observe(AdvertEvidence{Unit: "VI_1", From: sceneAddrs["n2"], Priority: 100, At: at(13 * time.Second)})
	s.run(14*time.Second, both[1:], both[1:])
	s.want(t, "foreign_master 192.0.2.2")
}

func TestGoodbyeIsNoStranger(t *testing.T) {
	s := newScene()
	s.run(12*time.Second, both, both)
	s.c.Observe(AdvertEvidence{Unit: "VI_1", From: addr("192.0.2.9"), At: at(12 * time.Second)})
	s.run(13*time.Second, both, both)
	s.want(t)
	s.c.Observe(AdvertEvidence{Unit: "VI_1", From: addr("192.0.2.9"), Priority: 1, At: at(13 * time.Second)})
	s.run(14*time.Second, both, both)
	s.want(t, "foreign_master 192.0.2.9")
}

// Conditions that begin, or end, at one moment are told in one order: what is told is
// the same in every run of a simulation.
func TestAlertsOfOneMomentAreToldInOrder(t *testing.T) {
	s := newScene()
	s.run(12*time.Second, both, both)
	var want, ends []string
	for i := range 8 {
		peer := "192.0.2.2" + string(rune('1'+i))
		s.c.Observe(AdvertEvidence{Unit: "VI_1", From: addr(peer), Priority: 1, At: at(s.now)})
		want, ends = append(want, "foreign_master "+peer), append(ends, "-foreign_master "+peer)
	}
	tell := func() (told []string) {
		for _, a := range s.alerts {
			name := string(a.Kind) + " " + a.Peer
			if a.Resolved {
				name = "-" + name
			}
			told = append(told, name)
		}
		return told
	}
	s.run(13*time.Second, both, both)
	if got := tell(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	s.run(10*time.Minute, both, both)
	if got := tell(); !slices.Equal(got, append(want, ends...)) {
		t.Errorf("told %q, want %q", got, append(want, ends...))
	}
}

func TestAlertIsToldAgainWhenTheDiagnosisHasChanged(t *testing.T) {
	s := &shownAlert{}
	a := Alert{Kind: VRRPChannelLost, Summary: "deaf", Remedy: "look at n1"}
	other := a
	other.Remedy = "look at n2"
	for i, step := range []struct {
		at    time.Duration
		alert Alert
		told  bool
	}{
		{0, a, true},
		{ms, a, false},
		{time.Second, other, false},
		{2 * time.Second, a, false},
		{3 * time.Second, other, false},
		{3*time.Second + doubtGrace - 1, other, false},
		{3*time.Second + doubtGrace, other, true},
		{time.Hour, other, false},
	} {
		if got := s.show(at(step.at), step.alert); got != step.told {
			t.Errorf("step %d: told = %v, want %v", i, got, step.told)
		}
	}
}

func TestWhoHearsTheHolderIsSaidByPresentAdverts(t *testing.T) {
	u := ownView(Backup)
	u.Wants = WantHeld
	u.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-5 * time.Second)}
	third := func(age time.Duration) Peer {
		p := peer(Backup)
		p.Node, p.Boot, p.Addrs = "n3", 3, []netip.Addr{addr("192.0.2.3")}
		p.Claim.Primary, p.Claim.Heard, p.Claim.HeardAge = addr("192.0.2.3"), addr("192.0.2.2"), age
		return p
	}
	tests := []struct {
		name string
		age  time.Duration
		want string
	}{
		{"within an interval", 900 * ms, "vrrp: n3 hears n2"},
		{"not for two intervals", 2 * time.Second, "vrrp: n3 does not hear n2 either"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Decide(view(u, peer(Master), third(tt.age)))
			if len(d.Alerts) != 1 || !slices.Contains(d.Alerts[0].Evidence, tt.want) {
				t.Errorf("alerts %+v; want one with evidence %q", d.Alerts, tt.want)
			}
		})
	}
}
