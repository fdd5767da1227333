package splitbrain

import (
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/rules"
)

// What the findings of the project's review say of policy mesh, one test for each
// that no other test answers. The table is docs/findings.md.

// awaiting is a View of a BACKUP that hears no adverts and whose timer has ended,
// beside a holder whose latest record is of the given age.
func awaiting(advert, heartbeat, age time.Duration) *View {
	u := ownView(Backup)
	u.AdvertInterval, u.Wants = advert, WantHeld
	p := peer(Master)
	p.Interval, p.At = heartbeat, now.Add(-age)
	v := view(u, p)
	v.Heartbeat = heartbeat
	return v
}

// heldUntil is until when a Hold of the verdicts keeps the unit; zero: none does.
func heldUntil(d Decision) (until time.Time) {
	for _, v := range d.Verdicts {
		if h, ok := v.(Hold); ok {
			until = h.Until
		}
	}
	return until
}

// S38, R0: at a loss of 20 % some records in a row are lost in every half hour. No
// Master_Down_Timer ends sooner than two intervals after a death, so a claim may
// count for as long.
func TestRecordsLostForTwoIntervalsMoveNothing(t *testing.T) {
	for _, advert := range []time.Duration{100 * ms, sec, 10 * sec} {
		d := Decide(awaiting(advert, advert/5, 2*advert))
		if until := heldUntil(d); until.Before(now) || movesHere(d) {
			t.Errorf("advert interval %v: held until %v from now, verdicts %v; want a hold", advert, until.Sub(now), d.Verdicts)
		}
	}
}

// S38a, R0, R7: a holder that hangs at its last record and advert may answer until
// its gate closes, by a clock that is slewed by a tenth. Adverts may have been
// blocked for an hour: only its claim keeps the others away.
func TestAClaimOutlivesTheGateOfAHolderThatHangs(t *testing.T) {
	for _, advert := range []time.Duration{10 * ms, 100 * ms, sec, 40 * sec} {
		for _, lease := range []time.Duration{0, advert * 3 / 2, 5 * advert} {
			v := awaiting(advert, max(advert/5, rules.MinHeartbeat), 0)
			v.Unit.KernelLease = lease
			if lease == 0 {
				lease = 2 * advert
			}
			closed := now.Add(lease + lease/10 + 20*ms)
			if until := heldUntil(Decide(v)); until.Before(closed) {
				t.Errorf("advert interval %v, kernel lease %v: held for %v, and the gate may be open for %v",
					advert, lease, until.Sub(now), closed.Sub(now))
			}
			v.Now = closed.Add(-1)
			if d := Decide(v); movesHere(d) {
				t.Errorf("advert interval %v, kernel lease %v: %v while the gate may be open", advert, lease, d.Verdicts)
			}
		}
	}
}

// S13, S39, S69, R0: where adverts are quick, records are too: a claim that counted for three
// heartbeats of 200 ms would keep the address dark beyond any Master_Down_Interval.
func TestRecordsAreAsQuickAsAdvertsAndLeasesAsk(t *testing.T) {
	tests := []struct {
		name   string
		policy Policy
		advert time.Duration
		lease  time.Duration
		want   time.Duration
	}{
		{"as configured", PolicyMesh, sec, 0, 200 * ms},
		{"a fifth of the adverts", PolicyMesh, 100 * ms, 0, 20 * ms},
		{"no less than 10 ms", PolicyMesh, 10 * ms, 0, 10 * ms},
		{"a tenth of the lease", PolicyQuorum, sec, 500 * ms, 50 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCore("n1", 1, 1, 0, now)
			u := ownView(Backup)
			u.Policy, u.AdvertInterval, u.Lease = tt.policy, tt.advert, tt.lease
			slow := *u
			slow.Name, slow.AdvertInterval, slow.Lease = "VI_2", 40*sec, 60*sec
			c.SetUnits([]UnitView{*u, slow})
			if c.interval != tt.want {
				t.Errorf("records every %v, want %v", c.interval, tt.want)
			}
			// G2: power loss is served within 50 ms of Master_Down_Interval.
			if free := u.fresh(c.interval); tt.policy == PolicyMesh && free > u.masterDown()+50*ms {
				t.Errorf("a claim counts for %v, and Master_Down_Interval is %v", free, u.masterDown())
			}
		})
	}
}

// S40, R1: a hold ends with the claim that it stands on. Were it longer, the nodes'
// timers would drift apart, and the wrong one would win.
func TestAHoldEndsWithItsClaimAndIsWeighedAtEachRecord(t *testing.T) {
	v := awaiting(sec, 200*ms, 0)
	for range 20 { // four seconds of records: longer than any timer
		d := Decide(v)
		if want := v.Peers[0].At.Add(fresh2s); !heldUntil(d).Equal(want) {
			t.Fatalf("held until %v after the record, want %v", heldUntil(d).Sub(v.Peers[0].At), fresh2s)
		}
		v.Memory = d.Memory
		v.Now = v.Now.Add(200 * ms)
		v.Peers[0].At, v.Peers[0].KnownAt = v.Now, v.Now
	}
	last := v.Peers[0].At
	for v.Now.Before(last.Add(fresh2s)) {
		d := Decide(v)
		if until := heldUntil(d); until.After(last.Add(fresh2s)) {
			t.Fatalf("held until %v after the last record, want %v", until.Sub(last), fresh2s)
		}
		v.Memory, v.Now = d.Memory, v.Now.Add(200*ms)
	}
	v.Now = last.Add(fresh2s + 1)
	if d := Decide(v); !heldUntil(d).IsZero() {
		t.Errorf("held until %v after the last record, when it counts no more", heldUntil(d).Sub(last))
	}
}

// S43, R1, R2: a BACKUP that hears adverts of lower priority, and a new MASTER whose
// record comes before its advert, are an ordinary preemption.
func TestAnOrdinaryPreemptionRaisesNoAlert(t *testing.T) {
	raised := func(v *View) (kinds []AlertKind) {
		for _, a := range Decide(v).Alerts {
			kinds = append(kinds, a.Kind)
		}
		return kinds
	}
	u := ownView(Backup)
	u.Wants = WantPreempt
	u.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-500 * ms)}
	if kinds := raised(view(u, peer(Master))); len(kinds) > 0 {
		t.Errorf("a BACKUP that may preempt raises %v", kinds)
	}
	for _, tt := range []struct {
		name string
		age  time.Duration // of the new claim
		want []AlertKind
	}{
		{"for a heartbeat", 190 * ms, nil},
		{"for longer", 210 * ms, []AlertKind{SplitBrain}},
	} {
		p := peer(Master)
		p.At, p.Claim.StateAge, p.MasterSince = now, tt.age, now.Add(-tt.age)
		p.Claim.Tenure.Priority = 200
		if kinds := raised(view(ownView(Master), p)); !slices.Equal(kinds, tt.want) {
			t.Errorf("two claim %s: %v, want %v", tt.name, kinds, tt.want)
		}
	}
}

// R2: at a heal the winner's advert may come before any record of it. Who lets go for
// it says so once it knows the winner, which else never learns of the conflict and
// does not announce again.
func TestWhoLostToAnAdvertNamesTheWinner(t *testing.T) {
	for _, tt := range []struct {
		name   string
		beside time.Duration // how long it was MASTER beside the winner
		want   TenureID
	}{
		{"after a conflict", 5 * time.Second, TenureID{2, 7}},
		{"after a change of holder", 100 * ms, TenureID{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			master := view(ownView(Master), peer(Backup))
			master.Unit.Since = now.Add(-tt.beside)
			v := view(ownView(Backup), peer(Master))
			v.Unit.Since = now
			v.Peers[0].At, v.Peers[0].Claim.StateAge = now, time.Minute
			v.Memory = Decide(master).Memory
			if got := Decide(v).Memory.yielded; got != tt.want {
				t.Errorf("yielded to %v, want %v", got, tt.want)
			}
		})
	}
}

// conflict is the same conflict of n1 and n2 as each of them sees it.
func conflict(one, two *UnitView) (of1, of2 *View) {
	claimOf := func(v *UnitView, node string, boot BootID) Peer {
		p := peer(Master)
		p.Node, p.Boot, p.Addrs[0] = node, boot, v.Primary
		p.Claim.Tenure, p.Claim.Priority, p.Claim.Primary = v.Tenure, v.Priority, v.Primary
		p.MasterSeq = v.Tenure.Seq
		return p
	}
	of1 = view(one, claimOf(two, "n2", 2))
	of2 = view(two, claimOf(one, "n1", 1))
	of2.Node, of2.Boot = "n2", 2
	return of1, of2
}

func yields(v *View) bool {
	return slices.ContainsFunc(Decide(v).Verdicts, func(v Verdict) bool { _, ok := v.(Yield); return ok })
}

// S44, R2: priorities that change between the two comparisons, on either side, made
// both let go. One of two does, whatever they are now, and it is the same one.
func TestOneOfTwoYieldsWhateverThePrioritiesAreNow(t *testing.T) {
	for _, mine := range []uint8{1, 90, 150, 254} {
		for _, theirs := range []uint8{1, 90, 150, 254} {
			for _, begun := range []struct {
				one, two uint8
				yields1  bool
			}{{150, 100, false}, {100, 150, true}, {100, 100, true}} {
				one, two := ownView(Master), ownView(Master)
				two.Primary = addr("192.0.2.2")
				one.Tenure = Tenure{Seq: 4, Priority: begun.one, Primary: one.Primary}
				two.Tenure = Tenure{Seq: 9, Priority: begun.two, Primary: two.Primary}
				one.Priority, two.Priority = mine, theirs
				of1, of2 := conflict(one, two)
				if y1, y2 := yields(of1), yields(of2); y1 != begun.yields1 || y1 == y2 {
					t.Errorf("begun with %d and %d, now %d and %d: n1 yields = %v, n2 = %v; want n1 = %v, and one of them",
						begun.one, begun.two, mine, theirs, y1, y2, begun.yields1)
				}
			}
		}
	}
}

// S47, R0: gossip drops members that it holds for dead, and needs seconds to take
// them up again. Records go to every configured member all the same, so that a
// partition ends with the first one that gets through.
func TestRecordsGoToMembersThatNobodyHasHeardForAnHour(t *testing.T) {
	c := NewCore("n1", 1, 1, 0, now)
	c.SetMembers([]Member{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}})
	c.SetUnits([]UnitView{*ownView(Master)})
	end := now.Add(time.Hour)
	var out Output
	for at := now; at.Before(end); at = c.Deadline() {
		if o := c.Step(at, 0); o.Record != nil {
			out = o
		}
	}
	if out.Record == nil || !slices.Equal(out.To, []string{"n2", "n3"}) || end.Sub(c.sentAt) > 400*ms {
		t.Errorf("the last record, %v ago, goes to %v; want n2 and n3 five times a second", end.Sub(c.sentAt), out.To)
	}
}
