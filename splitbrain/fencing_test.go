package splitbrain

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// fenceLAN is a few nodes with a Fencer each, and who hears whom.
type fenceLAN struct {
	t      *testing.T
	now    time.Time
	names  []string
	boots  map[string]BootID
	f      map[string]*Fencer
	units  map[string][]FenceUnit
	claims map[string][]Claim
	proofs map[string][]FenceProof
	words  map[string][]FenceWord
	deaf   map[[2]string]bool // {listener, author}: no records
	voters []string
	frozen bool

	started map[string][]FenceOrder
	alerts  map[string][]Alert
	fenced  map[string][]FencedLife
	waiting map[string]string
}

func newFenceLAN(t *testing.T, names ...string) *fenceLAN {
	l := &fenceLAN{
		t: t, now: time.Unix(1000, 0), names: names, boots: map[string]BootID{}, f: map[string]*Fencer{},
		units: map[string][]FenceUnit{}, claims: map[string][]Claim{}, proofs: map[string][]FenceProof{}, words: map[string][]FenceWord{},
		deaf: map[[2]string]bool{}, voters: names,
		started: map[string][]FenceOrder{}, alerts: map[string][]Alert{}, fenced: map[string][]FencedLife{}, waiting: map[string]string{},
	}
	for i, n := range names {
		l.boots[n], l.f[n] = BootID(i+1), NewFencer()
	}
	return l
}

// holds lets a node be MASTER of VI in a tenure that began with a priority.
func (l *fenceLAN) holds(node string, priority uint8, words FenceUnit) {
	tenure := Tenure{Seq: 1, Priority: priority, Primary: netip.AddrFrom4([4]byte{192, 0, 2, byte(l.boots[node])})}
	words.Name, words.Holds, words.Tenure = "VI", true, tenure
	words.Targets, words.After, words.Delay, words.Span = l.names, 5*time.Second, 30*time.Second, time.Minute
	l.units[node] = []FenceUnit{words}
	l.claims[node] = []Claim{{Unit: "VI", State: Master, Tenure: tenure}}
}

func (l *fenceLAN) view(node string) *FenceView {
	v := &FenceView{
		Now: l.now, Node: node, Boot: l.boots[node], Units: l.units[node], Voter: slices.Contains(l.voters, node),
		Disarmed: l.frozen, Peers: PeerView{At: l.now, Self: node},
	}
	for _, n := range l.names {
		if n == node {
			continue
		}
		v.Members = append(v.Members, FenceMember{n, slices.Contains(l.voters, n)})
		m := MemberView{Name: n}
		if !l.deaf[[2]string{node, n}] {
			m.Boot, m.At, m.Fresh, m.TwoWay = l.boots[n], l.now, true, !l.deaf[[2]string{n, node}]
			m.Fencing, m.FencingAt = l.words[n], l.now
			for _, c := range l.claims[n] {
				c.StateAge = l.now.Sub(time.Unix(900, 0))
				m.Claims = append(m.Claims, ClaimView{Claim: c, At: l.now, Fresh: true})
			}
		}
		v.Peers.Members = append(v.Peers.Members, m)
	}
	for _, p := range l.proofs[node] {
		p.First, p.Last = l.now.Add(-proofApart), l.now
		v.Proofs = append(v.Proofs, p)
	}
	return v
}

// run lets time pass in steps of 200 ms.
func (l *fenceLAN) run(d time.Duration) {
	for end := l.now.Add(d); l.now.Before(end); l.now = l.now.Add(200 * time.Millisecond) {
		for _, n := range l.names {
			out := l.f[n].Step(l.view(n))
			l.words[n] = out.Words
			if out.Start != nil {
				l.started[n] = append(l.started[n], *out.Start)
			}
			l.alerts[n] = append(l.alerts[n], out.Alerts...)
			l.fenced[n] = append(l.fenced[n], out.Fenced...)
			l.waiting[n] = out.Waiting
			if out.Waiting != "" && out.Start != nil {
				l.t.Errorf("%s starts and waits: %s", n, out.Waiting)
			}
		}
		running := 0
		for _, n := range l.names {
			if slices.ContainsFunc(l.words[n], func(w FenceWord) bool { return w.Stage == FenceRuns }) {
				running++
			}
		}
		if running > 1 {
			l.t.Fatalf("at %v two nodes run an agent", l.now)
		}
	}
}

func (l *fenceLAN) wantStarts(node, target string) {
	l.t.Helper()
	for _, n := range l.names {
		want := 0
		if n == node {
			want = 1
		}
		if len(l.started[n]) != want {
			l.t.Fatalf("%s started %+v, want %d (it says %q)", n, l.started[n], want, l.waiting[n])
		}
	}
	if node != "" && (l.started[node][0].Node != target || len(l.started[node][0].Evidence) == 0) {
		l.t.Errorf("%s started %+v, want %s, with evidence", node, l.started[node], target)
	}
}

func (l *fenceLAN) cut(a, b string) {
	l.deaf[[2]string{a, b}], l.deaf[[2]string{b, a}] = true, true
}

func TestAMajorityThatSeesItFencesAHolderThatDoesNotLetGo(t *testing.T) {
	l := newFenceLAN(t, "a", "b", "c")
	l.holds("a", 200, FenceUnit{})
	l.holds("b", 150, FenceUnit{})
	l.run(4900 * time.Millisecond)
	l.wantStarts("", "")
	l.run(3 * time.Second)
	l.wantStarts("a", "b")
	if o := l.started["a"][0]; o.Boot != l.boots["b"] || !strings.Contains(o.Evidence[0], "b claims VI (tenure 1, priority 150)") {
		t.Errorf("order %+v", o)
	}
}

// S64: each of two nodes, cut off from the other, believes that it is the better
// one. Priorities do not decide who shoots.
func TestS64TwoNodesDoNotFenceEachOther(t *testing.T) {
	for _, first := range []string{"a", "b"} {
		l := newFenceLAN(t, "a", "b")
		l.holds("a", 200, FenceUnit{First: first})
		l.holds("b", 150, FenceUnit{First: first})
		l.cut("a", "b")
		l.proofs["a"], l.proofs["b"] = []FenceProof{{Unit: "VI", Node: "b"}}, []FenceProof{{Unit: "VI", Node: "a"}}
		other := map[string]string{"a": "b", "b": "a"}[first]
		l.run(6 * time.Second)
		l.wantStarts(first, other)
		// The second has its turn when the first has had its time, in vain.
		l.run(28 * time.Second)
		l.wantStarts(first, other)
		l.f[first].Ended(l.now, errors.New("no power"))
		l.run(2 * time.Second)
		if len(l.started[other]) != 1 {
			t.Errorf("fence_first %s: %s started %v, want it to go after fence_delay", first, other, l.started[other])
		}
	}
}

func TestTwoNodesWithoutFenceFirstFenceNobody(t *testing.T) {
	l := newFenceLAN(t, "a", "b")
	l.holds("a", 200, FenceUnit{})
	l.holds("b", 150, FenceUnit{})
	l.cut("a", "b")
	l.proofs["a"], l.proofs["b"] = []FenceProof{{Unit: "VI", Node: "b"}}, []FenceProof{{Unit: "VI", Node: "a"}}
	l.run(time.Minute)
	l.wantStarts("", "")
	if !slices.ContainsFunc(l.alerts["a"], func(a Alert) bool { return a.Kind == FenceWaits && strings.Contains(a.Summary, "fence_first") }) {
		t.Errorf("alerts %+v, want one that names fence_first", l.alerts["a"])
	}
}

// S65: only the node itself can give the evidence: its own claim, or packets that
// it took. What others answer in its place, and one proof alone, are none.
func TestS65NoNodeIsFencedOnWhatASwitchSays(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(l *fenceLAN)
		want  bool
	}{
		{"a proof, and nothing heard of it", func(*fenceLAN) {}, true},
		{"no proof by unicast", func(l *fenceLAN) { l.proofs["a"] = nil }, false},
		{"of another unit", func(l *fenceLAN) { l.proofs["a"][0].Unit = "VJ" }, false},
		{"nobody else sees it", func(l *fenceLAN) { l.proofs["c"] = nil }, false},
		{"no agent for it", func(l *fenceLAN) { l.units["a"][0].Targets = []string{"c"} }, false},
		{"it is no member", func(l *fenceLAN) { l.units["a"][0].Targets, l.proofs["a"][0].Node = []string{"x"}, "x" }, false},
		{"disarmed", func(l *fenceLAN) { l.frozen = true }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newFenceLAN(t, "a", "b", "c")
			l.holds("a", 200, FenceUnit{})
			l.cut("a", "b")
			l.cut("c", "b")
			l.proofs["a"], l.proofs["c"] = []FenceProof{{Unit: "VI", Node: "b"}}, []FenceProof{{Unit: "VI", Node: "b"}}
			tt.spoil(l)
			l.run(20 * time.Second)
			if tt.want {
				l.wantStarts("a", "b")
			} else {
				l.wantStarts("", "")
			}
		})
	}
}

func TestOneAnswerIsNoProof(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, tt := range []struct {
		first, last time.Duration // ago
		want        bool
	}{{0, 0, false}, {99 * time.Millisecond, 0, false}, {100 * time.Millisecond, 0, true}, {4 * time.Second, 3100 * time.Millisecond, false}} {
		p := FenceProof{First: now.Add(-tt.first), Last: now.Add(-tt.last)}
		if got := p.holds(now); got != tt.want {
			t.Errorf("answers %v and %v ago: %v, want %v", tt.first, tt.last, got, tt.want)
		}
	}
}

func TestTheLoserOfAConflictFencesNobody(t *testing.T) {
	l := newFenceLAN(t, "a", "b", "c")
	l.holds("a", 150, FenceUnit{})
	l.holds("b", 200, FenceUnit{})
	l.units["b"][0].Targets = nil
	l.proofs["a"] = []FenceProof{{Unit: "VI", Node: "b"}}
	l.run(20 * time.Second)
	l.wantStarts("", "")
}

func TestQuorumFencesWithTheLeaseOnly(t *testing.T) {
	for _, leased := range []bool{true, false} {
		l := newFenceLAN(t, "a", "b", "c")
		l.holds("a", 100, FenceUnit{Quorum: true, Leased: leased})
		l.holds("b", 200, FenceUnit{Quorum: true})
		l.run(8 * time.Second)
		if leased {
			l.wantStarts("a", "b")
		} else {
			l.wantStarts("", "")
		}
	}
}

func TestOneFencingAtATimeInTheCluster(t *testing.T) {
	l := newFenceLAN(t, "a", "b", "c", "d", "e")
	l.holds("a", 200, FenceUnit{})
	l.holds("b", 150, FenceUnit{})
	l.holds("c", 200, FenceUnit{})
	l.holds("d", 150, FenceUnit{})
	for _, n := range []string{"c", "d"} {
		l.units[n][0].Name, l.claims[n][0].Unit = "VJ", "VJ"
	}
	l.run(20 * time.Second) // run fails when two agents run
	if len(l.started["a"])+len(l.started["c"]) != 1 {
		t.Fatalf("a started %v, c %v; want one of them", l.started["a"], l.started["c"])
	}
	one, two := "a", "c"
	if len(l.started["c"]) == 1 {
		one, two = two, one
	}
	l.f[one].Ended(l.now, nil)
	target := l.started[one][0].Node
	l.claims[target] = nil
	for _, n := range l.names {
		l.cut(n, target)
	}
	l.run(5 * time.Second)
	if len(l.started[two]) != 1 {
		t.Errorf("%s started %v after the other had ended, want one (it says %q)", two, l.started[two], l.waiting[two])
	}
}

func TestSuccessFreesTheLifeThatWasFenced(t *testing.T) {
	l := newFenceLAN(t, "a", "b", "c")
	l.holds("a", 200, FenceUnit{})
	l.holds("b", 150, FenceUnit{})
	l.run(8 * time.Second)
	l.wantStarts("a", "b")
	l.f["a"].Ended(l.now, nil)
	for _, n := range l.names {
		l.cut(n, "b")
	}
	l.run(5 * time.Second)
	want := []FencedLife{{"b", l.boots["b"]}}
	for _, n := range []string{"a", "c"} {
		if !slices.Equal(l.fenced[n], want) {
			t.Errorf("%s frees %v, want %v once", n, l.fenced[n], want)
		}
	}
	if a := l.alerts["a"]; len(a) != 1 || a[0].Kind != NodeFenced || a[0].Peer != "b" {
		t.Errorf("alerts %+v, want that b was fenced", a)
	}
	// It comes back in a new life, as a backup.
	clear(l.deaf)
	l.boots["b"], l.claims["b"], l.units["b"], l.f["b"] = 77, nil, nil, NewFencer()
	l.run(2 * time.Second)
	if a := l.alerts["a"]; len(a) != 2 || !a[1].Resolved {
		t.Errorf("alerts %+v, want the end of it", a)
	}
	l.wantStarts("a", "b")
}

func TestThreeFailuresEndInAnAlert(t *testing.T) {
	l := newFenceLAN(t, "a", "b", "c")
	l.holds("a", 200, FenceUnit{})
	l.holds("b", 150, FenceUnit{})
	for i := range 3 {
		l.run(20 * time.Second)
		if len(l.started["a"]) != i+1 {
			t.Fatalf("attempt %d: started %d times", i+1, len(l.started["a"]))
		}
		l.f["a"].Ended(l.now, errors.New("exit status 1: no power there"))
	}
	l.run(2 * time.Minute)
	if len(l.started["a"]) != 3 {
		t.Fatalf("started %d times, want 3", len(l.started["a"]))
	}
	last := l.alerts["a"][len(l.alerts["a"])-1]
	if last.Kind != FenceFailed || !strings.Contains(last.Summary, "failed 3 times and is given up") || !strings.Contains(last.Evidence[0], "no power there") {
		t.Errorf("last alert %+v", last)
	}
}

// Two of them need nobody's vote, so that none is missing either.
func TestDisarmedNodesFenceNobody(t *testing.T) {
	l := newFenceLAN(t, "a", "b")
	l.holds("a", 150, FenceUnit{First: "a"})
	l.holds("b", 100, FenceUnit{First: "a"})
	l.frozen = true
	l.run(20 * time.Second)
	l.wantStarts("", "")
	l.frozen = false
	l.run(6 * time.Second)
	l.wantStarts("a", "b")
}

// The target came back while the votes were counted, and was accused anew before the
// agent ended.
func TestAnAgentsEndIsThatOfTheLifeThatItRanAgainst(t *testing.T) {
	f := NewFencer()
	f.attempts("b", 9)
	f.ask, f.runs = &fenceVote{FenceWord: FenceWord{Unit: "VI", Node: "b", Boot: 2}}, true
	f.Ended(time.Unix(1000, 0), nil)
	if got := f.tries["b"]; got.boot != 2 || got.done.IsZero() {
		t.Errorf("the success is that of life %d, want 2", got.boot)
	}
}

func TestSuccessThatIsNoneCountsAsAFailure(t *testing.T) {
	l := newFenceLAN(t, "a", "b", "c")
	l.holds("a", 200, FenceUnit{})
	l.holds("b", 150, FenceUnit{})
	for range 3 {
		l.run(20 * time.Second)
		l.f["a"].Ended(l.now, nil)
	}
	l.run(time.Minute)
	if n := len(l.started["a"]); n != 3 {
		t.Errorf("started %d times, want 3", n)
	}
}

func TestANodeThatIsBeingFencedFencesNobody(t *testing.T) {
	l := newFenceLAN(t, "a", "b", "c", "d")
	l.holds("b", 200, FenceUnit{})
	l.holds("c", 150, FenceUnit{})
	l.units["c"] = nil
	// d's agent runs against b.
	l.words["d"] = []FenceWord{{Unit: "VJ", Node: "b", Boot: l.boots["b"], By: l.boots["d"], Stage: FenceRuns, Span: time.Minute}}
	v := l.view("b")
	for range 100 {
		v.Now = v.Now.Add(200 * time.Millisecond)
		for i := range v.Peers.Members {
			v.Peers.Members[i].FencingAt = v.Now
			for k := range v.Peers.Members[i].Claims {
				v.Peers.Members[i].Claims[k].At = v.Now
			}
		}
		d := l.f["b"].Step(v)
		if d.Start != nil || len(d.Words) > 0 {
			t.Fatalf("b, which is being fenced, says %+v", d)
		}
	}
}

// Voters that were started anew have forgotten whom they voted for: that one agent runs
// at a time does not rest on votes alone.
func TestNobodyFencesWhileAMemberSaysThatItDoes(t *testing.T) {
	for stage, want := range map[FenceStage]bool{FenceRuns: false, FenceDone: true} {
		l := newFenceLAN(t, "a", "b", "c", "d", "e")
		l.holds("b", 200, FenceUnit{})
		l.holds("c", 150, FenceUnit{})
		started := func(d time.Duration) bool {
			for end := l.now.Add(d); l.now.Before(end); l.now = l.now.Add(200 * time.Millisecond) {
				if l.f["b"].Step(l.view("b")).Start != nil {
					return true
				}
			}
			return false
		}
		if started(6 * time.Second) {
			t.Fatal("b starts an agent without a vote")
		}
		l.words["d"] = []FenceWord{{Unit: "VJ", Node: "e", Boot: l.boots["e"], By: l.boots["d"], Stage: stage}}
		for _, voter := range []string{"a", "e"} {
			l.words[voter] = []FenceWord{{Unit: "VI", Node: "c", Boot: l.boots["c"], By: l.boots["b"], Stage: FenceVotes, Agrees: true}}
		}
		if got := started(time.Second); got != want {
			t.Errorf("d says %v of e: b, with three of five votes, starts an agent: %v, want %v", stage, got, want)
		}
	}
}

func TestAVoteBindsUntilItIsOver(t *testing.T) {
	l := newFenceLAN(t, "a", "b", "c", "d", "e")
	l.holds("a", 200, FenceUnit{})
	l.holds("b", 150, FenceUnit{})
	l.run(8 * time.Second)
	l.wantStarts("a", "b")
	// The fencer is heard no more while its agent runs: c and d vote for nobody
	// else until it must be over.
	for _, n := range l.names {
		l.cut(n, "a")
	}
	l.words["e"] = []FenceWord{{Unit: "VJ", Node: "b", Boot: l.boots["b"], By: l.boots["e"], Stage: FenceAsks, Span: time.Minute}}
	voted := func() bool {
		d := l.f["c"].Step(l.view("c"))
		return slices.ContainsFunc(d.Words, func(w FenceWord) bool { return w.By == l.boots["e"] })
	}
	for range 50 {
		l.now = l.now.Add(time.Second)
		if voted() {
			t.Fatal("c votes for e while the agent of a may run")
		}
	}
	l.now = l.now.Add(15 * time.Second)
	voted() // the old vote ends
	l.now = l.now.Add(time.Second)
	if !voted() {
		t.Error("c does not vote for e although the agent of a cannot run any more")
	}
}

func TestTheGrantsOfAFencedLifeAreFree(t *testing.T) {
	v := newVoter("v", 0)
	v.elect = Electorate{Epoch: 1, Voters: []string{"a", "b", "v"}}
	v.setBound(2 * time.Second)
	now := kclock.Instant(0).Add(3 * time.Second)
	request := func(ballot Ballot) LeaseRequest {
		return LeaseRequest{Unit: "VI", Tenure: 1, Ballot: ballot, Epoch: 1, Lease: time.Second}
	}
	a, b := owner{"a", 1}, owner{"b", 2}
	v.ask(now, a, 1, request(1), now.Add(time.Second))
	v.ask(now, b, 1, request(2), now.Add(time.Second))
	if got := v.units["VI"].grant.owner; got != a {
		t.Fatalf("granted to %v, want a", got)
	}
	v.end(now, owner{"a", 9}) // another life
	v.settle(now)
	if got := v.units["VI"].grant.owner; got != a {
		t.Fatalf("granted to %v after another life of a was fenced, want a", got)
	}
	v.end(now, a)
	v.settle(now)
	if got := v.units["VI"].grant.owner; got != b {
		t.Errorf("granted to %v after a was fenced, want b, whose request stood", got)
	}
}

// A process that was stopped has claimed the unit until then, and its gate has closed
// since: that is no reason to switch its machine off.
func TestWhatWasClaimedBeforeTheTenureIsNoEvidence(t *testing.T) {
	for name, quorum := range map[string]bool{"mesh": false, "quorum": true} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			rightful := Tenure{Seq: 1, Priority: 150, Primary: addr("192.0.2.1")}
			v := &FenceView{Now: now, Peers: PeerView{Members: []MemberView{{Name: "b", Boot: 2, Fresh: true, TwoWay: true, Claims: []ClaimView{{
				Claim: Claim{Unit: "VI", State: Master, Tenure: Tenure{Seq: 7, Priority: 100, Primary: addr("192.0.2.2")}},
				At:    now.Add(-time.Second), Fresh: true,
			}}}}}}
			if at, text := v.evidence("VI", "b", quorum, rightful, now.Add(-500*ms)); !at.IsZero() {
				t.Errorf("evidence %q", text)
			}
			if at, _ := v.evidence("VI", "b", quorum, rightful, now.Add(-2*time.Second)); at.IsZero() {
				t.Error("no evidence of a claim made during the tenure")
			}
		})
	}
}

// A machine that was started anew has removed what its life before left: proofs
// against that one are none against the new one.
func TestProofsAgainstALifeEndWithIt(t *testing.T) {
	l := newFenceLAN(t, "a", "b")
	l.holds("a", 150, FenceUnit{First: "a"})
	l.deaf[[2]string{"a", "b"}] = true
	l.proofs["a"] = []FenceProof{{Unit: "VI", Node: "b"}}
	l.run(4 * time.Second)
	l.wantStarts("", "")
	delete(l.deaf, [2]string{"a", "b"})
	l.run(200 * time.Millisecond) // the proof of its last moments
	l.proofs["a"] = nil
	l.run(10 * time.Second)
	l.wantStarts("", "")
}

// The shell may show a proof once more when the new life is known already.
func TestAProofIsAgainstTheLifeInWhichItBegan(t *testing.T) {
	for name, tt := range map[string]struct {
		began time.Duration // after the node's new life
		want  bool
	}{
		"before it": {-200 * time.Millisecond, false},
		"since":     {200 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFenceLAN(t, "a", "b")
			l.holds("a", 150, FenceUnit{First: "a"})
			l.units["a"][0].After = 2 * time.Second
			l.run(time.Second)
			l.boots["b"] = 9
			met := l.now
			l.run(2 * tt.began.Abs())
			first := met.Add(tt.began)
			started := false
			for end := l.now.Add(10 * time.Second); l.now.Before(end); l.now = l.now.Add(200 * time.Millisecond) {
				v := l.view("a")
				v.Proofs = []FenceProof{{Unit: "VI", Node: "b", First: first, Last: first.Add(proofApart)}}
				started = started || l.f["a"].Step(v).Start != nil
			}
			if started != tt.want {
				t.Errorf("a starts an agent: %v, want %v", started, tt.want)
			}
		})
	}
}

// The agent runs while its target starts anew: the new life is not over.
func TestSuccessIsThatOfTheLifeThatWasFenced(t *testing.T) {
	l := newFenceLAN(t, "a", "b")
	l.holds("a", 150, FenceUnit{First: "a"})
	l.holds("b", 100, FenceUnit{First: "a"})
	l.run(6 * time.Second)
	l.wantStarts("a", "b")
	l.boots["b"] = 9
	l.run(time.Second)
	l.f["a"].Ended(l.now, nil)
	l.run(time.Second)
	if want := []FencedLife{{"b", 2}}; !slices.Equal(l.fenced["a"], want) {
		t.Errorf("fenced %v, want %v", l.fenced["a"], want)
	}
}
