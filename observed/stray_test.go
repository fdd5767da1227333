package observed

import (
	"net/netip"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/netif"
)

func TestAStrayAddressIsToldOnceAndEndsAMinuteAfterItWasSeen(t *testing.T) {
	stray := []netif.Evicted{{Addr: netip.MustParsePrefix("192.0.2.100/24"), Interface: "eth0"}}
	s := Strays{Node: "lb01"}
	start := time.Unix(1000, 0)
	for _, step := range []struct {
		at         time.Duration
		found      []netif.Evicted
		open, over int
	}{
		{0, stray, 1, 0},
		{10 * time.Second, stray, 0, 0},
		{70 * time.Second, nil, 0, 0},
		{71 * time.Second, nil, 0, 1},
		{80 * time.Second, nil, 0, 0},
		{90 * time.Second, stray, 1, 0},
	} {
		open, over := 0, 0
		for _, a := range s.Found(start.Add(step.at), step.found) {
			if a.Resolved.IsZero() {
				open++
			} else {
				over++
			}
		}
		if open != step.open || over != step.over {
			t.Errorf("after %v: %d opened and %d ended, want %d and %d", step.at, open, over, step.open, step.over)
		}
	}
}
