package splitbrain

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The scene of these tests: this node is n1 (boot 1, priority 150), its peer
// n2 (boot 2, priority 100), one second between adverts. The peer is in
// two-way contact unless a case says otherwise.

var now = at(time.Hour)

func ownView(s State) *UnitView {
	u := &UnitView{
		Name: "VI_1", State: s, Since: now.Add(-time.Minute), Eligible: s == Backup || s == Master,
		Priority: 150, Primary: addr("192.0.2.1"), VIPs: []netip.Addr{addr("192.0.2.100")},
		AdvertInterval: time.Second, DownTimerAdverts: 3,
	}
	if s == Master {
		u.Tenure = Tenure{Seq: 4, Priority: 150, Primary: u.Primary}
	}
	return u
}

func peer(s State) Peer {
	p := Peer{
		Node: "n2", Boot: 2, Interval: 200 * ms, Addrs: []netip.Addr{addr("192.0.2.2")}, RTT: ms,
		Claim: &Claim{
			Unit: "VI_1", State: s, Eligible: true, Priority: 100, Primary: addr("192.0.2.2"),
			VIPHash: HashVIPs([]netip.Addr{addr("192.0.2.100")}),
		},
		At: now.Add(-100 * ms), Knows: 50, KnownAt: now.Add(-200 * ms),
	}
	if s == Master {
		p.Claim.Tenure = Tenure{Seq: 7, Priority: 100, Primary: addr("192.0.2.2")}
		p.MasterSeq, p.MasterSince, p.MasterCount = 7, now.Add(-30*time.Second), 100
	}
	return p
}

func view(u *UnitView, peers ...Peer) *View {
	return &View{
		Now: now, Node: "n1", Boot: 1, Heartbeat: 200 * ms, Unit: u, Peers: peers, First: 40,
		Memory: Memory{delivered: true, members: []netip.Addr{addr("192.0.2.2")}},
	}
}

// verdicts are what Decide says but for reasons and Members.
func verdicts(v *View) []Verdict {
	var out []Verdict
	for _, verdict := range Decide(v).Verdicts {
		switch x := verdict.(type) {
		case Hold:
			x.Reason = ""
			out = append(out, x)
		case TakeOver:
			x.Reason = ""
			out = append(out, x)
		case Yield:
			x.Reason = ""
			out = append(out, x)
		case Reannounce:
			out = append(out, Reannounce{})
		}
	}
	return out
}

func diffVerdicts(want, got []Verdict) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpAddrs)
}

// fresh2s is R0's freshness at one second: 1.1 × 2 s + 20 ms.
const fresh2s = 2220 * ms

func TestBackupIsHeldByAFreshClaim(t *testing.T) {
	hold := []Verdict{Hold{Until: now.Add(fresh2s - 100*ms)}}
	tests := []struct {
		name   string
		change func(*View)
		want   []Verdict
	}{
		{"of a holder", func(*View) {}, hold},
		{"that was relayed", func(v *View) { v.Peers[0].Via = "n3" }, hold},
		{"of a holder that does not hear us", func(v *View) { v.Peers[0].KnownAt = time.Time{} }, hold},
		{"that is almost old", func(v *View) { v.Peers[0].At = now.Add(-fresh2s) }, []Verdict{Hold{Until: now}}},
		{"that is old", func(v *View) { v.Peers[0].At = now.Add(-fresh2s - 1) }, nil},
		{"said already", func(v *View) { v.Memory.hold = Hold{Until: now.Add(fresh2s - 100*ms)} }, nil},
		{"of another BACKUP", func(v *View) { v.Peers[0].Claim.State = Backup }, nil},
		{"under policy off here", func(v *View) { v.Unit.Policy = PolicyOff }, nil},
		{"under policy off there, without adverts", func(v *View) { v.Peers[0].Claim.Policy = PolicyOff }, hold},
		{"under policy off there, with adverts", func(v *View) {
			v.Peers[0].Claim.Policy = PolicyOff
			v.Unit.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-500 * ms)}
		}, nil},
		{"of a longer kernel lease", func(v *View) { v.Unit.KernelLease = 3 * time.Second },
			[]Verdict{Hold{Until: now.Add(3320*ms - 100*ms)}}},
		{"with a better candidate beside us", func(v *View) {
			third := peer(Backup)
			third.Node, third.Boot = "n3", 3
			third.Claim.Priority = 200
			v.Peers = append(v.Peers, third)
		}, []Verdict{Hold{Until: now.Add(fresh2s - 100*ms), Rank: 20 * ms}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := view(ownView(Backup), peer(Master))
			tt.change(v)
			if diff := diffVerdicts(tt.want, verdicts(v)); diff != "" {
				t.Errorf("verdicts: -want +got\n%s", diff)
			}
		})
	}
}

func TestAddressHeldInAnotherUnitHoldsThisOne(t *testing.T) {
	v := view(ownView(Backup), peer(Backup))
	v.Elsewhere = &Elsewhere{Node: "n2", Unit: "VI_old", At: now.Add(-100 * ms), Interval: 200 * ms}
	if diff := diffVerdicts([]Verdict{Hold{Until: now.Add(fresh2s - 100*ms)}}, verdicts(v)); diff != "" {
		t.Errorf("fresh: -want +got\n%s", diff)
	}
	v.Elsewhere.At = now.Add(-fresh2s)
	if diff := diffVerdicts(nil, verdicts(v)); diff != "" {
		t.Errorf("old: -want +got\n%s", diff)
	}
}

func TestConflictIsSettledByTheTenures(t *testing.T) {
	yield := []Verdict{Yield{Tenure: 4, Successor: "n2"}}
	tests := []struct {
		name   string
		change func(*View)
		want   []Verdict
	}{
		{"the better tenure stays", func(*View) {}, nil},
		{"the worse tenure yields", func(v *View) { v.Peers[0].Claim.Tenure.Priority = 200 }, yield},
		{"equal priority: the higher address stays", func(v *View) { v.Peers[0].Claim.Tenure.Priority = 150 }, yield},
		{"present priorities do not count", func(v *View) {
			v.Unit.Priority, v.Peers[0].Claim.Priority = 1, 254
		}, nil},
		{"nothing before it knows of this tenure", func(v *View) {
			v.Peers[0].Claim.Tenure.Priority, v.Peers[0].Knows = 200, 39
		}, nil},
		{"nothing before this tenure was claimed", func(v *View) {
			v.Peers[0].Claim.Tenure.Priority, v.First = 200, 0
		}, nil},
		{"an old claim is none", func(v *View) {
			v.Peers[0].Claim.Tenure.Priority, v.Peers[0].At = 200, now.Add(-3*time.Second)
		}, nil},
		{"told once", func(v *View) {
			v.Peers[0].Claim.Tenure.Priority = 200
			v.Memory.holder, v.Memory.yielding, v.Memory.toldAt = TenureID{1, 4}, 4, now
		}, nil},
		{"one way: who knows yields, whatever the order", func(v *View) {
			v.Peers[0].Knows, v.Peers[0].KnownAt = 0, time.Time{}
		}, yield},
		{"one way: what it knew of this tenure long ago does not count", func(v *View) {
			v.Peers[0].KnownAt = now.Add(-3 * time.Second)
		}, yield},
		{"one way: not before three heartbeats", func(v *View) {
			v.Peers[0].Knows, v.Peers[0].KnownAt = 0, time.Time{}
			v.Peers[0].MasterSince = now.Add(-599 * ms)
		}, nil},
		{"one way: not before three heartbeats of contact", func(v *View) {
			v.Peers[0].Knows, v.Peers[0].KnownAt = 0, time.Time{}
			v.Peers[0].Regained = now.Add(-599 * ms)
		}, nil},
		{"one way: not before three records", func(v *View) {
			v.Peers[0].Knows, v.Peers[0].KnownAt, v.Peers[0].MasterCount = 0, time.Time{}, 2
		}, nil},
		{"policy off there: adverts decide", func(v *View) {
			v.Peers[0].Claim.Tenure.Priority, v.Peers[0].Claim.Policy = 200, PolicyOff
		}, nil},
		{"policy off here: adverts decide", func(v *View) {
			v.Peers[0].Claim.Tenure.Priority, v.Unit.Policy = 200, PolicyOff
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := view(ownView(Master), peer(Master))
			tt.change(v)
			if diff := diffVerdicts(tt.want, verdicts(v)); diff != "" {
				t.Errorf("verdicts: -want +got\n%s", diff)
			}
		})
	}
}

func TestWinnerAnnouncesAgainWhenTheLoserHasLetGo(t *testing.T) {
	p := peer(Backup)
	p.Claim.Tenure.Seq, p.Claim.Released, p.Claim.Yielded = 7, true, TenureID{1, 4}
	v := view(ownView(Master), p)
	if diff := diffVerdicts([]Verdict{Reannounce{}}, verdicts(v)); diff != "" {
		t.Errorf("first: -want +got\n%s", diff)
	}
	v.Memory = Decide(v).Memory
	if diff := diffVerdicts(nil, verdicts(v)); diff != "" {
		t.Errorf("again: -want +got\n%s", diff)
	}
}

// Both losers of a partition go on to say that they have let go for this tenure.
func TestWinnerAnnouncesAgainOnceForEachLoser(t *testing.T) {
	loser := func(node string, boot BootID) Peer {
		p := peer(Backup)
		p.Node, p.Boot = node, boot
		p.Claim.Tenure.Seq, p.Claim.Released, p.Claim.Yielded = 7, true, TenureID{1, 4}
		return p
	}
	v := view(ownView(Master), loser("n2", 2), loser("n3", 3))
	announced := 0
	for range 5 {
		announced += len(verdicts(v))
		v.Memory = Decide(v).Memory
	}
	if announced != 2 {
		t.Errorf("two losers said five times that they let go: announced %d times, want 2", announced)
	}
	v.Peers[0].Claim.Tenure.Seq = 8 // it came back, and let go once more
	if diff := diffVerdicts([]Verdict{Reannounce{}}, verdicts(v)); diff != "" {
		t.Errorf("after another tenure of n2: -want +got\n%s", diff)
	}
}

// R2: an advert may end a conflict before a record has shown it to the winner, who
// learns of it by the loser's next one, and tells too.
func TestWinnerTellsOfAConflictThatAnAdvertEnded(t *testing.T) {
	tests := []struct {
		name string
		seen uint64        // the latest tenure that a record has shown
		held time.Duration // how long this node had held the unit when the other one let go
		want bool
	}{
		{"never seen", 0, time.Minute, true},
		{"an earlier one seen", 6, time.Minute, true},
		{"seen, and judged then", 7, time.Minute, false},
		{"a change of holder", 0, 100 * time.Millisecond, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := peer(Backup)
			p.Claim.Tenure.Seq, p.Claim.Released, p.Claim.Yielded = 7, true, TenureID{1, 4}
			p.MasterSeq = tt.seen
			v := view(ownView(Master), p)
			v.Unit.Since = p.At.Add(-p.Claim.StateAge - tt.held)
			told := func(r Decision) bool {
				return slices.ContainsFunc(r.Alerts, func(a Alert) bool { return a.Kind == SplitBrain })
			}
			r := Decide(v)
			if told(r) != tt.want {
				t.Errorf("split_brain raised: %v, want %v", !tt.want, tt.want)
			}
			v.Memory = r.Memory
			if told(Decide(v)) {
				t.Error("split_brain raised again by the next record")
			}
		})
	}
}

// requested is a View in which n2, with priority 200, asks for the unit.
func requested(change func(*View)) *View {
	p := peer(Backup)
	p.Claim.Priority = 200
	v := view(ownView(Master), p)
	v.Memory.holder = TenureID{1, 4}
	v.Requests = []PeerRequest{{0, Request{ID: 77, Unit: "VI_1", Tenure: TenureID{1, 4}, Preempt: true}}}
	if change != nil {
		change(v)
	}
	return v
}

// S57, R4: a request names the tenure that it asks to end, and who asks must be able to
// serve.
func TestHolderHandsOverToWhoAsks(t *testing.T) {
	tests := []struct {
		name   string
		change func(*View)
		refuse bool
		void   bool // neither granted nor refused
	}{
		{name: "granted", change: func(*View) {}},
		{name: "a person may ask for a lower priority", change: func(v *View) {
			v.Peers[0].Claim.Priority, v.Requests[0].Preempt = 50, false
		}},
		{name: "an ended tenure", change: func(v *View) { v.Requests[0].Tenure.Seq = 3 }, void: true},
		{name: "a tenure of an earlier life", change: func(v *View) { v.Requests[0].Tenure.Boot = 9 }, void: true},
		{name: "a second request", change: func(v *View) { v.Memory.yielding, v.Memory.toldAt = 4, now }, void: true},
		{name: "an old claim", change: func(v *View) { v.Peers[0].At = now.Add(-3 * time.Second) }, refuse: true},
		{name: "one way only", change: func(v *View) { v.Peers[0].KnownAt = time.Time{} }, refuse: true},
		{name: "in FAULT", change: func(v *View) { v.Peers[0].Claim.State, v.Peers[0].Claim.Eligible = Fault, false }, refuse: true},
		{name: "leaving", change: func(v *View) { v.Peers[0].Leaving = true }, refuse: true},
		{name: "other VIPs", change: func(v *View) { v.Peers[0].Claim.VIPHash++ }, refuse: true},
		{name: "not the higher priority", change: func(v *View) { v.Peers[0].Claim.Priority = 150 }, refuse: true},
		{name: "policy off", change: func(v *View) { v.Peers[0].Claim.Policy = PolicyOff }, refuse: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Decide(requested(tt.change))
			var yields int
			for _, v := range d.Verdicts {
				if y, ok := v.(Yield); ok && y.Tenure == 4 && y.Successor == "n2" {
					yields++
				}
			}
			wantYields, wantRefusals := 1, 0
			if tt.refuse {
				wantYields, wantRefusals = 0, 1
			}
			if tt.void {
				wantYields = 0
			}
			if yields != wantYields || len(d.Refusals) != wantRefusals {
				t.Errorf("%d yields, refusals %v; want %d and %d", yields, d.Refusals, wantYields, wantRefusals)
			}
		})
	}
}

// asked is a View in which this node asked n2 for the unit 20 ms ago and n2
// has let go for it.
func asked(change func(*View)) *View {
	p := peer(Backup)
	p.At = now
	p.Claim.Tenure = Tenure{Seq: 7, Priority: 100}
	p.Claim.Released = true
	p.Claim.Reserved = Reservation{Request: 55, For: 1, Span: 500 * ms}
	v := view(ownView(Backup), p)
	v.Memory.holder = TenureID{2, 7}
	v.Memory.ask = asking{tenure: TenureID{2, 7}, since: now.Add(-20 * ms)}
	v.Memory.ask.ids[0] = askedAt{55, now.Add(-20 * ms)}
	if change != nil {
		change(v)
	}
	return v
}

// S55, R4: a late answer is none. The others have taken over meanwhile, and another
// that claims is one of them.
func TestRequesterTakesOverOnlyByAMatchingYoungAnswer(t *testing.T) {
	wait := []Verdict{Hold{Until: now.Add(700 * ms)}}
	third := peer(Master)
	third.Node, third.Boot = "n3", 3
	tests := []struct {
		name   string
		change func(*View)
		want   []Verdict
	}{
		{"it takes over", func(*View) {}, []Verdict{TakeOver{}}},
		{"an answer to a request that it did not send", func(v *View) { v.Memory.ask.ids[0].id = 54 }, wait},
		{"an answer for another", func(v *View) { v.Peers[0].Claim.Reserved.For = 3 }, wait},
		{"an answer later than 0.8 R", func(v *View) { v.Memory.ask.ids[0].at = now.Add(-400 * ms) }, wait},
		{"addresses not gone", func(v *View) { v.Peers[0].Claim.Released = false }, nil},
		{"another one claims", func(v *View) { v.Peers = append(v.Peers, third) }, []Verdict{Hold{Until: now.Add(fresh2s - 100*ms)}}},
		{"unable to serve by now", func(v *View) { v.Unit.Eligible = false }, wait},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := diffVerdicts(tt.want, verdicts(asked(tt.change))); diff != "" {
				t.Errorf("verdicts: -want +got\n%s", diff)
			}
		})
	}
}

// S56, S62, R4, R9: a record that says released is the proof by itself, whoever it was
// for, and those that could serve act on it one after the other.
func TestReleaseStartsTheOrderOfSuccession(t *testing.T) {
	better := peer(Backup)
	better.Node, better.Boot = "n3", 3
	better.Claim.Priority = 200
	tests := []struct {
		name   string
		change func(*View)
		want   []Verdict
	}{
		{"the first in order at once", func(*View) {}, []Verdict{TakeOver{}}},
		{"the second waits for two round trips", func(v *View) { v.Peers = append(v.Peers, better) }, []Verdict{TakeOver{After: 20 * ms}}},
		{"a longer round trip, a longer wait", func(v *View) {
			slow := better
			slow.RTT = 30 * ms
			v.Peers = append(v.Peers, slow)
		}, []Verdict{TakeOver{After: 60 * ms}}},
		{"who cannot serve is not waited for", func(v *View) {
			sick := better
			claim := *sick.Claim
			claim.Eligible, sick.Claim = false, &claim
			v.Peers = append(v.Peers, sick)
		}, []Verdict{TakeOver{}}},
		{"once", func(v *View) { v.Memory.acted = TenureID{2, 7} }, nil},
		{"not while disarmed", func(v *View) { v.Disarmed = true }, nil},
		{"a reservation holds while disarmed", func(v *View) {
			v.Disarmed = true
			v.Peers[0].Claim.Reserved = Reservation{Request: 5, For: 3, Span: 500 * ms, Age: 100 * ms}
			v.Peers[0].At = now
		}, []Verdict{Hold{Until: now.Add(600 * ms)}}},
		{"not of a tenure that was over before", func(v *View) { v.Memory.holder = TenureID{3, 1} }, nil},
		{"not while addresses linger", func(v *View) { v.Peers[0].Claim.Released = false }, nil},
		{"not while reserved for another", func(v *View) {
			v.Peers[0].Claim.Reserved = Reservation{Request: 5, For: 3, Span: 500 * ms, Age: 100 * ms}
			v.Peers[0].At = now
		}, []Verdict{Hold{Until: now.Add(600 * ms)}}},
		{"a reservation is bounded, whatever it says", func(v *View) {
			v.Peers[0].Claim.Reserved = Reservation{Request: 5, For: 3, Span: time.Hour}
			v.Peers[0].At = now
		}, []Verdict{Hold{Until: now.Add(maxReservation + 200*ms)}}},
		{"when the reservation has ended", func(v *View) {
			v.Peers[0].Claim.Reserved = Reservation{Request: 5, For: 3, Span: 500 * ms, Age: 700 * ms}
			v.Peers[0].At = now
		}, []Verdict{TakeOver{}}},
		{"not when it yielded to somebody else's adverts", func(v *View) {
			v.Peers[0].MasterSince = now.Add(-30 * time.Second)
			v.Unit.Heard = Advert{From: addr("192.0.2.9"), Priority: 200, At: now.Add(-50 * ms)}
		}, nil},
		{"not when it yielded to a tenure that may stand", func(v *View) { v.Peers[0].Claim.Yielded = TenureID{3, 1} }, nil},
		{"when the winner it named has let go as well", func(v *View) {
			winner := better
			claim := *winner.Claim
			claim.Eligible, claim.Tenure.Seq, claim.Released, winner.Claim = false, 1, true, &claim
			v.Peers[0].Claim.Yielded = TenureID{3, 1}
			v.Peers = append(v.Peers, winner)
		}, []Verdict{TakeOver{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := asked(tt.change)
			v.Memory.ask = asking{}
			if v.Peers[0].Claim.Reserved.For == 1 {
				v.Peers[0].Claim.Reserved = Reservation{}
			}
			if diff := diffVerdicts(tt.want, verdicts(v)); diff != "" {
				t.Errorf("verdicts: -want +got\n%s", diff)
			}
		})
	}
}

func TestWishToPreemptAsksAndBacksOff(t *testing.T) {
	u := ownView(Backup)
	u.Wants = WantPreempt
	v := view(u, peer(Master))
	d := Decide(v)
	if d.Request == nil || d.Request.Tenure != (TenureID{2, 7}) || !d.Request.Preempt || !d.Urgent {
		t.Fatalf("request %+v, urgent %v; want one for tenure 7 of boot 2", d.Request, d.Urgent)
	}
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		v.Memory = d.Memory
		v.Answers = []Refusal{{ID: d.Request.ID, To: 1, Reason: "busy"}}
		d = Decide(v)
		if got := d.Memory.ask.notBefore.Sub(v.Now); d.Request != nil || got != want || d.Refused != "busy" {
			t.Fatalf("refusal %d: %q, request %v, next in %v; want none for %v", i, d.Refused, d.Request, got, want)
		}
		v.Now = d.Memory.ask.notBefore
		v.Peers[0].At, v.Peers[0].KnownAt = v.Now, v.Now
		v.Memory, v.Answers = d.Memory, nil
		if d = Decide(v); d.Request == nil {
			t.Fatalf("refusal %d: no request after the back-off", i)
		}
	}
}

func TestChannelLostSaysWhoIsDeaf(t *testing.T) {
	u := ownView(Backup)
	u.Wants = WantHeld
	u.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-5 * time.Second)}
	d := Decide(view(u, peer(Master)))
	if len(d.Alerts) != 1 || d.Alerts[0].Kind != VRRPChannelLost || d.Alerts[0].Peer != "n2" || !d.Alerts[0].Since.Equal(u.Heard.At) {
		t.Fatalf("alerts = %+v, want vrrp_channel_lost of n2 since its last advert", d.Alerts)
	}
	// The holder's own side of it.
	p := peer(Backup)
	p.Claim.Wants, p.Claim.Heard, p.Claim.HeardAge = WantHeld, addr("192.0.2.1"), 5*time.Second
	d = Decide(view(ownView(Master), p))
	if len(d.Alerts) != 1 || d.Alerts[0].Kind != VRRPChannelLost || d.Alerts[0].Peer != "n2" {
		t.Errorf("alerts of the holder = %+v, want vrrp_channel_lost of n2", d.Alerts)
	}
}

func TestMembersAreThoseInTwoWayContactUnderTheSamePolicy(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Peer)
		want   int
	}{
		{"two-way", func(*Peer) {}, 1},
		{"it does not hear us", func(p *Peer) { p.KnownAt = time.Time{} }, 0},
		{"it has not heard us for long", func(p *Peer) { p.KnownAt = now.Add(-3 * time.Second) }, 0},
		{"its claim is old", func(p *Peer) { p.At = now.Add(-3 * time.Second) }, 0},
		{"policy off", func(p *Peer) { p.Claim.Policy = PolicyOff }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := peer(Backup)
			tt.change(&p)
			v := view(ownView(Backup), p)
			v.Memory = Memory{}
			for _, verdict := range Decide(v).Verdicts {
				if m, ok := verdict.(Members); ok && len(m.Addrs) == tt.want {
					return
				}
			}
			t.Errorf("verdicts = %v, want Members with %d addresses", Decide(v).Verdicts, tt.want)
		})
	}
}
