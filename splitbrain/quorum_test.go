package splitbrain

import (
	"slices"
	"testing"
	"time"
)

// reigning is a world in which n1 has held for a while.
func reigning(t *testing.T, names ...string) *leaseWorld {
	t.Helper()
	w := newLeaseWorld(t, 1, names...)
	w.startAll()
	w.run(20 * time.Second)
	w.wantHolder(t, w.nodes[0])
	if w.moves != 1 {
		t.Fatalf("%d changes of holder, want 1\n%s", w.moves, w.trace.String())
	}
	return w
}

func (w *leaseWorld) wantHolder(t *testing.T, n *leaseNode) {
	t.Helper()
	if h := w.holder(); h != n || w.broken != "" {
		t.Fatalf("holder %v, want %v; %s\n%s", h, n, w.broken, w.trace.String())
	}
}

// served runs until another node than the one before holds.
func (w *leaseWorld) served(before *leaseNode, within time.Duration) (after time.Duration, ok bool) {
	begin := w.now
	for w.now < begin+within {
		w.run(w.now + ms)
		if h := w.holder(); h != nil && h != before {
			return w.now - begin, true
		}
	}
	return 0, false
}

// F4, S68: silent at 0.85 L of its last request, and served after L.
func TestAnIsolatedHolderIsSilentBeforeAnotherServes(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	n1 := w.nodes[0]
	n1.isolate(true)
	begin := w.now
	after, ok := w.served(n1, 5*time.Second)
	if !ok || after > 2300*ms || n1.view.State == Master || n1.gate >= begin+after {
		t.Errorf("served after %v (%v); n1 is %v, its gate closed at %v\n%s", after, ok, n1.view.State, n1.gate-begin, w.trace.String())
	}
	w.run(w.now + 10*time.Second)
	if n1.alerts[QuorumLost] == 0 {
		t.Error("n1 says nothing of the voters that it misses")
	}
	n1.isolate(false)
	w.run(w.now + 20*time.Second)
	if w.moves != 2 || w.broken != "" {
		t.Errorf("%d changes of holder, want 2; %s\n%s", w.moves, w.broken, w.trace.String())
	}
}

// F5, F6: requests and grants go through third nodes.
func TestGrantsReachTheHolderThroughOthers(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	cutBetween(w.nodes[0], w.nodes[1], true)
	w.run(w.now + 20*time.Second)
	cutBetween(w.nodes[0], w.nodes[1], false)
	for i, n := range w.nodes { // each hears the next one only
		n.cut[w.nodes[(i+1)%3]] = true
	}
	w.run(w.now + 20*time.Second)
	w.wantHolder(t, w.nodes[0])
	if w.moves != 1 {
		t.Errorf("%d changes of holder, want 1\n%s", w.moves, w.trace.String())
	}
}

// S7: the one that comes back has the better priority, and no lease.
func TestTheLeaseWinsAndNotThePriority(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	n1 := w.nodes[0]
	n1.pause()
	if _, ok := w.served(n1, 5*time.Second); !ok {
		t.Fatalf("nobody serves\n%s", w.trace.String())
	}
	n1.resume()
	w.run(w.now + 20*time.Second)
	w.wantHolder(t, w.nodes[1])
}

// F7 with a witness: what votes need not hold.
func TestAWitnessMakesTheMajority(t *testing.T) {
	w := reigning(t, "n1", "n2", "w3")
	w.nodes[0].kill()
	if after, ok := w.served(w.nodes[0], 5*time.Second); !ok {
		t.Errorf("n2 does not serve after %v\n%s", after, w.trace.String())
	}
	w.nodes[2].kill()
	w.run(w.now + 10*time.Second)
	if h := w.holder(); h != nil {
		t.Errorf("%s holds without a majority\n%s", h.name, w.trace.String())
	}
	if w.nodes[1].alerts[QuorumLost] == 0 {
		t.Error("n2 does not say that the majority is lost")
	}
}

// S55, S56, R4: the voters' grants are the proof, and they come by themselves.
func TestAHandOverTakesTwoRoundTrips(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	n1, n3 := w.nodes[0], w.nodes[2]
	n3.does(func() { n3.core.RequestHandover(n3.wall(), worldUnit, "n3") })
	after, ok := w.served(n1, time.Second)
	if !ok || after > 10*ms || w.holder() != n3 {
		t.Errorf("n3 serves after %v (%v)\n%s", after, ok, w.trace.String())
	}
	w.run(w.now + 10*time.Second)
	w.wantHolder(t, n3)
}

// S14: each of two voters is needed. Losing one of them ends it, and never makes
// two holders.
func TestNobodyHoldsWithoutAMajority(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	w.nodes[1].kill()
	w.nodes[2].kill()
	w.run(w.now + 1700*ms + 20*ms)
	if h := w.holder(); h != nil {
		t.Errorf("%s holds by itself\n%s", h.name, w.trace.String())
	}
	w.nodes[1].start()
	w.run(w.now + 10*time.Second)
	if w.holder() == nil {
		t.Errorf("nobody holds though two voters are there\n%s", w.trace.String())
	}
}

// S11: the timers of all end within a round trip.
func TestCandidatesThatAskAtOnceDoNotBlockEachOther(t *testing.T) {
	for seed := range uint64(20) {
		w := newLeaseWorld(t, seed, "n1", "n2", "n3", "n4", "n5")
		for _, n := range w.nodes {
			n.start()
			n.view.Priority = 100
		}
		w.run(7 * time.Second)
		if w.holder() == nil || w.broken != "" {
			t.Errorf("seed %d: holder %v; %s\n%s", seed, w.holder(), w.broken, w.trace.String())
		}
	}
}

// S13, T18: at 20 % loss no lease is lost, because ten heartbeats fit into the
// shortest one too.
func TestLossLosesNoLease(t *testing.T) {
	for _, tt := range []struct{ lease, span time.Duration }{{2 * time.Second, 30 * time.Minute}, {MinLease, 10 * time.Minute}} {
		w := newLeaseWorld(t, 1, "n1", "n2", "n3")
		for _, n := range w.nodes {
			n.bound = tt.lease
		}
		w.startAll()
		w.run(20 * time.Second)
		w.loss = 0.2
		w.run(w.now + tt.span)
		if w.moves != 1 || w.broken != "" {
			t.Errorf("lease of %v: %d changes of holder, want 1; %s\n%s", tt.lease, w.moves, w.broken, w.trace.String())
		}
	}
}

// S76: a unit that is MASTER when its policy becomes quorum has the time of a
// lease to get one.
func TestAChangeOfPolicyMovesNothing(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	n1 := w.nodes[0]
	for _, policy := range []Policy{PolicyMesh, PolicyQuorum} {
		for _, n := range w.nodes {
			n.does(func() { n.view.Policy = policy; n.show() })
		}
		for range 30 {
			w.run(w.now + 100*ms)
			if n1.view.State == Master {
				n1.gate = w.now + time.Second // as adverts keep it open meanwhile
			}
		}
	}
	if n1.view.State != Master || n1.view.Tenure.Seq != 1 {
		t.Errorf("n1 is %v in tenure %d\n%s", n1.view.State, n1.view.Tenure.Seq, w.trace.String())
	}
}

// S4a, R6e: a holder that is cut off from Raft hears of the electorate by records.
func TestTheElectorateTravelsInRecords(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	next := Electorate{Epoch: 2, Voters: []string{"n1", "n2"}}
	w.nodes[1].does(func() { w.nodes[1].core.SetElectorate(next) })
	w.run(w.now + 10*time.Second)
	for _, n := range w.nodes {
		if got := n.core.leases.elect.stored; got.Epoch != 2 || !slices.Equal(got.Voters, next.Voters) {
			t.Errorf("%s votes by %+v, want %+v", n.name, got, next)
		}
	}
	w.wantHolder(t, w.nodes[0])
	if w.moves != 1 {
		t.Errorf("%d changes of holder, want 1\n%s", w.moves, w.trace.String())
	}
}

// R6d: a peer acknowledges what this life does not remember to have said.
func TestANodeThatWasSetBackHasNoLeaseAndWaits(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	n1 := w.nodes[0]
	n1.core.seq -= 100 // a snapshot of an hour ago
	w.run(w.now + 300*ms)
	if n1.view.State == Master {
		t.Errorf("n1 still holds\n%s", w.trace.String())
	}
	if v := n1.core.leases.voter; v.quarantined < n1.raw() {
		t.Error("n1 still votes")
	}
	w.run(w.now + 10*time.Second)
	if w.holder() == nil || w.broken != "" {
		t.Errorf("holder %v; %s\n%s", w.holder(), w.broken, w.trace.String())
	}
}

// R10: voters know nothing of a router that is no member. One that has advertised since
// this node began to bid is followed as VRRP says; a member's adverts prove no lease.
func TestABidEndsWithTheAdvertOfAStranger(t *testing.T) {
	tests := []struct {
		name  string
		heard Advert
		wants Want
		asks  bool
	}{
		{"nothing was heard since", Advert{From: addr("192.0.2.66"), Priority: 200, At: now.Add(-300 * ms)}, WantNothing, true},
		{"a stranger advertises", Advert{From: addr("192.0.2.66"), Priority: 200, At: now.Add(-50 * ms)}, WantNothing, false},
		{"a stranger said goodbye", Advert{From: addr("192.0.2.66"), At: now.Add(-50 * ms)}, WantNothing, true},
		{"a member advertises", Advert{From: addr("192.0.2.2"), Priority: 200, At: now.Add(-50 * ms)}, WantNothing, true},
		{"Master_Down_Timer has ended beside its adverts", Advert{From: addr("192.0.2.66"), Priority: 20, At: now.Add(-50 * ms)}, WantHeld, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := view(ownView(Backup), peer(Backup))
			v.Unit.Policy, v.Unit.Heard, v.Unit.Wants = PolicyQuorum, tt.heard, tt.wants
			v.Peers[0].Claim.Policy = PolicyQuorum
			v.Memory.bid = bid{since: now.Add(-200 * ms), from: now.Add(-200 * ms), reason: "n2 released the unit"}
			if d := Decide(v); d.Asks != tt.asks {
				t.Errorf("asks the voters: %v, want %v", d.Asks, tt.asks)
			}
		})
	}
}

// A node that would let go as soon as it had taken over does not ask for the unit.
func TestNobodyAsksForAUnitBesideABetterStranger(t *testing.T) {
	for name, tt := range map[string]struct {
		heard Advert
		asks  bool
	}{
		"it comes before this node": {Advert{From: addr("192.0.2.66"), Priority: 200, At: now.Add(-500 * ms)}, false},
		"it comes after it":         {Advert{From: addr("192.0.2.66"), Priority: 20, At: now.Add(-500 * ms)}, true},
		"it was not heard for long": {Advert{From: addr("192.0.2.66"), Priority: 200, At: now.Add(-time.Minute)}, true},
		"it is a member":            {Advert{From: addr("192.0.2.2"), Priority: 200, At: now.Add(-500 * ms)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := view(ownView(Backup), peer(Master))
			v.Unit.Wants, v.Unit.Heard = WantPreempt, tt.heard
			if d := Decide(v); (d.Request != nil) != tt.asks {
				t.Errorf("request %+v, want one: %v", d.Request, tt.asks)
			}
		})
	}
}

// A router that has said that it let go, and advertises after that, holds again: its
// records may be cut off.
func TestAReleaseIsVoidWhenItsAuthorAdvertises(t *testing.T) {
	for name, tt := range map[string]struct {
		at   time.Duration
		want bool
	}{"before its record": {-200 * ms, true}, "after its record": {-50 * ms, false}} {
		t.Run(name, func(t *testing.T) {
			p := peer(Backup)
			p.Claim.Released, p.Claim.Tenure = true, Tenure{Seq: 7, Priority: 100, Primary: addr("192.0.2.2")}
			v := view(ownView(Backup), p)
			v.Memory.holder = TenureID{2, 7}
			v.Unit.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(tt.at)}
			got := slices.ContainsFunc(Decide(v).Verdicts, takesOver)
			if got != tt.want {
				t.Errorf("takes over: %v, want %v", got, tt.want)
			}
		})
	}
}
