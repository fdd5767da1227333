package confirm

import (
	"errors"
	"testing"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
)

var t0 = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// clock is a machine's time, moved by the test.
type clock struct{ now time.Time }

func (c *clock) machine() *Machine { return NewMachine(func() time.Time { return c.now }) }

func wish(id string) Wish { return Wish{ID: id, Base: 6, For: 5 * time.Minute, By: "root", At: t0} }

// apply carries out a command and returns the code of its refusal.
func apply(t *testing.T, m *Machine, cmd store.Command, err error) store.Code {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Apply(cmd)
	r, refused := errors.AsType[*store.Refusal](err)
	if err != nil && !refused {
		t.Fatal(err)
	}
	if refused {
		return r.Code
	}
	return ""
}

func TestAWishEndsOnceAndOnlyByItsID(t *testing.T) {
	m := (&clock{t0}).machine()
	want := func(w Wish) store.Code { cmd, err := Want(w); return apply(t, m, cmd, err) }
	end := func(make func(id, by string) (store.Command, error), id string) store.Code {
		cmd, err := make(id, "root")
		return apply(t, m, cmd, err)
	}
	for _, step := range []struct {
		name string
		got  func() store.Code
		want store.Code
	}{
		{"nothing to confirm", func() store.Code { return end(Keep, "a") }, CodeNothing},
		{"a wish without end", func() store.Code { return want(Wish{ID: "a", Base: 6}) }, CodeRange},
		{"a wish for too long", func() store.Code { return want(Wish{ID: "a", Base: 6, For: Longest + 1}) }, CodeRange},
		{"nothing to go back to", func() store.Code { return want(Wish{ID: "a", For: time.Minute}) }, CodeRange},
		{"a wish", func() store.Code { return want(wish("a")) }, ""},
		{"the same again", func() store.Code { return want(wish("a")) }, ""},
		{"a second one", func() store.Code { return want(wish("b")) }, CodeStanding},
		{"another one confirmed", func() store.Code { return end(Keep, "b") }, CodeNothing},
		{"confirmed", func() store.Code { return end(Keep, "a") }, ""},
		{"over after that", func() store.Code { return end(over, "a") }, CodeNothing},
		{"the second one now", func() store.Code { return want(wish("b")) }, ""},
		{"its time is over", func() store.Code { return end(over, "b") }, ""},
		{"confirmed too late", func() store.Code { return end(Keep, "b") }, CodeNothing},
		{"taken out", func() store.Code { return end(Drop, "b") }, ""},
	} {
		if got := step.got(); got != step.want {
			t.Errorf("%s: refused by %q, want %q", step.name, got, step.want)
		}
	}
	if s, standing := m.Standing(); standing {
		t.Errorf("%+v stands", s)
	}
}

func TestEachNodeCountsForItself(t *testing.T) {
	// Its clock is six hours ahead of the one that made the wish.
	c := &clock{t0.Add(6 * time.Hour)}
	m := c.machine()
	cmd, err := Want(wish("a"))
	apply(t, m, cmd, err)
	end := c.now.Add(5 * time.Minute)
	if s, _ := m.Standing(); !s.Until.Equal(end) {
		t.Errorf("until %v, want %v", s.Until, end)
	}
	data, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(time.Minute)
	if err := m.Restore(data); err != nil {
		t.Fatal(err)
	}
	if s, _ := m.Standing(); !s.Until.Equal(end) {
		t.Errorf("until %v after a restore, want %v", s.Until, end)
	}
	// A node that starts again counts anew; after a day it counts no more.
	for _, tt := range []struct{ now, want time.Time }{
		{t0.Add(time.Minute), t0.Add(6 * time.Minute)},
		{t0.Add(25 * time.Hour), t0.Add(25 * time.Hour)},
	} {
		m := (&clock{tt.now}).machine()
		if err := m.Restore(data); err != nil {
			t.Fatal(err)
		}
		if s, _ := m.Standing(); !s.Until.Equal(tt.want) {
			t.Errorf("until %v when it starts at %v, want %v", s.Until, tt.now, tt.want)
		}
	}
}
