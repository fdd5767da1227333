package kclock

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

type alarm interface {
	Set(time.Time)
	Wait() bool
	Close() error
}

func newTimerfd(t *testing.T) *Timerfd {
	t.Helper()
	a, err := NewTimerfd()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wantFire waits for the alarm, and fails when it came before due.
func wantFire(t *testing.T, a alarm, due time.Time) time.Duration {
	t.Helper()
	guard := time.AfterFunc(10*time.Second, func() { a.Close() })
	defer guard.Stop()
	if !a.Wait() {
		t.Fatal("the alarm did not go off within 10s")
	}
	late := time.Since(due)
	if late < 0 {
		t.Fatalf("the alarm went off %v early", -late)
	}
	return late
}

func TestTimerfdGoesOffAtItsDeadline(t *testing.T) {
	a := newTimerfd(t)
	defer a.Close()

	var lates []time.Duration
	for range 20 {
		due := time.Now().Add(5 * time.Millisecond)
		a.Set(due)
		lates = append(lates, wantFire(t, a, due))
	}
	slices.Sort(lates)
	t.Logf("late by %v at the median, %v at most", lates[10], lates[19])
}

func TestTimerfdGoesOffAtOnceWhenTheDeadlineHasPassed(t *testing.T) {
	a := newTimerfd(t)
	defer a.Close()
	due := time.Now().Add(-time.Hour)
	a.Set(due)
	wantFire(t, a, due)
}

func TestTimerfdSetReplacesTheDeadline(t *testing.T) {
	a := newTimerfd(t)
	defer a.Close()
	a.Set(time.Now().Add(time.Hour))
	due := time.Now().Add(time.Millisecond)
	a.Set(due)
	wantFire(t, a, due)
}

func TestCloseEndsWaiting(t *testing.T) {
	for name, a := range map[string]alarm{"timerfd": newTimerfd(t), "timer": NewTimer()} {
		t.Run(name, func(t *testing.T) {
			a.Set(time.Now().Add(time.Hour))
			ended := make(chan bool)
			go func() { ended <- a.Wait() }()
			for range 2 {
				if err := a.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if <-ended {
				t.Error("Wait = true on a closed alarm")
			}
			a.Set(time.Now().Add(time.Hour)) // must not panic
		})
	}
}

func TestTimerFollowsVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewTimer()
		start := time.Now()
		a.Set(start.Add(time.Hour))
		a.Set(start.Add(3 * time.Second)) // replaces
		if !a.Wait() {
			t.Fatal("Wait = false on an open alarm")
		}
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("went off after %v, want 3s", got)
		}

		a.Set(start.Add(4 * time.Second))
		a.Set(time.Time{})
		time.AfterFunc(time.Minute, func() { a.Close() })
		if a.Wait() {
			t.Error("an alarm that was taken away went off")
		}
	})
}

func TestInstantNeverGoesBack(t *testing.T) {
	last := Now()
	for range 1000 {
		now := Now()
		if now.Sub(last) < 0 {
			t.Fatalf("Now went back by %v", -now.Sub(last))
		}
		last = now
	}
	if got := last.Add(time.Second).Sub(last); got != time.Second {
		t.Errorf("Add then Sub = %v, want 1s", got)
	}
}

func TestSuspendedDoesNotGrowWhileAwake(t *testing.T) {
	before := Suspended()
	if before < 0 {
		t.Errorf("Suspended = %v, want 0 or more", before)
	}
	// The two clocks are read one after the other; the process may be
	// preempted in between, hence the smallest of several differences.
	least := time.Hour
	for range 100 {
		least = min(least, (Suspended() - before).Abs())
	}
	if least > 5*time.Millisecond {
		t.Errorf("Suspended changed by %v, want no change", least)
	}
}

func BenchmarkTimerfdSet(b *testing.B) {
	a, err := NewTimerfd()
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	at := time.Now().Add(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		a.Set(at)
	}
}
