package vrrp

import (
	"testing"
	"testing/synctest"
	"time"
)

// hangingKernel lets one Renew take as long as hang says, and each Release as
// long as slow says.
type hangingKernel struct {
	*memoryKernel
	hang, slow time.Duration
}

func (k *hangingKernel) Release(instance string, addrs []Address, routes []Route) error {
	time.Sleep(k.slow)
	return k.memoryKernel.Release(instance, addrs, routes)
}

func (k *hangingKernel) Renew(except ...string) error {
	time.Sleep(k.hang)
	k.hang = 0
	return k.memoryKernel.Renew(except...)
}

func TestMasterThatHungBecomesBackupAndLetsGo(t *testing.T) {
	tests := []struct {
		name string
		hang time.Duration
		want State
	}{
		{"shorter than its lease", 900 * time.Millisecond, Master},
		{"as long as its lease", 1500 * time.Millisecond, Backup},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newTestNode(t, newMemoryLAN(), "a", "192.0.2.1")
				kernel := &hangingKernel{memoryKernel: a.kernel}
				a.start(kernel)
				a.apply(unitSpec(51, 150))
				time.Sleep(5 * time.Second)
				a.wantState("vi_51", Master)

				a.engine.take(func(*loop) { kernel.hang = tt.hang })
				time.Sleep(2 * time.Second)
				a.wantState("vi_51", tt.want)
				if got := len(a.kernel.holds()) > 0; got != (tt.want == Master) {
					t.Errorf("holds addresses = %v as %v", got, tt.want)
				}
			})
		})
	}
}

func TestStoppingEndsInTimeThoughTheKernelIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTestNode(t, newMemoryLAN(), "a", "192.0.2.1")
		a.start(&hangingKernel{memoryKernel: a.kernel, slow: 900 * time.Millisecond})
		a.apply(unitSpecs(150)...)
		time.Sleep(5 * time.Second)
		begun := time.Now()
		a.stop()
		if took := time.Since(begun); took > shutdownWithin+time.Second {
			t.Errorf("stopping took %v, want at most %v and one call", took, shutdownWithin)
		}
	})
}

// Who is deaf while his sockets are opened has not heard silence.
func TestBackupWaitsFromWhenItHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newMemoryLAN()
		a, b := startNode(t, lan, "a", "192.0.2.1"), newTestNode(t, lan, "b", "192.0.2.2")
		a.apply(unitSpec(51, 150))
		time.Sleep(5 * time.Second)
		a.wantState("vi_51", Master)
		b.network.delay = 4500 * time.Millisecond // longer than its timer, too short to be noticed as a pause
		b.start(b.kernel)
		b.apply(unitSpec(51, 100))
		time.Sleep(10 * time.Second)
		b.wantState("vi_51", Backup)
		if len(b.transitions) != 1 {
			t.Errorf("transitions %v, want one: nobody was silent", b.transitions)
		}
	})
}

func TestBackupWhoseTimerCameLateHearsWhatIsWaiting(t *testing.T) {
	l, _ := newTestLoop(t, nil, unitSpec(51, 100))
	u := l.units[0]
	state := func() State { return u.machine.Status().State }
	if state() != Backup {
		t.Fatalf("the unit is %v, want %v", state(), Backup)
	}

	due := u.due
	l.at(due.Add(doubtful + time.Millisecond))
	if state() != Backup {
		t.Fatalf("late tick: the unit is %v, want %v", state(), Backup)
	}
	if got, want := l.earliest(), l.now.Add(hearing); !got.Equal(want) {
		t.Fatalf("next deadline %v after the late one, want %v", got.Sub(l.now), hearing)
	}
	for range maxDoubts - 1 {
		l.at(l.earliest().Add(100 * time.Millisecond)) // late again
		if state() != Backup {
			t.Fatalf("late again: the unit is %v, want %v", state(), Backup)
		}
	}
	l.at(l.earliest().Add(100 * time.Millisecond)) // so late, and so often: it must end
	if state() != Master {
		t.Errorf("nothing was heard: the unit is %v, want %v", state(), Master)
	}
}

// Those that wait for the same machine are late together: each must have its turn.
func TestBackupsThatAreLateTakeTurnsAllTheSame(t *testing.T) {
	const rank = 20 * time.Millisecond
	for _, tt := range []struct {
		name string
		tell func(now time.Time) Event

		first Event // what is told before the timer is looked at; nil: nothing
	}{
		{"a hold that ended", func(now time.Time) Event {
			return Hold{Until: now.Add(4 * time.Second), Rank: rank, Reason: "b claimed it"}
		}, nil},
		{"a hold that ended before the timer", func(now time.Time) Event {
			return Hold{Until: now.Add(time.Millisecond), Rank: rank, Reason: "b claimed it"}
		}, nil},
		{"a verdict", func(time.Time) Event { return TakeOver{After: rank, Reason: "b is gone"} }, nil},
		{"a verdict, and another one comes", func(time.Time) Event {
			return TakeOver{After: rank, Reason: "b is gone"}
		}, Members{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := newTestLoop(t, nil, unitSpec(51, 100))
			u := l.units[0]
			l.step(u, tt.tell(l.now))
			for u.due.Before(u.machine.takeAt()) && u.machine.takeOverAt.IsZero() {
				l.at(u.due) // the timer ends before the hold
			}
			late := u.due.Add(doubtful + time.Millisecond)
			if tt.first != nil {
				l.now = late
				l.step(u, tt.first)
			}
			l.at(late)
			if got, want := u.due, l.now.Add(hearing+rank); !got.Equal(want) || u.machine.state != Backup {
				t.Fatalf("late: %v, to act in %v; want BACKUP, in %v", u.machine.state, got.Sub(l.now), hearing+rank)
			}
			l.at(u.due)
			if u.machine.state != Master {
				t.Errorf("its turn came: the unit is %v, want %v", u.machine.state, Master)
			}
		})
	}
}

func TestAlarmIsNotSetAgainForADeadlineThatMovedLater(t *testing.T) {
	l, _ := newTestLoop(t, nil, unitSpec(51, 100))
	alarm := &countingAlarm{}
	l.opts.Alarm = alarm
	l.arm()
	for range 10 {
		l.now = l.now.Add(time.Second)
		l.step(l.units[0], Advert{Instance: "vi_51", From: testPeer, Priority: 200, Interval: time.Second})
		l.arm()
	}
	if alarm.sets != 1 {
		t.Errorf("the alarm was set %d times, want once", alarm.sets)
	}
}

type countingAlarm struct{ sets int }

func (a *countingAlarm) Set(time.Time) { a.sets++ }
func (a *countingAlarm) Wait() bool    { return false }
func (a *countingAlarm) Close() error  { return nil }
