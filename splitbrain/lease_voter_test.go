package splitbrain

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// The scene of these tests: the voter v of the electorate {v, w, x} has run for
// an hour; a, b and c ask for VI_1.

var (
	lifeA  = owner{"a", 1}
	lifeA2 = owner{"a", 11} // the same node in another life
	lifeB  = owner{"b", 2}
	lifeC  = owner{"c", 3}
)

const (
	sec      = time.Second
	noon     = kclock.Instant(time.Hour)
	forAwake = noon + kclock.Instant(time.Hour) // standing as long as a test lasts
)

func testVoter() *voter {
	v := newVoter("v", 0)
	v.elect = Electorate{Epoch: 5, Voters: []string{"v", "w", "x"}}
	v.setBound(2 * sec)
	return v
}

func wants(ballot Ballot) LeaseRequest {
	return LeaseRequest{Unit: "VI_1", Tenure: 1, Ballot: ballot, Epoch: 5, Lease: 2 * sec, Priority: 100}
}

// answer is what the voter last said to a life.
func (v *voter) answer(now kclock.Instant, to owner) Answer {
	for g := range v.box("VI_1").answersTo(now, to) {
		return g.Answer
	}
	return answers
}

func wantAnswer(t *testing.T, v *voter, now kclock.Instant, to owner, want Answer) {
	t.Helper()
	if got := v.answer(now, to); got != want {
		t.Errorf("%v: the voter says %v to %s %d, want %v", now.Sub(noon), got, to.node, to.boot, want)
	}
}

func TestAVoterGrantsOneLifeAtATime(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	v.ask(noon.Add(sec), lifeB, 10, wants(2), forAwake)
	wantAnswer(t, v, noon.Add(sec), lifeA, AnswerGranted)
	wantAnswer(t, v, noon.Add(sec), lifeB, AnswerHeld)
	v.settle(noon.Add(2*sec - 1))
	wantAnswer(t, v, noon.Add(2*sec-1), lifeB, AnswerHeld)
	v.settle(noon.Add(2 * sec))
	wantAnswer(t, v, noon.Add(2*sec), lifeB, AnswerGranted)
}

// S1, S12.
func TestAReleaseFreesOnlyTheGrantWithItsBallot(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 20, wants(6), forAwake)
	v.release(noon, lifeA, Release{Unit: "VI_1", Ballot: 5, Seq: 15}, forAwake)
	v.ask(noon, lifeB, 10, wants(7), forAwake)
	wantAnswer(t, v, noon, lifeB, AnswerHeld)
	v.release(noon, lifeA, Release{Unit: "VI_1", Ballot: 6, Seq: 20}, forAwake)
	v.settle(noon)
	wantAnswer(t, v, noon, lifeB, AnswerGranted)
}

// S12: the unit would be locked for a lease by a request of before.
func TestAReleaseVoidsTheRequestsThatItOvertook(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 20, wants(6), forAwake)
	v.release(noon, lifeA, Release{Unit: "VI_1", Ballot: 6, Seq: 25}, forAwake)
	v.ask(noon, lifeA, 24, wants(6), forAwake)
	v.ask(noon, lifeB, 10, wants(7), forAwake)
	wantAnswer(t, v, noon, lifeB, AnswerGranted)
}

func TestARequestCountsOnce(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 20, wants(6), forAwake)
	v.ask(noon.Add(sec), lifeA, 20, wants(6), forAwake) // a duplicate prolongs nothing
	v.ask(noon.Add(2*sec), lifeB, 10, wants(7), forAwake)
	wantAnswer(t, v, noon.Add(2*sec), lifeB, AnswerGranted)
}

// S2, S3: what is granted is what the answer says, and never more than the next
// life of the voter waits.
func TestAVoterGrantsNoLongerThanItsQuarantineWouldLast(t *testing.T) {
	v := testVoter()
	r := wants(1)
	r.Lease = 10 * sec
	v.ask(noon, lifeA, 10, r, forAwake)
	if g := v.answers(noon)[0]; g.Lease != 2*sec {
		t.Errorf("granted for %v, want 2s", g.Lease)
	}
	short := wants(1)
	short.Lease = sec
	v.ask(noon, lifeA, 11, short, forAwake)
	v.ask(noon.Add(1500*ms), lifeB, 10, wants(2), forAwake)
	wantAnswer(t, v, noon.Add(1500*ms), lifeB, AnswerHeld) // for the longer one
}

// S3, R6d.
func TestAVoterWithoutMemoryWaitsForTheLongestLease(t *testing.T) {
	v := newVoter("v", noon)
	v.elect = Electorate{Epoch: 5, Voters: []string{"v", "w", "x"}}
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	wantAnswer(t, v, noon, lifeA, AnswerNoLease)
	v.setBound(10 * sec)
	v.setBound(2 * sec) // lowered since
	v.settle(noon.Add(10*sec - 1))
	wantAnswer(t, v, noon.Add(10*sec-1), lifeA, AnswerQuarantined)
	v.settle(noon.Add(10 * sec))
	wantAnswer(t, v, noon.Add(10*sec), lifeA, AnswerGranted)
}

func TestAVoterThatWasSetBackWaits(t *testing.T) {
	v := testVoter()
	v.forget(noon)
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	wantAnswer(t, v, noon, lifeA, AnswerQuarantined)
	v.settle(noon.Add(2 * sec))
	wantAnswer(t, v, noon.Add(2*sec), lifeA, AnswerGranted)
}

// S4.
func TestAVoterGrantsInItsOwnElectorateOnly(t *testing.T) {
	for name, elect := range map[string]Electorate{
		"another epoch": {Epoch: 6, Voters: []string{"v", "w", "x"}},
		"not in it":     {Epoch: 5, Voters: []string{"w", "x", "y"}},
		"none":          {},
	} {
		v := testVoter()
		v.elect = elect
		v.ask(noon, lifeA, 10, wants(1), forAwake)
		if got := v.answer(noon, lifeA); got != AnswerElectorate {
			t.Errorf("%s: %v, want %v", name, got, AnswerElectorate)
		}
	}
	v := testVoter()
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	v.elect.Epoch = 6
	r := wants(2)
	r.Epoch = 6
	v.ask(noon, lifeB, 10, r, forAwake)
	wantAnswer(t, v, noon, lifeB, AnswerHeld) // what was granted before still binds
}

// S6: a clone or a restored snapshot asks as the same node.
func TestAnotherLifeOfANodeIsAnotherOwner(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	v.ask(noon, lifeA2, 10, wants(2), forAwake)
	wantAnswer(t, v, noon, lifeA2, AnswerHeld)
}

// S8.
func TestAHigherBallotProvesNothing(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	v.ask(noon, lifeB, 10, wants(57), forAwake)
	wantAnswer(t, v, noon, lifeB, AnswerHeld)
}

// R6h: so that scripts can tell a late call from a present one.
func TestANewLeaseHasAHigherBallotThanTheOneBefore(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 10, wants(7), forAwake)
	v.ask(noon.Add(3*sec), lifeB, 10, wants(7), forAwake)
	wantAnswer(t, v, noon.Add(3*sec), lifeB, AnswerOutdated)
	v.ask(noon.Add(3*sec), lifeB, 11, wants(8), forAwake)
	wantAnswer(t, v, noon.Add(3*sec), lifeB, AnswerGranted)
	// A holder is not asked to count again because of an attempt that failed.
	held := wants(7)
	held.Held = true
	v.ask(noon.Add(6*sec), lifeA, 12, held, forAwake)
	wantAnswer(t, v, noon.Add(6*sec), lifeA, AnswerGranted)
}

// R6f.
func TestWhenAUnitIsFreeTheBestStandingRequestIsAnswered(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	v.ask(noon, lifeB, 10, wants(2), forAwake)
	better := wants(3)
	better.Priority = 150
	v.ask(noon, lifeC, 10, better, forAwake)
	if due := v.next(noon); due != noon.Add(2*sec) {
		t.Errorf("due %v, want when the grant ends", due.Sub(noon))
	}
	if !v.settle(noon.Add(2 * sec)) {
		t.Error("a grant at last is news")
	}
	wantAnswer(t, v, noon.Add(2*sec), lifeC, AnswerGranted)
	wantAnswer(t, v, noon.Add(2*sec), lifeB, AnswerHeld)
}

// R6f: a request that is repeated in the very moment, before anybody has looked at
// those that stand, has no advantage.
func TestTheBestStandingRequestComesBeforeOneRepeatedInTime(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	better := wants(2)
	better.Priority = 150
	v.ask(noon, lifeC, 10, better, forAwake)
	v.ask(noon, lifeB, 10, wants(3), forAwake)
	if !v.ask(noon.Add(2*sec), lifeB, 11, wants(3), forAwake) {
		t.Error("a grant at last is news")
	}
	wantAnswer(t, v, noon.Add(2*sec), lifeC, AnswerGranted)
	wantAnswer(t, v, noon.Add(2*sec), lifeB, AnswerHeld)
}

func TestARequestThatIsNotRepeatedStandsNoMore(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	v.ask(noon, lifeB, 10, wants(2), noon.Add(sec))
	v.settle(noon.Add(2 * sec))
	wantAnswer(t, v, noon.Add(2*sec), lifeB, answers)
}

// R6c.
func TestTheSuccessorThatWasNamedComesFirst(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	better := wants(2)
	better.Priority = 150
	v.ask(noon, lifeC, 10, better, forAwake)
	v.release(noon, lifeA, Release{Unit: "VI_1", Ballot: 1, Seq: 10, Successor: lifeB.boot, Span: 500 * ms}, forAwake)
	v.settle(noon)
	wantAnswer(t, v, noon, lifeC, AnswerReserved)
	v.ask(noon, lifeB, 10, wants(3), forAwake)
	wantAnswer(t, v, noon, lifeB, AnswerGranted)

	v.release(noon, lifeB, Release{Unit: "VI_1", Ballot: 3, Seq: 10, Successor: lifeA2.boot, Span: 500 * ms}, forAwake)
	better.Ballot = 9
	v.ask(noon, lifeC, 11, better, forAwake)
	v.settle(noon.Add(500 * ms)) // and it did not come
	wantAnswer(t, v, noon.Add(500*ms), lifeC, AnswerGranted)
}

func TestAReleaseIsAcknowledgedAsLongAsItIsRepeated(t *testing.T) {
	v := testVoter()
	v.ask(noon, lifeA, 10, wants(1), forAwake)
	rel := Release{Unit: "VI_1", Ballot: 1, Seq: 10}
	if !v.release(noon, lifeA, rel, noon.Add(sec)) {
		t.Error("a release is news")
	}
	if v.release(noon, lifeA, rel, noon.Add(sec)) {
		t.Error("its repetition is not")
	}
	wantAnswer(t, v, noon, lifeA, AnswerFreed)
	v.settle(noon.Add(sec))
	wantAnswer(t, v, noon.Add(sec), lifeA, answers)
}

// S3, R6d: what the life before granted is over when it said so, whatever the longest
// lease is by now, and not later than any lease lasts.
func TestAVoterWithoutMemoryWaitsForWhatItGranted(t *testing.T) {
	for _, tt := range []struct {
		name    string
		earlier kclock.Instant
		want    time.Duration // from its beginning
	}{
		{"not known", 0, 10 * sec},
		{"until after its beginning", noon.Add(700 * ms), 700 * ms},
		{"until before its beginning", noon.Add(-sec), 0},
		{"for longer than a lease may last by now", noon.Add(15 * sec), 15 * sec},
		{"for longer than any lease lasts", noon.Add(time.Hour), MaxLease},
		{"of before the clock began", -1, 10 * sec},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVoter("v", noon)
			v.elect = Electorate{Epoch: 5, Voters: []string{"v", "w", "x"}}
			v.earlier = tt.earlier
			v.ask(noon, lifeA, 10, wants(1), forAwake)
			wantAnswer(t, v, noon, lifeA, AnswerNoLease) // how long one may be is not known yet
			v.setBound(10 * sec)
			if tt.want > 0 {
				v.settle(noon.Add(tt.want - 1))
				wantAnswer(t, v, noon.Add(tt.want-1), lifeA, AnswerQuarantined)
			}
			v.settle(noon.Add(tt.want))
			wantAnswer(t, v, noon.Add(tt.want), lifeA, AnswerGranted)
		})
	}
}

func TestAVoterIsBoundUntilItsLastGrantEnds(t *testing.T) {
	v := newVoter("v", noon)
	v.elect = Electorate{Epoch: 5, Voters: []string{"v", "w", "x"}}
	want := func(want kclock.Instant) {
		t.Helper()
		if got := v.binding(); got != want {
			t.Errorf("bound until %v, want %v", got.Sub(noon), want.Sub(noon))
		}
	}
	if got := v.binding(); got != 0 {
		t.Errorf("bound until %d before it knows how long leases may be; want 0", got)
	}
	v.setBound(2 * sec)
	want(noon.Add(2 * sec)) // for what an earlier life may have granted
	now := noon.Add(2 * sec)
	v.ask(now, lifeA, 10, wants(1), forAwake)
	want(now.Add(2 * sec))
	other := wants(1)
	other.Unit, other.Lease = "VI_2", sec
	v.ask(now.Add(500*ms), lifeA, 10, other, forAwake)
	want(now.Add(2 * sec)) // a shorter one of another unit changes nothing
	v.ask(now.Add(1200*ms), lifeA, 11, other, forAwake)
	want(now.Add(2200 * ms))
	v.release(now.Add(1300*ms), lifeA, Release{Unit: "VI_2", Ballot: 1, Seq: 11}, forAwake)
	want(now.Add(2200 * ms)) // it does not fall
}

// R6d: what a life granted that was set back in time is not known, and the next one
// must not go by what it kept.
func TestAVoterThatWasSetBackIsBoundForTheLongestLease(t *testing.T) {
	for _, bound := range []time.Duration{2 * sec, 0} {
		v := newVoter("v", noon)
		v.earlier = noon.Add(sec)
		v.setBound(bound)
		now := noon.Add(5 * sec)
		v.forget(now)
		longest := bound
		if bound == 0 {
			longest = MaxLease // it is not known any better
		}
		if got, want := v.binding(), now.Add(longest); got != want {
			t.Errorf("bound %v: until %v, want %v", bound, got.Sub(now), want.Sub(now))
		}
		v.setBound(10 * sec)
		if bound == 0 && v.quarantined != now.Add(10*sec) {
			t.Errorf("quarantined until %v, want for the longest lease", v.quarantined.Sub(now))
		}
	}
}
