package splitbrain

import (
	"testing"
	"time"
)

// R9: ranks are counted from when the holder's claim grows old for the last of those that
// come first: a record reaches one node sooner than another.
func TestRanksAreCountedFromTheLapseForTheBetterOne(t *testing.T) {
	for name, tt := range map[string]struct {
		priority uint8
		later    time.Duration // than this node the third one has the holder's last record
		want     time.Duration // later than by this node's own record the hold ends
	}{
		"a better one had it later":               {200, 60 * ms, 60 * ms},
		"a better one had it about as soon":       {200, 4 * ms, 0},
		"a better one had it sooner":              {200, -60 * ms, 0},
		"a better one lags by several heartbeats": {200, time.Second, 600 * ms},
		"a worse one had it later":                {50, 60 * ms, 0},
	} {
		t.Run(name, func(t *testing.T) {
			third := peer(Backup)
			third.Node, third.Boot, third.Claim.Priority = "n3", 3, tt.priority
			v := view(ownView(Backup), peer(Master), third)
			v.Peers[0].At = now.Add(-1100 * ms)
			v.Peers[1].AckedAt = now.Add(-50 * ms)
			v.Peers[1].Acks = []Ack{{Boot: 2, Direct: 7, Age: 1050*ms - tt.later}}
			if got := heldUntil(Decide(v)).Sub(v.Peers[0].At) - fresh2s; got != tt.want {
				t.Errorf("held for %v longer than its own record counts, want %v", got, tt.want)
			}
		})
	}
}
