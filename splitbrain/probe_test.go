package splitbrain

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The scene of these tests is that of decide_test.go. On eth0 there may be a
// gateway beside the two members. All probes were sent in the last half second
// unless a case says otherwise.

// answering is an address that answered just now.
func answering() Echo {
	return Echo{Asked: now.Add(-100 * ms), Answered: now.Add(-99 * ms), Began: now.Add(-100 * ms)}
}

// silentFor is an address that answered before and has been silent for a while:
// as many probes as were sent since, one each 100 ms.
func silentFor(d time.Duration) Echo {
	return Echo{
		Asked: now.Add(-100 * ms), Silent: int(d / (100 * ms)), SilentSince: now.Add(-d),
		Answered: now.Add(-d - 50*ms), Began: now.Add(-d - 51*ms),
	}
}

func onNetwork(gateways []Echo, own Echo, heard bool, vip Echo) Evidence {
	n := NetworkEvidence{
		Interface: "eth0", Proof: 3, Gateways: gateways, VIP: vip,
		Members: []MemberEcho{{Node: "n2", Heard: heard, Latest: now, Echo: own}},
	}
	e := Evidence{Networks: []NetworkEvidence{n}}
	shown, began := n.shows()
	e.weigh([]pathMemory{{state: shown, since: now.Add(-time.Second)}}, []time.Time{began})
	return e
}

// alone makes the view one in which no record of anybody came for a while.
func alone(v *View, since time.Duration) {
	for i := range v.Peers {
		v.Peers[i].At = now.Add(-since)
	}
	v.Contact = Contact{Members: 1, Last: now.Add(-since), Every: 200 * ms}
	v.Started, v.AloneAfter = t0, 30*time.Second
}

func kinds(alerts []Alert) []AlertKind {
	var out []AlertKind
	for _, a := range alerts {
		out = append(out, a.Kind)
	}
	return out
}

// R3, soft: three probes of every gateway, or where none is known of every
// member whose records arrive.
func TestDataPathIsJudgedByWhatAnsweredBefore(t *testing.T) {
	gone, here, never := silentFor(500*ms), answering(), Echo{Asked: now.Add(-100 * ms), Silent: 5, SilentSince: now.Add(-500 * ms)}
	tests := []struct {
		name string
		net  NetworkEvidence
		want PathState
	}{
		{"a gateway answers", NetworkEvidence{Gateways: []Echo{here}}, PathAlive},
		{"three probes of it do not", NetworkEvidence{Gateways: []Echo{gone}}, PathLost},
		{"two of its probes do not", NetworkEvidence{Gateways: []Echo{silentFor(200 * ms)}}, PathAlive},
		{"three are no proof where probes get lost", NetworkEvidence{Proof: 8, Gateways: []Echo{gone}}, PathAlive},
		{"one of two gateways answers", NetworkEvidence{Gateways: []Echo{gone, here}}, PathAlive},
		{"the gateway is dead and a member answers", NetworkEvidence{
			Gateways: []Echo{gone}, Members: []MemberEcho{{Node: "n2", Heard: true, Echo: here}}}, PathLost},
		{"a gateway that never answered says nothing", NetworkEvidence{Gateways: []Echo{never}}, PathUnknown},
		{"but for one that was named", NetworkEvidence{Named: true, Gateways: []Echo{never}}, PathLost},
		{"S42: members are silent while their records arrive", NetworkEvidence{Members: []MemberEcho{{Node: "n2", Heard: true, Latest: now, Echo: gone}}}, PathLost},
		{"records end with answers: the member is down, this path is not", NetworkEvidence{Members: []MemberEcho{
			{Node: "n2", Heard: true, Latest: gone.SilentSince.Add(100 * ms), Echo: gone}}}, PathUnknown},
		{"members were silent while no records of them arrived either", NetworkEvidence{Members: []MemberEcho{
			{Node: "n2", Heard: true, Since: gone.Asked.Add(-ms), Latest: now, Echo: gone}}}, PathUnknown},
		{"and go on to be when these have come again", NetworkEvidence{Members: []MemberEcho{
			{Node: "n2", Heard: true, Since: gone.Asked.Add(-2 * time.Second), Latest: now, Echo: gone}}}, PathLost},
		{"one member answers", NetworkEvidence{Members: []MemberEcho{
			{Node: "n2", Heard: true, Echo: gone}, {Node: "n3", Heard: true, Echo: here}}}, PathAlive},
		{"members that are off say nothing", NetworkEvidence{Members: []MemberEcho{{Node: "n2", Echo: gone}}}, PathUnknown},
		{"S60: members that never answered a probe say nothing", NetworkEvidence{Members: []MemberEcho{{Node: "n2", Heard: true, Echo: never}}}, PathUnknown},
		{"S73: a fabric that answers itself says nothing", NetworkEvidence{Fabric: true, Gateways: []Echo{here}}, PathUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := tt.net.shows(); got != tt.want {
				t.Errorf("path is %v, want %v", got, tt.want)
			}
		})
	}
}

// S49: a path that comes and goes is out of rank for longer each time.
func TestPathThatFlapsIsSuspendedForLongerEachTime(t *testing.T) {
	var p pathMemory
	clock := t0
	p.step(clock, PathAlive)
	for _, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute} {
		clock = clock.Add(time.Second)
		p.step(clock, PathLost)
		p.step(clock.Add(ms), PathLost) // one loss, seen twice
		clock = clock.Add(time.Second)
		p.step(clock, PathAlive)
		p.step(clock.Add(want-1), PathAlive)
		if p.state != PathSuspended || !p.due().Equal(clock.Add(want)) {
			t.Fatalf("just before %v the path is %v, due %v", want, p.state, p.due().Sub(clock))
		}
		clock = clock.Add(want)
		p.step(clock, PathAlive)
		if p.state != PathAlive {
			t.Fatalf("after %v the path is %v, want alive", want, p.state)
		}
	}
	clock = clock.Add(lastSuspension)
	p.step(clock, PathAlive)
	p.step(clock, PathLost)
	if p.suspension != firstSuspension {
		t.Errorf("after %v without a loss the next one suspends for %v, want %v", lastSuspension, p.suspension, firstSuspension)
	}
}

// S9-like: a unit on two networks has the worse of two paths.
func TestUnitHasTheWorstPathOfItsNetworks(t *testing.T) {
	order := []PathState{PathAlive, PathUnknown, PathSuspended, PathLost}
	for i, a := range order {
		for j, b := range order {
			var e Evidence
			e.weigh([]pathMemory{{state: a}, {state: b}}, make([]time.Time, 2))
			if want := order[max(i, j)]; e.Path != want {
				t.Errorf("%v and %v make %v, want %v", a, b, e.Path, want)
			}
		}
	}
}

// F13, S49: who has lost its gateway hands over to one that proves it has it by
// a probe begun since; when the gateway is dead for all, F14, nothing moves.
func TestBackupRelievesAHolderWithoutPathOnlyOnProofBegunSince(t *testing.T) {
	lost := peer(Master)
	lost.Claim.Path = PathLost
	tests := []struct {
		name   string
		change func(*View)
		want   bool
	}{
		{"proof since", func(*View) {}, true},
		{"proof from before", func(v *View) { v.Memory.lossSeen = now.Add(-50 * ms) }, false},
		{"nobody has it", func(v *View) { v.Evidence = onNetwork([]Echo{silentFor(time.Second)}, answering(), true, answering()) }, false},
		{"not known here", func(v *View) { v.Evidence = Evidence{} }, false},
		{"only members have ever answered here, the holder too", func(v *View) {
			v.Evidence = onNetwork([]Echo{{Asked: now.Add(-100 * ms), Silent: 5}}, answering(), true, answering())
		}, false},
		{"only members have ever answered here, the holder does not", func(v *View) {
			v.Evidence = onNetwork([]Echo{{Asked: now.Add(-100 * ms), Silent: 5}}, silentFor(time.Second), true, answering())
			v.Evidence.Path, v.Evidence.PathBegan = PathAlive, now.Add(-100*ms) // by a third one
		}, true},
		{"a better one goes first", func(v *View) {
			third := peer(Backup)
			third.Node, third.Boot, third.Claim.Priority = "n3", 3, 200
			v.Peers = append(v.Peers, third)
			v.Memory.relief = time.Time{}
		}, false},
		{"the better one has lost it, too", func(v *View) {
			third := peer(Backup)
			third.Node, third.Boot, third.Claim.Priority, third.Claim.Path = "n3", 3, 200, PathSuspended
			v.Peers = append(v.Peers, third)
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := view(ownView(Backup), lost)
			v.Unit.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-500 * ms)}
			v.Memory.lossSeen = now.Add(-300 * ms)
			v.Evidence = onNetwork([]Echo{answering()}, answering(), true, answering())
			tt.change(v)
			d := Decide(v)
			if got := d.Request != nil && d.Request.Silence == SilenceSaid && !d.Request.Preempt; got != tt.want {
				t.Errorf("request %+v, want one: %v", d.Request, tt.want)
			}
			if !d.Look {
				t.Error("no probe is asked for, want one now")
			}
		})
	}
}

func TestHolderWithoutPathAnswersTheBestProof(t *testing.T) {
	ask := func(change func(*View)) Decision {
		p := peer(Backup)
		p.Claim.Path, p.Claim.PathAge, p.Claim.Priority = PathAlive, 50*ms, 100
		v := view(ownView(Master), p)
		v.Unit.Priority = 150
		v.Evidence = onNetwork([]Echo{silentFor(time.Second)}, answering(), true, Echo{})
		v.Requests = []PeerRequest{{0, Request{ID: 9, Unit: "VI_1", Tenure: TenureID{1, 4}, Silence: SilenceSaid}}}
		if change != nil {
			change(v)
		}
		return Decide(v)
	}
	yields := func(d Decision) bool {
		return slices.ContainsFunc(d.Verdicts, func(v Verdict) bool { _, ok := v.(Yield); return ok })
	}
	if d := ask(nil); !yields(d) || !slices.Contains(kinds(d.Alerts), DataPathLost) {
		t.Errorf("verdicts %v, alerts %v; want a Yield and %s", d.Verdicts, kinds(d.Alerts), DataPathLost)
	}
	if d := ask(func(v *View) { v.Peers[0].Claim.PathAge = 2 * time.Second }); yields(d) || len(d.Refusals) != 1 {
		t.Errorf("a proof older than the loss: verdicts %v, refusals %v; want a refusal", d.Verdicts, d.Refusals)
	}
	if d := ask(func(v *View) { v.Evidence = onNetwork([]Echo{answering()}, answering(), true, Echo{}) }); yields(d) || len(d.Refusals) != 1 {
		t.Errorf("a path that is back: verdicts %v, refusals %v; want a refusal", d.Verdicts, d.Refusals)
	}
	// F14: nobody asks, and the unit stays.
	if d := ask(func(v *View) { v.Requests = nil; v.Peers[0].Claim.Path = PathLost }); yields(d) || !slices.Contains(kinds(d.Alerts), DataPathLost) {
		t.Errorf("the gateway is dead for all: verdicts %v, alerts %v; want no Yield, and %s", d.Verdicts, kinds(d.Alerts), DataPathLost)
	}
}

// The alert says what becomes of the unit.
func TestLossOfTheDataPathIsToldWithTheVerdict(t *testing.T) {
	tests := []struct {
		name   string
		change func(*View)
		want   string
	}{
		{"n2 asks", func(*View) {}, "that of n2 is not; it is handed over to n2"},
		{"n2 could have it and does not ask", func(v *View) { v.Requests = nil }, "that of n2 is not; it stays until n2 asks for it"},
		{"n2 asks and runs another revision", func(v *View) { v.Peers[0].Claim.VIPHash++ },
			"that of n2 is not; a member asks for it and is refused: n2 has other addresses for it; wait until both run one revision"},
		{"n2 has no path either", func(v *View) { v.Requests, v.Peers[0].Claim.Path = nil, PathLost },
			"no other member has shown that it has one; it stays until one does"},
		{"policy quorum, and the lease has ended", func(v *View) {
			v.Requests, v.Unit.Policy = nil, PolicyQuorum
			v.Memory.lease.Tenure = v.Unit.Tenure.Seq
		}, "that of n2 is not; n1 lets go of it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := peer(Backup)
			p.Claim.Path, p.Claim.PathAge = PathAlive, 50*ms
			v := view(ownView(Master), p)
			v.Evidence = onNetwork([]Echo{silentFor(time.Second)}, answering(), true, Echo{})
			v.Requests = []PeerRequest{{0, Request{ID: 9, Unit: "VI_1", Tenure: TenureID{1, 4}, Silence: SilenceSaid}}}
			tt.change(v)
			for _, a := range Decide(v).Alerts {
				if want := "VI_1: the data path of n1 is lost, " + tt.want; a.Kind == DataPathLost && a.Summary != want {
					t.Errorf("alert %q, want %q", a.Summary, want)
				} else if a.Kind == DataPathLost {
					return
				}
			}
			t.Error("no alert data_path_lost")
		})
	}
}

// G4: what a holder announced while nobody could hear it is announced again, once.
func TestHolderAnnouncesAgainWhenItsNeighboursAnswerAgain(t *testing.T) {
	never := Echo{Asked: now.Add(-100 * ms), Silent: 5, SilentSince: now.Add(-500 * ms)}
	tests := []struct {
		name   string
		before Evidence
		want   bool
	}{
		{"the gateway was silent", onNetwork([]Echo{silentFor(time.Second)}, answering(), true, Echo{}), true},
		{"the gateway had never answered", onNetwork([]Echo{never}, answering(), true, Echo{}), true},
		{"members were silent", onNetwork(nil, silentFor(time.Second), true, Echo{}), true},
		{"one probe was lost", onNetwork([]Echo{silentFor(100 * ms)}, answering(), true, Echo{}), false},
		{"another gateway answered", onNetwork([]Echo{silentFor(time.Second), answering()}, answering(), true, Echo{}), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			announces := func(v *View) bool { return slices.Contains(verdicts(v), Verdict(Reannounce{})) }
			v := view(ownView(Master), peer(Backup))
			v.Evidence = tt.before
			if announces(v) {
				t.Error("it announces before anybody answers")
			}
			v.Memory = Decide(v).Memory
			v.Evidence = onNetwork([]Echo{answering()}, answering(), true, Echo{})
			if got := announces(v); got != tt.want {
				t.Errorf("it announces when they answer: %v, want %v", got, tt.want)
			}
			v.Memory = Decide(v).Memory
			if announces(v) {
				t.Error("it announces twice")
			}
		})
	}
}

// S50: a candidate without path is the last in rank, not in FAULT.
func TestCandidateWithoutPathComesLastAndDoesNotPreempt(t *testing.T) {
	v := view(ownView(Backup), peer(Master))
	third := peer(Backup)
	third.Node, third.Boot, third.Claim.Priority = "n3", 3, 10
	v.Peers = append(v.Peers, third)
	v.Evidence = onNetwork([]Echo{silentFor(time.Second)}, answering(), true, answering())
	v.Unit.Wants = WantPreempt
	d := Decide(v)
	if d.Request != nil {
		t.Errorf("request %+v, want none", d.Request)
	}
	worse := *ownView(Backup)
	worse.Priority = 10
	want := Hold{Until: v.Peers[0].At.Add(worse.masterDown() + 20*ms), Rank: 20 * ms}
	got, _ := d.Verdicts[len(d.Verdicts)-1].(Hold)
	if got.Reason = ""; got != want {
		t.Errorf("hold until %v with rank %v, want until %v with rank %v: after the one with the lowest priority",
			got.Until.Sub(now), got.Rank, want.Until.Sub(now), want.Rank)
	}
	v.Peers = v.Peers[:1] // nobody better is left
	if hold := verdicts(v)[0].(Hold); hold.Rank != 0 {
		t.Errorf("alone, rank %v, want 0", hold.Rank)
	}
}

// R9.3, S60: silence counts only beside an answer of the same kind.
func TestHolderIsProvedGoneOnlyWhenItsOwnAddressAnswers(t *testing.T) {
	take := []Verdict{TakeOver{}}
	hold := []Verdict{Hold{Until: now.Add(fresh2s - 450*ms)}}
	tests := []struct {
		name   string
		change func(*View)
		want   []Verdict
	}{
		{"its address answers, the VIP does not", func(*View) {}, take},
		{"both silent: a cut", func(v *View) { v.Evidence.Networks[0].Members[0].Echo = silentFor(300 * ms) }, hold},
		{"both answer: its records are lost", func(v *View) { v.Evidence.Networks[0].VIP = answering() }, hold},
		{"silence from before this node let go itself", func(v *View) { v.Unit.Since = now.Add(-200 * ms) }, hold},
		{"silence from before a stranger's advert", func(v *View) {
			v.Unit.Heard = Advert{From: addr("192.0.2.66"), Priority: 200, At: now.Add(-200 * ms)}
		}, hold},
		{"two probes unanswered", func(v *View) { v.Evidence.Networks[0].VIP = silentFor(200 * ms) }, hold},
		{"silence from before the last record", func(v *View) { v.Evidence.Networks[0].VIP = silentFor(500 * ms) }, hold},
		{"three probes, where probes get lost", func(v *View) { v.Evidence.Networks[0].Proof = 9 }, hold},
		{"its own address answered before the VIP was asked last", func(v *View) { v.Evidence.Networks[0].Members[0].Began = now.Add(-200 * ms) }, hold},
		{"its address has never answered", func(v *View) { v.Evidence.Networks[0].Members[0].Echo = Echo{} }, hold},
		{"a fabric answers", func(v *View) { v.Evidence.Networks[0].Fabric = true }, hold},
		{"only one of two networks shows it", func(v *View) {
			n := v.Evidence.Networks[0]
			n.VIP = answering()
			v.Evidence.Networks = append(v.Evidence.Networks, n)
		}, hold},
		{"an advert came since", func(v *View) {
			v.Unit.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-200 * ms)}
		}, hold},
		{"the next advert after it is overdue too", func(v *View) {
			v.Peers[0].At = now.Add(-2050 * ms)
			v.Unit.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-2000 * ms)}
		}, take},
		{"and not yet overdue", func(v *View) {
			v.Peers[0].At = now.Add(-2050 * ms)
			v.Unit.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-1999 * ms)}
		}, []Verdict{Hold{Until: now.Add(fresh2s - 2050*ms)}}},
		{"its claim has just grown old", func(v *View) {
			v.Peers[0].At, v.Memory.holder = now.Add(1-fresh2s-proofSpread), TenureID{2, 7}
		}, take},
		{"its claim is older than that", func(v *View) {
			v.Peers[0].At, v.Memory.holder = now.Add(-fresh2s-proofSpread), TenureID{2, 7}
		}, nil},
		{"its claim has just grown old, and it was not the last holder", func(v *View) {
			v.Peers[0].At, v.Memory.holder = now.Add(1-fresh2s-proofSpread), TenureID{2, 6}
		}, nil},
		{"a record came in time", func(v *View) { v.Peers[0].At = now.Add(-399 * ms) }, []Verdict{Hold{Until: now.Add(fresh2s - 399*ms)}}},
		{"disarmed", func(v *View) { v.Disarmed = true }, hold},
		{"acted already", func(v *View) { v.Memory.acted, v.Memory.actedAt = TenureID{2, 7}, now.Add(-20*ms) }, nil},
		{"a record came after the proof", func(v *View) {
			v.Memory.acted, v.Memory.actedAt = TenureID{2, 7}, now.Add(-500*ms)
		}, hold},
		{"a better candidate goes first", func(v *View) {
			third := peer(Backup)
			third.Node, third.Boot, third.Claim.Priority = "n3", 3, 200
			v.Peers = append(v.Peers, third)
		}, []Verdict{TakeOver{After: 20*ms + proofSpread}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := view(ownView(Backup), peer(Master))
			v.Peers[0].At = now.Add(-450 * ms)
			v.Evidence = onNetwork(nil, answering(), true, silentFor(300*ms))
			tt.change(v)
			if diff := diffVerdicts(tt.want, verdicts(v)); diff != "" {
				t.Errorf("verdicts: -want +got\n%s", diff)
			}
		})
	}
}

func TestMissingRecordsOnlyStartTheProbe(t *testing.T) {
	v := view(ownView(Backup), peer(Master))
	v.Peers[0].At = now.Add(-400 * ms)
	if d := Decide(v); d.Burst != "n2" {
		t.Errorf("burst for %q, want n2", d.Burst)
	}
	v.Peers[0].At = now.Add(-399 * ms)
	if d := Decide(v); d.Burst != "" || d.Wake.After(now.Add(ms)) {
		t.Errorf("burst for %q, decides again at %v; want none yet, and to look again in a millisecond", d.Burst, d.Wake.Sub(now))
	}
}

// R1 and S42: a holder that claims and does not answer.
func TestHolderWithADeadPathIsAskedAndThenOverruled(t *testing.T) {
	scene := func() *View {
		v := view(ownView(Backup), peer(Master))
		v.Unit.Wants = WantHeld
		v.Evidence = onNetwork([]Echo{answering()}, silentFor(time.Second), true, silentFor(time.Second))
		v.Memory.silentSince = now.Add(-1100 * ms)
		return v
	}
	tests := []struct {
		name   string
		change func(*View)
		want   Silence
	}{
		{"it is silent and the gateway answers", func(*View) {}, SilencePath},
		{"its own address answers", func(v *View) { v.Evidence.Networks[0].Members[0].Echo = answering() }, SilenceVIP},
		{"nobody answers: the fault may be here", func(v *View) {
			v.Evidence = onNetwork([]Echo{silentFor(time.Second)}, silentFor(time.Second), true, silentFor(time.Second))
		}, SilenceNone},
		{"the gateway answered before only", func(v *View) { v.Evidence.Networks[0].Gateways[0].Began = now.Add(-time.Minute) }, SilenceNone},
		{"another member answers instead of a gateway", func(v *View) {
			v.Evidence.Networks[0].Gateways = nil
			v.Evidence.Networks[0].Members = append(v.Evidence.Networks[0].Members, MemberEcho{Node: "n3", Echo: answering()})
		}, SilencePath},
		{"its adverts arrive", func(v *View) {
			v.Unit.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-100 * ms)}
		}, SilenceNone},
		{"a third member sees it answer", func(v *View) {
			third := peer(Backup)
			third.Node, third.Boot = "n3", 3
			third.Claim.Sight = Sight{Kind: SightOne, Of: 2, Age: 200 * ms}
			v.Peers = append(v.Peers, third)
		}, SilenceNone},
		{"its own probe, begun since, is answered", func(v *View) {
			v.Peers[0].Claim.Path, v.Peers[0].Claim.PathAge = PathAlive, 100*ms
			v.Memory.ask = asking{tenure: TenureID{2, 7}, since: now, silence: SilencePath}
			v.Memory.silence = SilencePath
		}, SilenceNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := scene()
			tt.change(v)
			var got Silence
			d := Decide(v)
			if d.Request != nil {
				got = d.Request.Silence
			}
			if got != tt.want {
				t.Errorf("asks for %v, want %v", got, tt.want)
			}
		})
	}
	v := scene()
	v.Memory.deadSince = now.Add(-v.Unit.masterDown())
	v.Peers[0].KnownAt = time.Time{} // it does not hear us, so it never answers
	d := Decide(v)
	last, _ := d.Verdicts[len(d.Verdicts)-1].(TakeOver)
	if !strings.HasPrefix(last.Reason, "dead_path") || !slices.Contains(kinds(d.Alerts), DeadPath) {
		t.Errorf("one Master_Down_Interval without an answer: verdicts %v, alerts %v; want to take over", d.Verdicts, kinds(d.Alerts))
	}
	// The holder's claims go on; they hold nobody back any more.
	v.Memory, v.Peers[0].At, v.Now = d.Memory, now.Add(200*ms), now.Add(200*ms)
	if got := verdicts(v); len(got) > 0 {
		t.Errorf("after that, %v; want nothing that stops it", got)
	}
}

func TestHolderSaidToBeDeadProbesBeforeItAnswers(t *testing.T) {
	scene := func(e Evidence, first time.Duration) Decision {
		p := peer(Backup)
		v := view(ownView(Master), p)
		v.Evidence = e
		v.Memory.accused = accusation{now.Add(-first), now.Add(-100 * ms)}
		v.Requests = []PeerRequest{{0, Request{ID: 9, Unit: "VI_1", Tenure: TenureID{1, 4}, Silence: SilencePath}}}
		return Decide(v)
	}
	fine := onNetwork([]Echo{answering()}, answering(), true, Echo{})
	if d := scene(fine, 50*ms); len(d.Refusals)+len(verdictsOf(d)) > 0 || !d.Look {
		t.Errorf("with an old answer: %v, %v; want to probe first", d.Verdicts, d.Refusals)
	}
	if d := scene(fine, 200*ms); len(d.Refusals) != 1 {
		t.Errorf("with an answer begun since: %v; want a refusal", d.Verdicts)
	}
	if d := scene(fine, 50*ms+probePatience); len(d.Refusals) != 1 {
		t.Errorf("late: refusals %v, want one", d.Refusals)
	}
	if d := scene(onNetwork([]Echo{silentFor(time.Second)}, answering(), true, Echo{}), 50*ms); len(d.Refusals) > 0 || len(verdictsOf(d)) != 1 {
		t.Errorf("with a lost path: %v, %v; want to let go", d.Verdicts, d.Refusals)
	}
	if d := scene(Evidence{}, probePatience); len(d.Refusals) > 0 || len(verdictsOf(d)) != 1 {
		t.Errorf("with nothing to probe: %v, %v; want to let go after %v", d.Verdicts, d.Refusals, probePatience)
	}
}

func verdictsOf(d Decision) []Yield {
	var out []Yield
	for _, v := range d.Verdicts {
		if y, ok := v.(Yield); ok {
			out = append(out, y)
		}
	}
	return out
}

// R2's one-way clause: a claim of one whose path is dead makes nobody yield.
func TestOneWayClaimWithADeadPathMakesNobodyYield(t *testing.T) {
	shown := PathUnknown
	scene := func(e Evidence) []Verdict {
		p := peer(Master)
		p.KnownAt, p.Knows, p.Claim.Path = time.Time{}, 0, shown
		v := view(ownView(Master), p)
		v.Evidence = e
		return verdicts(v)
	}
	if got := scene(onNetwork(nil, silentFor(time.Second), true, Echo{})); len(got) > 0 {
		t.Errorf("its address is silent: %v, want to stay", got)
	}
	for name, e := range map[string]Evidence{
		"its address answers":   onNetwork(nil, answering(), true, Echo{}),
		"nothing is known":      {},
		"it has never answered": onNetwork(nil, Echo{Silent: 9}, true, Echo{}),
	} {
		if got := scene(e); len(got) != 1 {
			t.Errorf("%s: %v, want to yield", name, got)
		}
	}
	// One whose own probes are answered, if not for long yet, may be silent only
	// because this node is the one that is cut off.
	shown = PathSuspended
	if got := scene(onNetwork(nil, silentFor(time.Second), true, Echo{})); len(got) != 1 {
		t.Errorf("its path is alive again: %v, want to yield", got)
	}
}

// After a proof the last claim of the former holder still counts as fresh. It
// is no conflict: it was not repeated since.
func TestClaimFromBeforeATakeOverOnProofIsNoConflict(t *testing.T) {
	p := peer(Master)
	p.KnownAt, p.Knows = time.Time{}, 0
	v := view(ownView(Master), p)
	v.Unit.Since = now.Add(-1500 * ms)
	v.Peers[0].At = now.Add(-1900 * ms)
	if d := Decide(v); len(d.Alerts) > 0 || len(verdictsOf(d)) > 0 {
		t.Errorf("verdicts %v, alerts %v; want none", d.Verdicts, kinds(d.Alerts))
	}
	v.Peers[0].At, v.Peers[0].Claim.StateAge = now.Add(-100*ms), 30*time.Second
	if d := Decide(v); len(d.Alerts) == 0 {
		t.Error("a claim made since raises no alert, want split_brain")
	}
}

// R9 under policy quorum: the proof lets a candidate ask early; the voters
// decide.
func TestProofLetsACandidateAskTheVotersEarly(t *testing.T) {
	v := view(ownView(Backup), peer(Master))
	v.Unit.Policy = PolicyQuorum
	v.Peers[0].Claim.Policy = PolicyQuorum
	v.Peers[0].At = now.Add(-450 * ms)
	if d := Decide(v); d.Asks {
		t.Error("asks for the lease without a proof")
	}
	v.Evidence = onNetwork(nil, answering(), true, silentFor(300*ms))
	d := Decide(v)
	if !d.Asks {
		t.Error("does not ask for the lease, want it to on proof")
	}
	for _, verdict := range d.Verdicts {
		if _, ok := verdict.(TakeOver); ok {
			t.Errorf("told %+v without a lease", verdict)
		}
	}
}
