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

// F24: timers of equal priorities end together, and whose address is lower lets
// the other one go first.
func TestWhoComesLaterWaitsForTheTimersOfBetterCandidates(t *testing.T) {
	const heard = 300 * ms
	timer := func(priority uint8) time.Duration {
		u := *ownView(Backup)
		u.Priority = priority
		return u.masterDown() - heard
	}
	tests := []struct {
		name  string
		third func(*Claim)
		until time.Duration
		rank  time.Duration
	}{
		{"equal, higher address", func(c *Claim) { c.Priority, c.Primary = 150, addr("192.0.2.3") }, timer(150), 20 * ms},
		{"equal, lower address", func(c *Claim) { c.Priority, c.Primary = 150, addr("192.0.2.0") }, fresh2s - 100*ms, 0},
		{"one better", func(c *Claim) { c.Priority = 151 }, timer(151), 20 * ms},
		{"worse", func(c *Claim) { c.Priority = 149 }, fresh2s - 100*ms, 0},
		{"better, and cannot serve", func(c *Claim) { c.Priority, c.Eligible = 151, false }, fresh2s - 100*ms, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			third := peer(Backup)
			third.Node, third.Boot = "n3", 3
			tt.third(third.Claim)
			v := view(ownView(Backup), peer(Master), third)
			v.Unit.Heard = Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-heard)}
			want := []Verdict{Hold{Until: now.Add(tt.until), Rank: tt.rank}}
			if diff := diffVerdicts(want, verdicts(v)); diff != "" {
				t.Errorf("verdicts: -want +got\n%s", diff)
			}
		})
	}
}
