package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

func TestStaggeredUnitsSendApartAndKeepTheirInterval(t *testing.T) {
	start := time.Unix(0, 0)
	for place, wantFirst := range map[int]time.Duration{0: time.Second, 1: time.Second - time.Second/256, 17: time.Second - time.Second/256} {
		u := NewUnit(unitSpec(51, Owner, func(i *InstanceSpec) { i.StartMaster = true }))
		u.Stagger(place)
		u.Step(start, SourceChanged{Instance: "vi_51", Source: netip.MustParseAddr("192.0.2.1")})
		u.Step(start, TrackResult{Key: InterfaceKey("eth0"), Up: true})
		u.Step(start, Startup{})
		if got := u.Status().State; got != Master {
			t.Fatalf("place %d: state %v, want MASTER", place, got)
		}
		var gaps []time.Duration
		last := start
		for range 400 {
			now := u.Deadline()
			for _, a := range u.Step(now, Tick{}) {
				if _, ok := a.(SendAdvert); ok {
					gaps = append(gaps, now.Sub(last))
					last = now
				}
			}
			if len(gaps) == 3 {
				break
			}
		}
		if len(gaps) < 3 || gaps[0] != wantFirst || gaps[1] != time.Second || gaps[2] != time.Second {
			t.Errorf("place %d: gaps %v, want %v and then a second each", place, gaps, wantFirst)
		}
	}
}
