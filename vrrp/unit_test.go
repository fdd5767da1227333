package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRespecKeepsStateAndTimers(t *testing.T) {
	unit := func(in InstanceSpec) UnitSpec { return UnitSpec{Name: "VI_1", Instances: []InstanceSpec{in}} }

	t.Run("of a backup moves the timer by the difference", func(t *testing.T) {
		u := backup(t, spec())
		u.Step(epoch.Add(sec), Respec{unit(spec(func(s *InstanceSpec) { s.Priority = 200 }))})
		if got, want := u.Deadline().Sub(epoch), 3*sec+56*sec/256; got != want {
			t.Errorf("Deadline = %v, want %v", got, want)
		}
	})
	t.Run("of a backup keeps the interval adopted from the master", func(t *testing.T) {
		u := backup(t, spec())
		u.Step(epoch, advert(peer, 150, 3*sec))
		before := u.Deadline()
		u.Step(epoch.Add(sec), Respec{unit(spec(func(s *InstanceSpec) { s.AdvertInterval = 2 * sec }))})
		if got := u.Deadline(); !got.Equal(before) {
			t.Errorf("Deadline moved by %v", got.Sub(before))
		}
	})
	t.Run("of a master does nothing but change the pace", func(t *testing.T) {
		u, now := master(t, spec())
		tenure := u.Status().Tenure
		actions := u.Step(now.Add(sec/4), Respec{unit(spec(func(s *InstanceSpec) { s.AdvertInterval, s.Priority = sec/2, 90 }))})
		if len(actions) != 0 {
			t.Errorf("Step = %v, want no action", actions)
		}
		if got := u.Deadline().Sub(now); got != sec/2 {
			t.Errorf("Deadline = %v, want 500ms", got)
		}
		if got := u.Status(); got.State != Master || got.Tenure != tenure || got.Priority != 90 {
			t.Errorf("status = %v, tenure %+v, priority %d, want MASTER, %+v, 90", got.State, got.Tenure, got.Priority, tenure)
		}
	})
	t.Run("of a master claims a new address", func(t *testing.T) {
		u, now := master(t, spec())
		actions := u.Step(now, Respec{unit(spec(func(s *InstanceSpec) {
			s.Addresses, s.Announce.Repeat = []Address{vip}, 5
		}))})
		if diff := cmp.Diff([]Action{Claim{"VI_1"}, AnnounceAddrs{"VI_1", 5}}, slices.Clone(actions)); diff != "" {
			t.Errorf("Step (-want +got):\n%s", diff)
		}
	})
	t.Run("keeps the results of what is still tracked", func(t *testing.T) {
		u := backup(t, spec(func(s *InstanceSpec) { s.Tracks = []Track{{Key: "k", Weight: -5}} }))
		u.Step(epoch, TrackResult{Key: "k"})
		u.Step(epoch, Respec{unit(spec(func(s *InstanceSpec) { s.Tracks = []Track{{Key: "new"}, {Key: "k", Weight: -10}} }))})
		if s := u.Status(); s.State != Backup || s.Priority != 90 {
			t.Errorf("status = %v, priority %d, want BACKUP, 90", s.State, s.Priority)
		}
	})
}

func TestTenureIsThatOfItsBeginning(t *testing.T) {
	u, now := master(t, spec(func(s *InstanceSpec) { s.Tracks = []Track{{Key: "k", Weight: -50}} }))
	want := Tenure{Seq: 1, Priority: 100, Primary: self}
	u.Step(now, TrackResult{Key: "k"})
	u.Step(now, SourceChanged{"VI_1", peer})
	if got := u.Status().Tenure; got != want {
		t.Errorf("tenure = %+v, want %+v", got, want)
	}
	u.Step(now, Yield{Tenure: 1, Successor: "n2", Reason: "drain"})
	if got := u.Status().Tenure; got != want {
		t.Errorf("tenure after it = %+v, want %+v", got, want)
	}
	now = u.Deadline()
	u.Step(now, Tick{})
	if got, want := u.Status().Tenure, (Tenure{Seq: 2, Priority: 50, Primary: peer}); got != want {
		t.Errorf("next tenure = %+v, want %+v", got, want)
	}
}

func TestYieldOfAnotherTenureIsVoid(t *testing.T) {
	u, now := master(t, spec())
	for _, tenure := range []uint64{0, 2} {
		if actions := u.Step(now, Yield{Tenure: tenure}); len(actions) != 0 || u.Status().State != Master {
			t.Errorf("Yield of tenure %d: %v, %v", tenure, actions, u.Status().State)
		}
	}
}

// S59: priority 0 calls all backups, beside the successor that is named.
func TestPriorityZeroIsSentOnlyWhenNoSuccessorIsNamed(t *testing.T) {
	for successor, want := range map[string]bool{"": true, "lb02": false} {
		u, now := master(t, spec())
		sent := slices.Contains(u.Step(now, Yield{Tenure: 1, Successor: successor}), Action(SendAdvert{"VI_1", 0}))
		if sent != want || u.Status().State != Backup {
			t.Errorf("successor %q: priority 0 sent = %v, want %v; state %v", successor, sent, want, u.Status().State)
		}
	}
}

func TestTakeOverIsForBackupsOnly(t *testing.T) {
	u, now := master(t, spec())
	if actions := u.Step(now, TakeOver{Reason: "gone"}); len(actions) != 0 || u.Status().Tenure.Seq != 1 {
		t.Errorf("MASTER: %v", actions)
	}
	u.Step(now, SourceChanged{"VI_1", netip.Addr{}})
	if actions := u.Step(now, TakeOver{Reason: "gone"}); len(actions) != 0 || u.Status().State != Fault {
		t.Errorf("FAULT: %v", actions)
	}
}

func TestTakeOverReplacesTheHoldBeforeIt(t *testing.T) {
	u := backup(t, spec())
	u.Step(epoch, Hold{Until: epoch.Add(time.Hour), Reason: "n1 claims VI_1"})
	u.Step(epoch, TakeOver{Reason: "n1 has released VI_1"})
	if s := u.Status(); s.State != Master || s.Reason != "n1 has released VI_1" {
		t.Errorf("status = %v, %q", s.State, s.Reason)
	}
}

func TestWantEndsWithTheAdvertsThatRaisedIt(t *testing.T) {
	u := backup(t, spec())
	u.Step(epoch, Members{Addrs: []netip.Addr{peer}})
	u.Step(epoch, Hold{Until: epoch.Add(time.Hour), Reason: "n2 claims VI_1"})
	heard := epoch.Add(3500 * time.Millisecond)
	u.Step(heard, advert(peer, 50, sec))

	u.Step(u.Deadline(), Tick{})
	if got := u.Status().Wants; got != WantPreempt {
		t.Errorf("wants %q, want preempt", got)
	}
	now := u.Deadline()
	u.Step(now, Tick{})
	if got := u.Status().Wants; got != WantHeld || now.Sub(heard) != 3*sec+156*sec/256 {
		t.Errorf("wants %q %v after the advert, want held after 3.609375s", got, now.Sub(heard))
	}
}

func TestShutdownEndsAndStartupWakesAgain(t *testing.T) {
	u, now := master(t, spec())
	want := []Action{Release{"VI_1"}, SendAdvert{"VI_1", 0}, Notify{"VI_1", Master, Init, 100, "stopped"}}
	if diff := cmp.Diff(want, slices.Clone(u.Step(now, Shutdown{Reason: "stopped"}))); diff != "" {
		t.Errorf("Step (-want +got):\n%s", diff)
	}
	if !u.Deadline().IsZero() {
		t.Errorf("Deadline = %v, want never", u.Deadline())
	}
	u.Step(now, Startup{})
	if got := u.Status().State; got != Backup {
		t.Errorf("state = %v, want BACKUP", got)
	}
}

func TestSteadyBackupAllocatesNothing(t *testing.T) {
	u := backup(t, spec())
	var ev Event = advert(peer, 150, sec)
	if n := testing.AllocsPerRun(100, func() { u.Step(epoch, ev) }); n != 0 {
		t.Errorf("Step allocates %v times, want 0", n)
	}
}

// A rank is waited for, also by a unit whose timer ended long ago.
func TestTakeOverOfAHeldUnitWaitsForItsDelay(t *testing.T) {
	u := backup(t, spec())
	u.Step(epoch, Hold{Until: epoch.Add(time.Hour), Reason: "n1 claims VI_1"})
	now := epoch.Add(time.Minute)
	u.Step(now, TakeOver{After: sec / 4, Reason: "the addresses of n1 are gone"})
	if s := u.Status(); s.State != Backup || u.Deadline().Sub(now) != sec/4 {
		t.Fatalf("state %v (%s), due in %v; want BACKUP for 250ms", s.State, s.Reason, u.Deadline().Sub(now))
	}
	u.Step(u.Deadline(), Tick{})
	if s := u.Status(); s.State != Master || s.Reason != "the addresses of n1 are gone" {
		t.Errorf("status = %v, %q", s.State, s.Reason)
	}
}

// S34, F26: a planned restart keeps what a crash would take back.
func TestAnHeirGoesOnWithTheTenureAndTellsNobody(t *testing.T) {
	spec := InstanceSpec{
		Name: "VI_1", Interface: "eth0", Family: IPv4, VRID: 51, Version: 3, Priority: 100,
		AdvertInterval: time.Second, DownTimerAdverts: 3,
		Tracks: []Track{{Key: "script:chk"}}, // whose first result it does not await
	}
	held := Heritage{
		Unit: "VI_1", Held: true, Age: time.Minute, Left: 1500 * time.Millisecond,
		Tenure: Tenure{Seq: 7, Priority: 120, Primary: netip.MustParseAddr("192.0.2.1")},
	}
	up := TrackResult{Key: InterfaceKey("eth0"), Up: true}
	source := SourceChanged{Instance: "VI_1", Source: netip.MustParseAddr("192.0.2.1")}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name       string
		heritage   Heritage
		after      time.Duration // until the source is known
		wantState  State
		wantTenure uint64
		want       string // kinds of actions
	}{
		{"in time", held, 100 * time.Millisecond, Master, 7, "[vrrp.SendAdvert vrrp.Claim]"},
		{"too late", held, 1500 * time.Millisecond, Init, 7, "[vrrp.Release]"},
		{"it did not hold", Heritage{Unit: "VI_1", Tenure: Tenure{Seq: 7}}, 0, Init, 7, "[]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := NewUnit(UnitSpec{Name: "VI_1", Instances: []InstanceSpec{spec}})
			u.Step(start, Startup{Heritage: tt.heritage})
			now := start.Add(tt.after)
			kinds := []string{}
			for _, ev := range []Event{up, source} {
				for _, a := range u.Step(now, ev) {
					kinds = append(kinds, fmt.Sprintf("%T", a))
				}
			}
			if got := fmt.Sprint(kinds); got != tt.want || u.state != tt.wantState || u.tenure.Seq != tt.wantTenure {
				t.Errorf("actions %v, state %v, tenure %d; want %v, %v, %d", got, u.state, u.tenure.Seq, tt.want, tt.wantState, tt.wantTenure)
			}
			if tt.wantState == Master && u.since != now.Add(-held.Age) {
				t.Errorf("MASTER since %v, want %v", u.since, now.Add(-held.Age))
			}
		})
	}
}

// R4, R8: a timer that ended while nobody was heard says nothing of a member that is
// heard again, and whose record is not here yet.
func TestBackupThatComesBackDoesNotPreemptAMemberBeforeTheyHaveMet(t *testing.T) {
	down := 3*sec + 156*sec/256
	heard := epoch.Add(time.Minute)
	from := func(kin bool) Advert { a := advert(peer, 50, sec); a.Kin = kin; return a }
	tests := []struct {
		name    string
		members []netip.Addr // before the advert
		kin     bool
		meet    bool // contact comes back after it
		want    map[time.Duration]State
		wants   Want // in the end
	}{
		{"no member", []netip.Addr{}, false, false, map[time.Duration]State{0: Master}, WantNothing},
		{"policy off", nil, true, false, map[time.Duration]State{0: Master}, WantNothing},
		{"never met", []netip.Addr{}, true, false, map[time.Duration]State{0: Backup, down - 1: Backup, down: Master}, WantNothing},
		{"met in time", []netip.Addr{}, true, true, map[time.Duration]State{0: Backup, down: Backup}, WantPreempt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := backup(t, spec())
			u.Step(epoch, Members{Addrs: tt.members})
			u.Step(epoch, Hold{Until: heard, Reason: "isolated"})
			for at := time.Duration(0); at <= down; at += sec {
				if at == sec && tt.meet {
					u.Step(heard.Add(at), Members{Addrs: []netip.Addr{peer}})
					u.Step(heard.Add(at), Hold{Until: heard.Add(time.Hour), Reason: "n2 claims VI_1"})
				}
				u.Step(heard.Add(at), from(tt.kin))
				if want, ok := tt.want[at]; ok && u.Status().State != want {
					t.Errorf("%v after the first advert: %v, want %v", at, u.Status().State, want)
				}
			}
			for _, at := range []time.Duration{down - 1, down} {
				u.Step(heard.Add(at), Tick{})
				if want, ok := tt.want[at]; ok && u.Status().State != want {
					t.Errorf("%v after the first advert: %v, want %v", at, u.Status().State, want)
				}
			}
			if got := u.Status().Wants; got != tt.wants {
				t.Errorf("wants %q, want %q", got, tt.wants)
			}
		})
	}
}

// R8.
func TestRouterWhoseProcessDiedDoesNotPreemptForThreeIntervals(t *testing.T) {
	down := 3*sec + 156*sec/256
	for _, recovered := range []bool{false, true} {
		u := NewUnit(UnitSpec{Name: "VI_1", Instances: []InstanceSpec{spec()}})
		u.Step(epoch, SourceChanged{"VI_1", self})
		u.Step(epoch, TrackResult{Key: InterfaceKey("eth1"), Up: true})
		u.Step(epoch, Startup{Recovered: recovered})
		var at time.Duration
		for ; u.Status().State == Backup && at < time.Minute; at += 10 * time.Millisecond {
			if at%sec == 0 {
				u.Step(epoch.Add(at), advert(peer, 50, sec))
			}
			u.Step(epoch.Add(at), Tick{})
		}
		if recovered && at < 3*down || !recovered && at > down+sec {
			t.Errorf("recovered %v: preempted after %v", recovered, at)
		}
	}
	// Silence is as ever: somebody must serve.
	u := NewUnit(UnitSpec{Name: "VI_1", Instances: []InstanceSpec{spec()}})
	u.Step(epoch, SourceChanged{"VI_1", self})
	u.Step(epoch, TrackResult{Key: InterfaceKey("eth1"), Up: true})
	u.Step(epoch, Startup{Recovered: true})
	u.Step(epoch.Add(down), Tick{})
	if got := u.Status().State; got != Master {
		t.Errorf("state = %v a Master_Down_Interval after the start, want MASTER", got)
	}
}
