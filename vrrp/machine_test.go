package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const sec = time.Second

var (
	self = netip.MustParseAddr("192.0.2.1")
	peer = netip.MustParseAddr("192.0.2.2")
	vip  = Address{Prefix: netip.MustParsePrefix("192.0.2.100/32"), Interface: "eth0"}
)

func spec(edit ...func(*InstanceSpec)) InstanceSpec {
	in := InstanceSpec{Name: "VI_1", Interface: "eth0", DontTrackPrimary: true, Family: IPv4, VRID: 51, Version: 3,
		Priority: 100, AdvertInterval: sec, DownTimerAdverts: 3, Preempt: true}
	for _, e := range edit {
		e(&in)
	}
	return in
}

// backup is a unit that has just entered BACKUP at epoch.
func backup(t *testing.T, in InstanceSpec) *Unit {
	t.Helper()
	u := NewUnit(UnitSpec{Name: in.Name, Instances: []InstanceSpec{in}})
	u.Step(epoch, SourceChanged{Instance: in.Name, Source: self})
	u.Step(epoch, Startup{})
	if got := u.Status().State; got != Backup {
		t.Fatalf("state = %v (%s), want BACKUP", got, u.Status().Reason)
	}
	return u
}

// master is a unit that has just become MASTER, at the returned time.
func master(t *testing.T, in InstanceSpec) (*Unit, time.Time) {
	t.Helper()
	u := backup(t, in)
	now := u.Deadline()
	u.Step(now, Tick{})
	if got := u.Status().State; got != Master {
		t.Fatalf("state = %v (%s), want MASTER", got, u.Status().Reason)
	}
	return u, now
}

func advert(from netip.Addr, priority Priority, interval time.Duration) Advert {
	return Advert{Instance: "VI_1", From: from, Priority: priority, Interval: interval}
}

func TestDownTimerFollowsTheAdvert(t *testing.T) {
	tests := []struct {
		name   string
		spec   InstanceSpec
		advert Advert
		want   time.Duration // deadline, counted from the advert one second after the start
	}{{
		name:   "higher priority restarts the timer",
		spec:   spec(),
		advert: advert(peer, 150, sec),
		want:   3*sec + 156*sec/256,
	}, {
		name:   "equal priority is accepted, whatever the address",
		spec:   spec(),
		advert: advert(netip.MustParseAddr("192.0.2.0"), 100, sec),
		want:   3*sec + 156*sec/256,
	}, {
		name:   "lower priority lets it run out",
		spec:   spec(),
		advert: advert(peer, 99, sec),
		want:   2*sec + 156*sec/256,
	}, {
		name:   "lower priority is accepted without preemption",
		spec:   spec(func(s *InstanceSpec) { s.Preempt = false }),
		advert: advert(peer, 99, sec),
		want:   3*sec + 156*sec/256,
	}, {
		name:   "the owner preempts in any case",
		spec:   spec(func(s *InstanceSpec) { s.Preempt, s.Priority = false, Owner }),
		advert: advert(peer, 99, sec),
		want:   2*sec + 1*sec/256,
	}, {
		name:   "priority zero leaves only the skew",
		spec:   spec(),
		advert: advert(peer, 0, sec),
		want:   156 * sec / 256,
	}, {
		name:   "version 3 adopts the interval, skew included",
		spec:   spec(),
		advert: advert(peer, 150, 3*sec),
		want:   9*sec + 3*156*sec/256,
	}, {
		name:   "version 2 keeps its own and counts the skew in seconds",
		spec:   spec(func(s *InstanceSpec) { s.Version, s.AdvertInterval = 2, 2*sec }),
		advert: advert(peer, 150, 2*sec),
		want:   6*sec + 156*sec/256,
	}, {
		name:   "down_timer_adverts counts the intervals",
		spec:   spec(func(s *InstanceSpec) { s.DownTimerAdverts = 5 }),
		advert: advert(peer, 150, sec),
		want:   5*sec + 156*sec/256,
	}, {
		name:   "our own address is no master",
		spec:   spec(),
		advert: advert(self, 150, sec),
		want:   2*sec + 156*sec/256,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := backup(t, tt.spec)
			now := epoch.Add(sec)
			if actions := u.Step(now, tt.advert); len(actions) != 0 {
				t.Errorf("Step = %v, want no action", actions)
			}
			if got := u.Deadline().Sub(now); got != tt.want {
				t.Errorf("Deadline = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestMasterJudgesAdverts(t *testing.T) {
	send := SendAdvert{"VI_1", 100}
	tests := []struct {
		name   string
		spec   InstanceSpec
		advert Advert
		want   []Action
	}{{
		name:   "priority zero is answered",
		spec:   spec(),
		advert: advert(peer, 0, sec),
		want:   []Action{send},
	}, {
		name:   "lower priority is answered and announced over",
		spec:   spec(func(s *InstanceSpec) { s.Announce.LowerPrioRepeat = 5 }),
		advert: advert(peer, 99, sec),
		want:   []Action{NoteLowerPriority{"VI_1", peer, 99}, send, AnnounceAddrs{"VI_1", 5}},
	}, {
		name:   "lower_prio_no_advert leaves the announcements",
		spec:   spec(func(s *InstanceSpec) { s.Announce.LowerPrioRepeat, s.LowerPrioNoAdvert = 5, true }),
		advert: advert(peer, 99, sec),
		want:   []Action{NoteLowerPriority{"VI_1", peer, 99}, AnnounceAddrs{"VI_1", 5}},
	}, {
		name:   "equal priority and a lower address is lower",
		spec:   spec(),
		advert: advert(netip.MustParseAddr("192.0.2.0"), 100, sec),
		want:   []Action{NoteLowerPriority{"VI_1", netip.MustParseAddr("192.0.2.0"), 100}, send},
	}, {
		name:   "equal priority and a higher address is higher",
		spec:   spec(),
		advert: advert(peer, 100, sec),
		want: []Action{Release{"VI_1"}, Notify{"VI_1", Master, Backup, 100,
			"advert from 192.0.2.2 with our priority 100 and a higher address"}},
	}, {
		name:   "our own address is ignored",
		spec:   spec(),
		advert: advert(self, 200, sec),
	}, {
		name:   "an owner may be told to ignore adverts",
		spec:   spec(func(s *InstanceSpec) { s.Priority, s.OwnerIgnoreAdverts = Owner, true }),
		advert: advert(peer, Owner, sec),
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, now := master(t, tt.spec)
			got := u.Step(now.Add(sec/2), tt.advert)
			if diff := cmp.Diff(tt.want, slices.Clone(got), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" && len(tt.want)+len(got) > 0 {
				t.Errorf("Step (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFloodOfLowerPriorityAdvertsIsAnsweredFourTimesAnInterval(t *testing.T) {
	u, now := master(t, spec())
	answers := 0
	for range 999 { // one each millisecond, up to the next advert that is due anyway
		now = now.Add(time.Millisecond)
		for _, a := range u.Step(now, advert(peer, 50, sec)) {
			if _, ok := a.(SendAdvert); ok {
				answers++
			}
		}
	}
	if answers != 4 {
		t.Errorf("answers = %d, want 4", answers)
	}
}

func TestAdvertsKeepTheirPaceAndNeverBurst(t *testing.T) {
	u, start := master(t, spec())
	late := []time.Duration{300 * time.Millisecond, 0, 999 * time.Millisecond, 4200 * time.Millisecond, 0}
	want := []time.Duration{2 * sec, 3 * sec, 4 * sec, 9200 * time.Millisecond, 10200 * time.Millisecond}
	for i, delay := range late {
		now := u.Deadline().Add(delay)
		sent := 0
		for _, a := range u.Step(now, Tick{}) {
			if _, ok := a.(SendAdvert); ok {
				sent++
			}
		}
		if got := u.Deadline().Sub(start); sent != 1 || got != want[i] {
			t.Errorf("woken %v late: %d adverts, next at %v, want 1 and %v", delay, sent, got, want[i])
		}
	}
}

func TestEffectivePriorityIsTheBaseWithTheWeights(t *testing.T) {
	up, down := TrackResult{Key: "k", Up: true}, TrackResult{Key: "k"}
	tests := []struct {
		name   string
		base   Priority
		weight int
		rev    bool
		result *TrackResult
		want   Priority
	}{
		{"positive weight counts while up", 100, 20, false, &up, 120},
		{"positive weight does not count while down", 100, 20, false, &down, 100},
		{"negative weight counts while down", 100, -20, false, &down, 80},
		{"negative weight does not count while up", 100, -20, false, &up, 100},
		{"reverse swaps them", 100, -20, true, &up, 80},
		{"an unknown result does not count", 100, 20, false, nil, 100},
		{"an unknown result with reverse does not count", 100, -20, true, nil, 100},
		{"not above 254", 250, 20, false, &up, 254},
		{"not below 1", 10, -20, false, &down, 1},
		{"the owner keeps 255", 255, -20, false, &down, 255},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := backup(t, spec(func(s *InstanceSpec) {
				s.Priority, s.Tracks = tt.base, []Track{{Key: "k", Weight: tt.weight, Reverse: tt.rev}}
			}))
			if tt.result != nil {
				u.Step(epoch, *tt.result)
			}
			if got := u.Status().Priority; got != tt.want {
				t.Errorf("priority = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestPriorityChangeMovesTheRunningTimerByTheSkew(t *testing.T) {
	u := backup(t, spec(func(s *InstanceSpec) { s.Tracks = []Track{{Key: "k", Weight: -50}} }))
	u.Step(epoch.Add(sec), TrackResult{Key: "k"})
	if got, want := u.Deadline().Sub(epoch), 3*sec+206*sec/256; got != want {
		t.Errorf("Deadline = %v, want %v", got, want)
	}
}

func TestStartWaitsForWhatMustBeKnown(t *testing.T) {
	in := spec(func(s *InstanceSpec) {
		s.DontTrackPrimary = false
		s.Tracks = []Track{{Key: "script:chk"}, {Key: "script:weighted", Weight: -5}}
	})
	u := NewUnit(UnitSpec{Name: "VI_1", Instances: []InstanceSpec{in}})
	steps := []struct {
		ev    Event
		state State
		why   string
	}{
		{Startup{}, Init, "waiting for the source address on eth0"},
		{SourceChanged{"VI_1", self}, Init, "waiting for the first result of script chk"},
		{TrackResult{Key: "script:chk", Up: true}, Init, "waiting for the first result of interface eth0"},
		{TrackResult{Key: "interface:eth0", Up: false, Reason: "no carrier"}, Fault, "interface eth0: no carrier"},
		{TrackResult{Key: "interface:eth0", Up: true}, Backup, "no fault is left"},
	}
	for _, step := range steps {
		u.Step(epoch, step.ev)
		if s := u.Status(); s.State != step.state || s.Reason != step.why {
			t.Errorf("after %+v: %v, %q, want %v, %q", step.ev, s.State, s.Reason, step.state, step.why)
		}
	}
}

func TestStartupDelayKeepsTheUnitInInit(t *testing.T) {
	u := NewUnit(UnitSpec{Name: "VI_1", Instances: []InstanceSpec{spec()}})
	u.Step(epoch, SourceChanged{"VI_1", self})
	u.Step(epoch, Startup{Delay: 10 * sec})
	if got := u.Deadline().Sub(epoch); got != 10*sec {
		t.Errorf("Deadline = %v, want 10s", got)
	}
	u.Step(u.Deadline(), Tick{})
	if s := u.Status(); s.State != Backup {
		t.Errorf("state = %v, want BACKUP", s.State)
	}
}

func TestWatchesAddTheInterfacesThatAreNeeded(t *testing.T) {
	in := spec(func(s *InstanceSpec) {
		s.DontTrackPrimary = false
		s.Tracks = []Track{{Key: "interface:eth2", Weight: -10}}
		s.Addresses = []Address{vip, {Interface: "eth1"}}
		s.Routes = []Route{{Interface: "eth2"}, {}}
	})
	want := []Track{{Key: "interface:eth2", Weight: -10}, {Key: "interface:eth0"}, {Key: "interface:eth1"}}
	if diff := cmp.Diff(want, in.Watches()); diff != "" {
		t.Errorf("Watches (-want +got):\n%s", diff)
	}
}

func TestAnnouncementsFollowTheirPace(t *testing.T) {
	u, start := master(t, spec(func(s *InstanceSpec) {
		s.AdvertInterval = 100 * sec // out of the way
		s.Version = 2
		s.Announce = Announce{Repeat: 5, Delay: 5 * sec, Refresh: 7 * sec, RefreshRepeat: 1, LowerPrioRepeat: 3, LowerPrioDelay: 2 * sec}
	}))
	var got []string
	record := func(now time.Time, actions []Action) {
		for _, a := range actions {
			if a, ok := a.(AnnounceAddrs); ok {
				got = append(got, fmt.Sprintf("%v x%d", now.Sub(start), a.Repeat))
			}
		}
	}
	run := func(until time.Duration) {
		for range 100 {
			now := u.Deadline()
			if now.Sub(start) > until {
				return
			}
			record(now, u.Step(now, Tick{}))
		}
	}
	run(8 * sec)
	record(start.Add(8*sec), u.Step(start.Add(8*sec), advert(peer, 50, 100*sec)))
	run(15 * sec)
	want := []string{"5s x5", "7s x1", "8s x3", "10s x3", "14s x1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("announcements (-want +got):\n%s", diff)
	}
}
