package splitbrain

import (
	"slices"
	"testing"
	"time"
)

// What the findings of the project's review say of policy quorum, one test for each
// that no other test answers.

// candidate is a View of a BACKUP whose Master_Down_Timer has ended, and that a
// majority has heard for an hour.
func candidate(change func(*View), peers ...Peer) *View {
	u := ownView(Backup)
	u.Policy, u.Lease, u.Wants = PolicyQuorum, 2*sec, WantHeld
	for i := range peers {
		peers[i].Claim.Policy = PolicyQuorum
	}
	v := view(u, peers...)
	v.Lease = LeaseView{Raw: noon, Contact: now.Add(-time.Hour)}
	if change != nil {
		change(v)
	}
	return v
}

// leased gives the candidate the lease for its next tenure.
func leased(v *View) {
	v.Lease.Ballot, v.Lease.Tenure, v.Lease.Until = 5, 1, noon.Add(1500*ms)
	v.Lease.Granters = []string{"n1", "n2"}
}

func movesHere(d Decision) bool {
	return slices.ContainsFunc(d.Verdicts, takesOver)
}

// S9, R0: two names of one address are two leases, so an address changes its unit
// only when nobody has claimed it elsewhere for the time of a lease, with a majority
// in contact.
func TestAnAddressThatMovesBetweenUnitsIsBarredForOneLease(t *testing.T) {
	tests := []struct {
		name   string
		change func(*View)
		asks   bool
		wake   time.Duration // when it looks again, while it is barred
	}{
		{"nobody holds it", func(*View) {}, true, 0},
		{"claimed in another unit just now", func(v *View) { v.Elsewhere = &Elsewhere{Node: "n2", Unit: "old", At: now, Interval: 200 * ms} }, false, 2 * sec},
		{"claimed there until a moment less than a lease ago", func(v *View) {
			v.Elsewhere = &Elsewhere{Node: "n2", Unit: "old", At: now.Add(-2*sec + ms), Interval: 200 * ms}
		}, false, ms},
		{"not claimed there for a lease", func(v *View) {
			v.Elsewhere = &Elsewhere{Node: "n2", Unit: "old", At: now.Add(-fresh2s), Interval: 200 * ms}
		}, true, 0},
		{"a majority has been heard for less than a lease", func(v *View) { v.Lease.Contact = now.Add(-1500 * ms) }, false, 500 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Decide(candidate(tt.change))
			if d.Asks != tt.asks || movesHere(d) {
				t.Errorf("asks = %v, verdicts %v; want %v, and no take-over", d.Asks, d.Verdicts, tt.asks)
			}
			if tt.wake > 0 && d.Wake.After(now.Add(tt.wake)) {
				t.Errorf("looks again after %v, want %v at the latest", d.Wake.Sub(now), tt.wake)
			}
		})
	}
}

// S9 with whole nodes: n2 runs the revision that renames the unit, n1 not yet.
func TestAUnitThatIsRenamedOnOneNodeHasOneHolder(t *testing.T) {
	w := reigning(t, "n1", "n2", "w3")
	n1, n2 := w.nodes[0], w.nodes[1]
	n2.does(func() {
		n2.view.Name, n2.view.Wants = "VI_2", WantHeld
		n2.show()
	})
	w.run(w.now + 20*time.Second)
	w.wantHolder(t, n1)
	n1.pause()
	begin := w.now
	after, ok := w.served(n1, 10*time.Second)
	if !ok || w.broken != "" || n1.gate >= begin+after {
		t.Errorf("n2 serves after %v (%v), the gate of n1 closed after %v; %s\n%s", after, ok, n1.gate-begin, w.broken, w.trace.String())
	}
	n1.resume()
	w.run(w.now + 20*time.Second)
	w.wantHolder(t, n2)
}

// S9: two that are left want the address under two names when its holder dies.
func TestAnAddressWithTwoNamesHasOneHolder(t *testing.T) {
	for seed := range uint64(10) {
		w := newLeaseWorld(t, seed, "n1", "n2", "n3")
		w.startAll()
		w.run(20 * time.Second)
		n1, n2 := w.nodes[0], w.nodes[1]
		n2.does(func() {
			n2.view.Name, n2.view.Wants = "VI_2", WantHeld
			n2.show()
		})
		w.run(w.now + 10*time.Second)
		w.wantHolder(t, n1)
		n1.kill()
		w.run(w.now + 20*time.Second)
		if h := w.holder(); h == nil || h == n1 || w.broken != "" {
			t.Errorf("seed %d: holder %v; %s\n%s", seed, h, w.broken, w.trace.String())
		}
	}
}

// S15: a replacement of a voter passes an even number. Any two majorities share a
// voter, and no fewer would do.
func TestTwoMajoritiesShareAVoter(t *testing.T) {
	for n := 3; n <= MaxVoters; n++ {
		e := Electorate{Voters: make([]string, n)}
		if m := e.Majority(); 2*m <= n || 2*(m-1) > n {
			t.Errorf("a majority of %d is %d", n, m)
		}
	}
}

// S16, G3: no rule has both, a holder that goes on and one holder, where no path is
// left. It goes silent, and says whom it misses.
func TestWithoutAnyPathTheHolderIsSilentAndNamesTheVoters(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	for _, n := range w.nodes {
		n.isolate(true)
	}
	w.run(w.now + 1700*ms + 20*ms)
	if h := w.holder(); h != nil {
		t.Errorf("%s holds\n%s", h.name, w.trace.String())
	}
	w.run(w.now + 10*time.Second)
	v := w.nodes[0].core.View(w.nodes[0].wall(), w.nodes[0].raw())
	if len(v.Leases) != 1 || v.Leases[0].Left > 0 || len(v.Leases[0].Missing) != 2 {
		t.Fatalf("leases %+v, want one that does not run for want of n2 and n3", v.Leases)
	}
	if w.nodes[0].alerts[QuorumLost] == 0 {
		t.Errorf("n1 does not say what it misses\n%s", w.trace.String())
	}
	for _, n := range w.nodes {
		n.isolate(false)
	}
	w.run(w.now + 10*time.Second)
	if w.holder() == nil || w.broken != "" {
		t.Errorf("holder %v after the heal; %s", w.holder(), w.broken)
	}
}

// S17, G2: the last advert before a death may be an interval older than the last
// grant, so the timer of the best candidate ends two intervals after the death. The
// voters are free by then, or 50 ms later.
func TestTheDefaultLeaseEndsWithTheMasterDownTimer(t *testing.T) {
	const roundTrip = 2 * ms
	for _, advert := range []time.Duration{250 * ms, 500 * ms, sec, 2 * sec, 40 * sec} {
		u := UnitView{AdvertInterval: advert, DownTimerAdverts: 3, Priority: 254}
		due := u.masterDown() - advert + 50*ms
		if free := u.lease() + roundTrip; free > due {
			t.Errorf("advert interval %v: free after %v, want %v", advert, free, due)
		}
		if free := u.lease()*102/100 + roundTrip; advert <= sec && free > due { // clocks 2 % apart
			t.Errorf("advert interval %v: free after %v by a slow clock, want %v", advert, free, due)
		}
	}
}

// S41, R0: A and B hear each other through C only, and requests still get answers
// when every path leads one way.
func TestARingOfOneWayPathsKeepsTheLease(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	for i, n := range w.nodes {
		n.cut[w.nodes[(i+2)%3]] = true
	}
	w.run(w.now + 30*time.Second)
	w.wantHolder(t, w.nodes[0])
	if w.moves != 1 {
		t.Errorf("%d changes of holder, want none\n%s", w.moves-1, w.trace.String())
	}
}

// S48, F12: a hard fault needs nobody's word. The lease is given back with it.
func TestAFaultOfTheHolderIsFollowedInARoundTrip(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	n1 := w.nodes[0]
	n1.does(func() {
		n1.gate = w.now
		n1.become(Fault, "link down")
	})
	after, ok := w.served(n1, time.Second)
	if !ok || after > 50*ms || w.broken != "" {
		t.Errorf("served after %v (%v); %s\n%s", after, ok, w.broken, w.trace.String())
	}
}

// S7, R2, R6g: the lease decides between two that claim, and neither the priority nor
// the peer's word: who has it never lets go for either, and who has none does.
func TestWhoHasTheLeaseYieldsToNobody(t *testing.T) {
	claims := func(mine, theirs uint8, leased bool) *View {
		u, p := ownView(Master), peer(Master)
		u.Policy, p.Claim.Policy, u.Lease = PolicyQuorum, PolicyQuorum, 2*sec
		u.Tenure.Priority, p.Claim.Tenure.Priority = mine, theirs
		v := view(u, p)
		v.Memory.holder = TenureID{1, 4}
		v.Memory.lease = Lease{Tenure: 4, Until: noon.Add(-1)}
		v.Lease = LeaseView{Raw: noon, Contact: now.Add(-time.Hour)}
		if leased {
			v.Lease.Ballot, v.Lease.Tenure, v.Lease.Until = 5, 4, noon.Add(1500*ms)
		}
		return v
	}
	if yields(claims(100, 200, true)) {
		t.Error("the lease's owner yields to a claim with a better priority")
	}
	if !yields(claims(200, 100, false)) {
		t.Error("a MASTER without a lease stays because its priority is the better one")
	}
}

// S57, R4: a request names the tenure that it asks to end. One that comes again,
// minutes later, ends no other.
func TestARequestFromAnEarlierTenureEndsNone(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	n1, n3 := w.nodes[0], w.nodes[2]
	var old []Request
	n3.does(func() {
		n3.core.RequestHandover(n3.wall(), worldUnit, "n3")
		out := n3.core.Step(n3.wall(), n3.raw())
		old = slices.Clone(out.Record.Requests)
		n3.send(&out)
	})
	if _, ok := w.served(n1, time.Second); !ok || len(old) != 1 {
		t.Fatalf("n3 did not get the unit; it asked %+v\n%s", old, w.trace.String())
	}
	w.run(w.now + 10*time.Second)
	n1.does(func() { n1.core.RequestHandover(n1.wall(), worldUnit, "n1") })
	w.run(w.now + 10*time.Second)
	w.wantHolder(t, n1)
	moves := w.moves
	again := &Datagram{Record: Record{
		Cluster: 1, Node: "n3", Boot: n3.boot, Seq: n3.core.seq + 1, Interval: 200 * ms,
		Acks: n3.core.table.acks(n3.wall()), Requests: old, Electorate: n3.elect,
	}}
	n1.does(func() { n1.core.Receive(n1.wall(), again, "mesh") })
	w.run(w.now + 5*time.Second)
	w.wantHolder(t, n1)
	if w.moves != moves {
		t.Errorf("a request from an earlier tenure moved the unit\n%s", w.trace.String())
	}
}

// S58: an address that is still there is no release, whatever is asked.
func TestAHolderWhoseAddressesStayGivesNoLeaseBack(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	n1, n3 := w.nodes[0], w.nodes[2]
	n1.lingers = true
	n3.does(func() { n3.core.RequestHandover(n3.wall(), worldUnit, "n3") })
	begin := w.now
	after, ok := w.served(n1, 5*time.Second)
	if n1.view.State == Master {
		t.Fatalf("n1 did not let go\n%s", w.trace.String())
	}
	if !ok || after < 1500*ms || w.broken != "" {
		t.Errorf("served %v (%v) after n1 was asked, before its grants had run out; %s\n%s", after, ok, w.broken, w.trace.String())
	}
	if n1.gate > begin+500*ms {
		t.Error("the gate of n1 stayed open")
	}
	if n1.alerts[HandoverFailed] == 0 {
		t.Errorf("n1 does not say that its addresses stay\n%s", w.trace.String())
	}
}

// gone3 is the proof of R9.3: no record of n2 for a while, its own address answers
// and the unit's does not.
func gone3(v *View) {
	v.Peers[0].At = now.Add(-450 * ms)
	v.Evidence = onNetwork(nil, answering(), false, silentFor(300*ms))
}

// S60, S61, R9: whatever was seen, a take-over needs the lease. A proof only lets a
// candidate ask early, and what proves nothing does not even do that.
func TestAProofOnlyLetsACandidateAskEarly(t *testing.T) {
	tests := []struct {
		name       string
		change     func(*View)
		asks, take bool
	}{
		{"S61: a proof, and no lease yet", gone3, true, false},
		{"S61: a proof, and the lease", func(v *View) { gone3(v); leased(v) }, true, true},
		{"S60: a cut that swallows records and probes", func(v *View) {
			gone3(v)
			v.Evidence.Networks[0].Members[0].Echo = silentFor(300 * ms)
		}, false, false},
		{"S60: such a cut, and a lease from before", func(v *View) {
			gone3(v)
			v.Evidence.Networks[0].Members[0].Echo = silentFor(300 * ms)
			leased(v)
		}, false, false},
		{"S60: its records are lost, its address answers", func(v *View) {
			gone3(v)
			v.Evidence.Networks[0].VIP = answering()
		}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Decide(candidate(tt.change, peer(Master)))
			if d.Asks != tt.asks || movesHere(d) != tt.take {
				t.Errorf("asks = %v, verdicts %v; want %v and take-over = %v", d.Asks, d.Verdicts, tt.asks, tt.take)
			}
		})
	}
}

// S62, R9: candidates ask in their order, each after a time of its own.
func TestCandidatesAskInTheirOrder(t *testing.T) {
	released := peer(Backup)
	released.At = now
	released.Claim.Tenure, released.Claim.Released, released.Claim.Priority = Tenure{Seq: 7, Priority: 100}, true, 100
	better := peer(Backup)
	better.Node, better.Boot = "n3", 3
	better.Claim.Priority = 200
	slow := better
	slow.RTT = 30 * ms
	for _, tt := range []struct {
		name string
		more []Peer
		wait time.Duration
	}{
		{"the first at once", nil, 0},
		{"the second after 20 ms", []Peer{better}, 20 * ms},
		{"or after two round trips", []Peer{slow}, 60 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			claim := *released.Claim
			holder := released
			holder.Claim = &claim
			v := candidate(func(v *View) { v.Memory.holder = TenureID{2, 7} }, append([]Peer{holder}, tt.more...)...)
			v.Unit.Wants = WantNothing
			d := Decide(v)
			if d.Asks != (tt.wait == 0) || tt.wait > 0 && !d.Wake.Equal(now.Add(tt.wait)) {
				t.Fatalf("asks = %v, looks again after %v; want %v", d.Asks, d.Wake.Sub(now), tt.wait)
			}
			v.Memory = d.Memory
			v.Now, v.Lease.Raw = now.Add(tt.wait), noon.Add(tt.wait)
			if d := Decide(v); !d.Asks || movesHere(d) {
				t.Errorf("asks = %v, verdicts %v after its wait", d.Asks, d.Verdicts)
			}
		})
	}
}
