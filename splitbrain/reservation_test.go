package splitbrain

import (
	"slices"
	"testing"
	"time"
)

// R4, R10: the one that asked did not take the unit over, and the former holder is next,
// unless a router that is no member advertises since the release.
func TestAReservationThatIsOverIsNotForAStrangersUnit(t *testing.T) {
	for name, tt := range map[string]struct {
		heard Advert
		takes bool
	}{
		"nobody advertises":                 {Advert{}, true},
		"a stranger before the release":     {Advert{From: addr("192.0.2.66"), Priority: 120, At: now.Add(-2 * time.Second)}, true},
		"a stranger since the release":      {Advert{From: addr("192.0.2.66"), Priority: 120, At: now.Add(-100 * ms)}, false},
		"a stranger that says goodbye":      {Advert{From: addr("192.0.2.66"), At: now.Add(-100 * ms)}, true},
		"a member, by an advert on its way": {Advert{From: addr("192.0.2.2"), Priority: 100, At: now.Add(-100 * ms)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := view(ownView(Backup), peer(Backup))
			v.Unit.Tenure, v.Unit.Released, v.Unit.Heard = Tenure{Seq: 4, Priority: 150, Primary: v.Unit.Primary}, true, tt.heard
			v.Unit.Since = now.Add(-time.Second)
			v.Memory.holder = TenureID{v.Boot, 4}
			v.Memory.release = promise{request: 9, to: 2, node: "n2", span: 500 * ms}
			v.Memory.released = now.Add(-800 * ms) // longer than the span and a heartbeat
			got := slices.ContainsFunc(verdicts(v), func(v Verdict) bool { _, ok := v.(TakeOver); return ok })
			if got != tt.takes {
				t.Errorf("it takes the unit back: %v, want %v", got, tt.takes)
			}
		})
	}
}
