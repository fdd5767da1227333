package splitbrain

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// R8: the clock that leases are counted by stands still while the machine sleeps.
func TestAMachineThatSleptHasNoLease(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	n1 := w.nodes[0]
	n1.does(func() { n1.core.Resumed(n1.raw()) })
	if n1.view.State == Master {
		t.Errorf("n1 holds on with a lease from before it slept\n%s", w.trace.String())
	}
	w.run(w.now + 10*time.Second)
	if w.holder() == nil || w.broken != "" {
		t.Errorf("holder %v; %s\n%s", w.holder(), w.broken, w.trace.String())
	}
}

// A grant that was under way while the machine slept is older than the clock says.
func TestAGrantToARequestFromBeforeTheSleepDoesNotCount(t *testing.T) {
	w := reigning(t, "n1", "n2", "n3")
	n1 := w.nodes[0]
	h := n1.core.leases.holders[worldUnit]
	seq, ballot := h.asked, h.ballot
	n1.core.Resumed(n1.raw())
	h.until = 0 // an attempt that had got nothing yet
	for _, voter := range []string{"n2", "n3"} {
		n1.core.noteGrant(n1.raw(), h, voter, Grant{
			Unit: worldUnit, To: n1.boot, Answer: AnswerGranted, Tenure: h.tenure, Ballot: ballot, Seq: seq, Epoch: 1, Lease: 2 * sec,
		})
	}
	if h.until != 0 {
		t.Errorf("the lease runs for %v more", h.until.Sub(n1.raw()))
	}
}

func TestASuspendIsToldFromClocksThatWereReadApart(t *testing.T) {
	var readings []time.Duration
	s := sleeper{total: func() time.Duration {
		r := readings[0]
		readings = readings[1:]
		return r
	}}
	for _, tt := range []struct {
		name     string
		readings []time.Duration
		want     time.Duration
	}{
		{"it began before", []time.Duration{time.Hour, time.Hour, time.Hour}, time.Hour},
		{"as before", []time.Duration{time.Hour + 3*ms}, 0},
		{"put off between the clocks", []time.Duration{time.Hour + 80*ms, time.Hour}, 0},
		{"one second", []time.Duration{time.Hour + sec + ms, time.Hour + sec, time.Hour + sec + 2*ms}, sec},
		{"told once", []time.Duration{time.Hour + sec}, 0},
		{"little adds up", []time.Duration{time.Hour + sec + 15*ms}, 0},
		{"to what counts", []time.Duration{time.Hour + sec + 25*ms, time.Hour + sec + 25*ms, time.Hour + sec + 25*ms}, 25 * ms},
	} {
		readings = tt.readings
		if got := s.slept(); got != tt.want || len(readings) > 0 {
			t.Errorf("%s: slept = %v, want %v; %d readings left", tt.name, got, tt.want, len(readings))
		}
	}
}

// R8: the arbiter itself watches the clocks, and asks anew.
func TestAnArbiterThatSleptLosesItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			slept    atomic.Int64
			verdicts []UnitVerdict
		)
		began := time.Now()
		a := New(Options{
			Node: "n1", Boot: 1, Cluster: 9, Electorate: Electorate{Epoch: 1, Voters: []string{"n1"}},
			Clock:     func() kclock.Instant { return kclock.Instant(time.Since(began) + time.Hour) },
			Suspended: func() time.Duration { return time.Duration(slept.Load()) },
			Deliver:   func(v []UnitVerdict) { verdicts = append(verdicts, v...) },
			Alert:     func(Alert) {}, Publish: func(PeerView) {}, Send: func([]string, [][]byte) {},
		})
		a.SetLeaseBound(20 * sec)
		ended := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { defer close(ended); a.Run(ctx) }()
		told := func() bool {
			synctest.Wait()
			return slices.ContainsFunc(verdicts, func(v UnitVerdict) bool { _, ok := v.Verdict.(Yield); return ok })
		}
		u := unitOf(1, Backup)
		u.Policy, u.Lease, u.Wants = PolicyQuorum, 20*sec, WantHeld
		a.SetUnits([]UnitView{u})
		time.Sleep(time.Minute) // quarantine, and the time in which nobody else claims
		synctest.Wait()
		if !slices.ContainsFunc(verdicts, func(v UnitVerdict) bool { _, ok := v.Verdict.(TakeOver); return ok }) {
			t.Fatalf("n1 was told %v, want a TakeOver", verdicts)
		}
		u.State, u.Wants, u.Since, u.Tenure = Master, WantNothing, time.Now(), Tenure{Seq: 1, Priority: u.Priority, Primary: u.Primary}
		a.SetUnits([]UnitView{u})
		time.Sleep(sec)
		if told() {
			t.Fatalf("n1 was told to yield: %v", verdicts)
		}
		slept.Store(int64(30 * sec))
		time.Sleep(sec) // of the 20 that its lease would run
		if !told() {
			t.Errorf("n1 was told %v, want a Yield", verdicts)
		}
		cancel()
		<-ended
	})
}
