package splitbrain

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// The scene of these tests: a asks the voters v, w and x for VI_1, and builds its
// first request at noon.

var three = Electorate{Epoch: 5, Voters: []string{"v", "w", "x"}}

func testHolder() *holder {
	h := &holder{unit: "VI_1", self: lifeA}
	h.ask(at(time.Hour), 1, 2*sec)
	h.request(10, noon, three, 100, addr("192.0.2.1"))
	return h
}

func granted(h *holder, seq uint64) Grant {
	return Grant{Unit: "VI_1", To: lifeA.boot, Answer: AnswerGranted, Tenure: h.tenure, Ballot: h.ballot, Seq: seq, Epoch: 5, Lease: 2 * sec}
}

func wantUntil(t *testing.T, h *holder, want kclock.Instant) {
	t.Helper()
	if h.until != want {
		t.Errorf("the lease runs until %v, want %v", h.until.Sub(noon), want.Sub(noon))
	}
}

// S5, S20, R6b: 0.85 L - 20 ms, counted from before the request was built.
func TestALeaseIsCountedFromBeforeItsRequest(t *testing.T) {
	h := testHolder()
	late := noon.Add(300 * ms)
	h.note(late, "v", granted(h, 10), noon, true, three)
	wantUntil(t, h, 0)
	h.note(late, "v", granted(h, 10), noon, true, three)
	wantUntil(t, h, 0) // one voter twice is one voter
	h.note(late, "w", granted(h, 10), noon, true, three)
	wantUntil(t, h, noon.Add(1680*ms))
}

// S5: R6b allows for a kernel clock that is slewed by 10 %, raw clocks that differ by
// 2 %, and a gate that closes 20 ms late.
func TestTheMarginOfALeaseIsEnoughForTheClocks(t *testing.T) {
	for _, lease := range []time.Duration{MinLease, sec, 2 * sec, MaxLease} {
		held := float64(leaseEnd(0, lease)) / 0.9 / 0.99
		if gone := held + float64(20*ms); gone > float64(lease)/1.01 {
			t.Errorf("lease of %v: silent after %v, and granted for %v", lease, time.Duration(gone), time.Duration(float64(lease)/1.01))
		}
	}
}

// S20: until the oldest request that a majority has answered, or a later one.
func TestAMajorityAnswersTheSameRequestOrALaterOne(t *testing.T) {
	h := testHolder()
	h.note(noon, "v", granted(h, 10), noon, true, three)
	h.request(11, noon.Add(sec), three, 100, addr("192.0.2.1"))
	h.note(noon.Add(sec), "w", granted(h, 11), noon.Add(sec), true, three)
	wantUntil(t, h, noon.Add(1680*ms))
	h.note(noon.Add(sec), "v", granted(h, 11), noon.Add(sec), true, three)
	wantUntil(t, h, noon.Add(2680*ms))
}

// S1.
func TestAnswersToAnEarlierBallotCountForNothing(t *testing.T) {
	h := testHolder()
	old := granted(h, 10)
	h.stop(noon, three, 0, 0)
	h.ask(at(time.Hour), 1, 2*sec)
	h.request(11, noon, three, 100, addr("192.0.2.1"))
	h.note(noon, "v", old, noon, true, three)
	h.note(noon, "w", old, noon, true, three)
	wantUntil(t, h, 0)
}

func TestABallotIsNeverUsedTwice(t *testing.T) {
	h := testHolder()
	seen := make(map[Ballot]bool)
	for range 5 {
		if seen[h.ballot] {
			t.Fatalf("ballot %d was used before", h.ballot)
		}
		seen[h.ballot] = true
		h.stop(noon, three, 0, 0)
		h.ask(at(time.Hour), 1, 2*sec)
	}
	h.saw(Grant{Answer: AnswerGranted, Ballot: 57})
	h.stop(noon, three, 0, 0)
	h.ask(at(time.Hour), 1, 2*sec)
	if h.ballot != 58 {
		t.Errorf("ballot %d after 57 was seen, want 58", h.ballot)
	}
}

// S4.
func TestGrantsOfTwoElectoratesMakeNoMajority(t *testing.T) {
	h := testHolder()
	h.note(noon, "v", granted(h, 10), noon, true, three)
	next := Electorate{Epoch: 6, Voters: []string{"v", "w", "y"}}
	h.request(11, noon, next, 100, addr("192.0.2.1"))
	g := granted(h, 11)
	g.Epoch = 6
	h.note(noon, "w", g, noon, true, next)
	wantUntil(t, h, 0)
	h.note(noon, "x", g, noon, true, next) // no voter any more
	wantUntil(t, h, 0)
	h.note(noon, "y", g, noon, true, next)
	wantUntil(t, h, noon.Add(1680*ms))
}

// S2: the voter may grant less than it was asked for.
func TestTheLeaseIsAsLongAsItWasGranted(t *testing.T) {
	h := testHolder()
	short := granted(h, 10)
	short.Lease = sec
	h.note(noon, "v", short, noon, true, three)
	h.note(noon, "w", granted(h, 10), noon, true, three)
	wantUntil(t, h, noon.Add(830*ms))
}

// R8: what others may have had since is not taken up again.
func TestALeaseThatHasRunOutIsOver(t *testing.T) {
	h := testHolder()
	h.note(noon, "v", granted(h, 10), noon, true, three)
	h.note(noon, "w", granted(h, 10), noon, true, three)
	h.request(11, noon.Add(sec), three, 100, addr("192.0.2.1"))
	over := noon.Add(1680 * ms)
	h.note(over, "v", granted(h, 11), noon.Add(sec), true, three)
	h.note(over, "w", granted(h, 11), noon.Add(sec), true, three)
	wantUntil(t, h, over)
}

// R8: a machine whose clock stood still believes in its lease; the voters do not.
func TestAMajorityThatGrantedAnotherEndsTheLease(t *testing.T) {
	h := testHolder()
	h.note(noon, "v", granted(h, 10), noon, true, three)
	h.note(noon, "w", granted(h, 10), noon, true, three)
	h.request(11, noon, three, 100, addr("192.0.2.1"))
	held := Grant{Unit: "VI_1", To: lifeA.boot, Answer: AnswerHeld, Ballot: h.ballot, Seq: 11, Epoch: 5, Holder: "b"}
	h.note(noon.Add(ms), "v", held, noon, true, three)
	wantUntil(t, h, noon.Add(1680*ms))
	h.note(noon.Add(ms), "w", held, noon, true, three)
	wantUntil(t, h, noon.Add(ms))
}

// R6c.
func TestAReleaseIsRepeatedUntilEveryVoterHasAcknowledgedIt(t *testing.T) {
	h := testHolder()
	h.note(noon, "v", granted(h, 10), noon, true, three)
	h.stop(noon, three, lifeB.boot, 500*ms)
	if len(h.releases) != 1 || h.releases[0].Ballot != 1 || h.releases[0].Seq != 10 || h.releases[0].Successor != lifeB.boot {
		t.Fatalf("releases %+v", h.releases)
	}
	freed := Grant{Unit: "VI_1", To: lifeA.boot, Answer: AnswerFreed, Ballot: 1, Seq: 10}
	h.note(noon, "v", freed, 0, false, three)
	h.note(noon, "w", freed, 0, false, three)
	if len(h.releases) != 1 {
		t.Error("x has not acknowledged it")
	}
	h.note(noon, "x", freed, 0, false, three)
	if len(h.releases) != 0 {
		t.Error("all have")
	}
}

func TestAReleaseIsForgottenWhenTheGrantsHaveRunOut(t *testing.T) {
	h := testHolder()
	h.stop(noon, three, 0, 0)
	h.expire(at(time.Hour), noon.Add(2200*ms), sec)
	if len(h.releases) != 0 {
		t.Errorf("releases %+v", h.releases)
	}
}

// S11.
func TestASplitVoteEndsByRank(t *testing.T) {
	begun := at(time.Hour)
	for _, tt := range []struct {
		name     string
		rival    uint8 // its priority; this node's is 100
		wantStop time.Duration
	}{
		{"the worse one gives way", 150, 20 * ms},
		{"the better one waits for it, and not for ever", 50, 80 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := testHolder()
			h.note(noon, "v", granted(h, 10), noon, true, three)
			if stop, _ := h.split(begun.Add(sec), 100, addr("192.0.2.1"), 20*ms); stop {
				t.Error("nobody else asks")
			}
			h.competes(begun, lifeB.boot, tt.rival, addr("192.0.2.2"))
			stop, again := h.split(begun, 100, addr("192.0.2.1"), 20*ms)
			if stop || !again.Equal(begun.Add(tt.wantStop)) {
				t.Errorf("split = %v, %v; want to wait for %v", stop, again.Sub(begun), tt.wantStop)
			}
			if stop, again = h.split(begun.Add(tt.wantStop), 100, addr("192.0.2.1"), 20*ms); !stop || !again.After(begun.Add(tt.wantStop+20*ms-1)) {
				t.Errorf("split = %v, again after %v", stop, again.Sub(begun))
			}
			h.stop(noon, three, 0, 0)
			if h.ask(begun.Add(tt.wantStop), 1, 2*sec) {
				t.Error("it asks again at once")
			}
		})
	}
}

func TestAnAttemptSaysWhichVotersAreMissing(t *testing.T) {
	h := testHolder()
	h.note(noon, "v", granted(h, 10), noon, true, three)
	h.note(noon, "w", Grant{To: lifeA.boot, Answer: AnswerQuarantined, Ballot: h.ballot, Seq: 10, Left: 1200 * ms}, noon, true, three)
	if got, want := h.why(noon, three), "w: in quarantine for 1.2s more; x does not answer"; got != want {
		t.Errorf("why = %q, want %q", got, want)
	}
}
