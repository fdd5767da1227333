package cluster

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLeasesOfTheLastThreeRevisionsAndOfWhatMayStillRunAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const longest = time.Minute
		v := &VoterMemory{longest: longest, superseded: make(map[uint64]time.Time)}
		runs := func(number uint64, lease, want time.Duration) {
			t.Helper()
			v.note(&v.kept, number, lease)
			if got := v.Bound(); got != want {
				t.Errorf("revision %d: Bound = %v, want %v", number, got, want)
			}
		}
		runs(1, 10*time.Second, 10*time.Second)
		runs(2, 2*time.Second, 10*time.Second)
		runs(3, 2*time.Second, 10*time.Second)
		runs(4, 2*time.Second, 10*time.Second) // leases of revision 1 may run still
		time.Sleep(longest + 1)
		runs(5, 2*time.Second, 2*time.Second)
		if n := len(v.kept.Leases); n != 3 {
			t.Errorf("%d revisions are kept, want the last three", n)
		}
		runs(5, 5*time.Second, 5*time.Second) // the same one again, after a restart
		if n := len(v.kept.Leases); n != 3 {
			t.Errorf("%d revisions are kept after one ran again, want 3", n)
		}
	})
}
