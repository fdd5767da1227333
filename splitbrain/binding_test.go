package splitbrain

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// R6d: who hears of a grant, by a record or as a verdict, hears of it when the end
// of it is kept, or else a worker that dies in between would be followed by one that
// does not wait for it.
func TestTheEndOfAGrantIsKeptBeforeAnybodyHearsOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lease = 20 * sec
		began := time.Now()
		clock := func() kclock.Instant { return kclock.Instant(time.Since(began) + time.Hour) }
		var kept kclock.Instant
		granted, leases := 0, 0
		var last uint64 // request that was granted
		var decoder Decoder
		a := New(Options{
			Node: "n1", Boot: 1, Cluster: 9, Electorate: Electorate{Epoch: 1, Voters: []string{"n1"}},
			Clock: clock, Suspended: func() time.Duration { return 0 },
			Binding: clock().Add(2 * sec),
			Keep: func(until kclock.Instant) {
				if until <= kept {
					t.Errorf("kept until %v after %v", until, kept)
				}
				kept = until
			},
			Send: func(_ []string, payloads [][]byte) {
				for _, p := range payloads {
					d, err := decoder.Decode(p)
					if err != nil {
						t.Fatal(err)
					}
					for _, g := range d.Record.Grants {
						if g.Answer != AnswerGranted || g.Seq == last {
							continue // said before
						}
						last = g.Seq
						granted++
						if end := clock().Add(g.Lease); kept < end {
							t.Errorf("a grant until %v is said, and kept until %v", end, kept)
						}
					}
				}
			},
			Deliver: func(list []UnitVerdict) {
				for _, v := range list {
					l, ok := v.Verdict.(Lease)
					if !ok {
						continue
					}
					leases++
					if kept < l.Until {
						t.Errorf("a lease until %v is delivered, and kept until %v", l.Until, kept)
					}
				}
			},
			Alert: func(Alert) {}, Publish: func(PeerView) {},
		})
		a.SetMembers([]Member{{Name: "n1"}, {Name: "n2"}})
		a.SetLeaseBound(lease)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); a.Run(ctx) }()
		u := unitOf(1, Backup)
		u.Policy, u.Lease, u.Wants = PolicyQuorum, lease, WantHeld
		a.SetUnits([]UnitView{u})
		// The quarantine of 2 s, and the time in which nobody else claims.
		time.Sleep(lease + 5*sec)
		cancel()
		<-ended
		if granted == 0 || leases == 0 {
			t.Errorf("%d grants and %d leases were said, want some of both", granted, leases)
		}
	})
}
