package vrrp

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the order of events: no panic, no claim without a release before
// the next, no goodbye before the release, reports that match, and a deadline
// that lies ahead. The audit looks at every step.
func TestAnyOrderOfEventsKeepsTheBooks(t *testing.T) { rapid.Check(t, anyOrder) }

func FuzzUnit(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anyOrder)) }

func anyOrder(t *rapid.T) {
	spec := drawUnit(t, "spec")
	u, books, now := NewUnit(spec), &audit{}, epoch
	for range rapid.IntRange(1, 60).Draw(t, "events") {
		ev := drawEvent(t, u, spec, now)
		if due := u.Deadline(); !due.IsZero() && rapid.Bool().Draw(t, "at the deadline") {
			now = due
		} else {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
		}
		if err := books.check(now, u, ev, u.Step(now, ev)); err != nil {
			t.Fatalf("%v: %#v: %v", now.Sub(epoch), ev, err)
		}
	}
	u.Step(now, Shutdown{Reason: "end"})
	if s := u.Status(); s.State != Init || !u.Deadline().IsZero() {
		t.Fatalf("after Shutdown: %v, deadline %v", s.State, u.Deadline())
	}
}

func drawUnit(t *rapid.T, label string) UnitSpec {
	unit := UnitSpec{Name: "u", Group: true}
	for _, name := range []string{"VI_1", "VI_2"} {
		in := InstanceSpec{
			Name: name, Interface: "eth0", Family: IPv4, VRID: 1,
			Version:              rapid.IntRange(2, 3).Draw(t, label+" version"),
			StartMaster:          rapid.Bool().Draw(t, label+" start master"),
			Priority:             Priority(rapid.SampledFrom([]int{1, 100, 254, 255}).Draw(t, label+" priority")),
			AdvertInterval:       time.Duration(rapid.IntRange(1, 3).Draw(t, label+" interval")) * time.Second,
			DownTimerAdverts:     rapid.IntRange(1, 3).Draw(t, label+" adverts"),
			Preempt:              rapid.Bool().Draw(t, label+" preempt"),
			PreemptDelay:         time.Duration(rapid.IntRange(0, 3).Draw(t, label+" preempt delay")) * time.Second,
			LowerPrioNoAdvert:    rapid.Bool().Draw(t, label+" no advert"),
			HigherPrioSendAdvert: rapid.Bool().Draw(t, label+" send advert"),
			DontTrackPrimary:     true,
			Tracks:               []Track{{Key: "a"}, {Key: "b", Weight: rapid.IntRange(-253, 253).Draw(t, label+" weight")}},
			Announce:             Announce{Repeat: 5, Delay: 2 * time.Second, Refresh: 3 * time.Second, RefreshRepeat: 1, LowerPrioRepeat: 5, LowerPrioDelay: time.Second},
		}
		if rapid.Bool().Draw(t, label+" address") {
			in.Addresses = []Address{vip}
		}
		unit.Instances = append(unit.Instances, in)
	}
	return unit
}

func drawEvent(t *rapid.T, u *Unit, spec UnitSpec, now time.Time) Event {
	name := rapid.SampledFrom([]string{"VI_1", "VI_2", "unknown"}).Draw(t, "instance")
	addr := rapid.SampledFrom([]netip.Addr{self, peer, netip.MustParseAddr("192.0.2.3"), {}}).Draw(t, "address")
	flag := rapid.IntRange(0, 9).Draw(t, "flag") > 2
	after := time.Duration(rapid.IntRange(0, 4000).Draw(t, "after")) * time.Millisecond
	switch rapid.IntRange(0, 16).Draw(t, "kind") {
	case 0:
		return Startup{Delay: after}
	case 1, 2:
		return TrackResult{Key: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"), Up: flag}
	case 3:
		return SourceChanged{Instance: name, Source: addr}
	case 4:
		return ClaimFailed{Instance: name, Reason: "no such device", Retry: after}
	case 5:
		return Respec{Spec: drawUnit(t, "respec")}
	case 6:
		return Paused{For: after}
	case 7:
		return Shutdown{Reason: "stop"}
	case 8:
		return Hold{Until: now.Add(after - time.Second), Rank: after / 10, Reason: "n2 claims"}
	case 9:
		return TakeOver{After: after, Reason: "n2 has released"}
	case 10:
		return Yield{Tenure: u.Status().Tenure.Seq, Successor: map[bool]string{true: "n2"}[flag], Reason: "drain"}
	case 11:
		return Members{Addrs: []netip.Addr{addr}}
	case 12:
		return Reannounce{}
	case 13, 14:
		priority := rapid.SampledFrom([]int{0, 1, 99, 100, 254, 255}).Draw(t, "priority heard")
		return Advert{Instance: name, From: addr, Priority: Priority(priority), Interval: after + 10*time.Millisecond}
	default:
		return Tick{}
	}
}
