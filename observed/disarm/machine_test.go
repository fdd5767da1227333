package disarm

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

func mustApply(t *testing.T, m *Machine, cmd store.Command, err error) {
	t.Helper()
	if err == nil {
		_, err = m.Apply(cmd)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func order(id string, d time.Duration) Order { return Order{ID: id, For: d, By: "root", At: t0} }

func TestAnOrderEndsByTheClockOfTheNode(t *testing.T) {
	// Its clock is six hours ahead of the one that gave the order.
	c := &clock{t0.Add(6 * time.Hour)}
	m := c.machine()
	cmd, err := Disarm(order("a", 30*time.Minute))
	mustApply(t, m, cmd, err)
	c.now = c.now.Add(30*time.Minute - 1)
	if _, _, ok := m.Standing(); !ok {
		t.Error("armed before the time was over")
	}
	c.now = c.now.Add(1)
	if _, _, ok := m.Standing(); ok {
		t.Error("still disarmed after the time")
	}
	if o, ok := m.Ended(); !ok || o.ID != "a" {
		t.Errorf("Ended = %v %v, want order a to be taken out", o, ok)
	}
}

func TestOrdersAreRefusedOutOfRange(t *testing.T) {
	for _, d := range []time.Duration{0, -time.Minute, Longest + 1} {
		cmd, _ := Disarm(order("a", d))
		_, err := (&clock{t0}).machine().Apply(cmd)
		if r, ok := errors.AsType[*store.Refusal](err); !ok || r.Code != CodeRange {
			t.Errorf("disarm for %v: %v, want a refusal", d, err)
		}
	}
}

func TestArmTakesOutOnlyTheOrderThatItNames(t *testing.T) {
	for _, tt := range []struct {
		id      string
		refused bool
	}{{"", false}, {"a", false}, {"older", true}} {
		c := &clock{t0}
		m := c.machine()
		cmd, err := Disarm(order("a", time.Hour))
		mustApply(t, m, cmd, err)
		cmd, _ = Arm(tt.id, "root")
		_, err = m.Apply(cmd)
		if _, ok := errors.AsType[*store.Refusal](err); ok != tt.refused {
			t.Errorf("arm %q: %v, want refused %v", tt.id, err, tt.refused)
		}
		if _, _, standing := m.Standing(); standing != tt.refused {
			t.Errorf("arm %q: standing %v", tt.id, standing)
		}
	}
}

func TestARestoredOrderKeepsItsEndAndAStaleOneIsOver(t *testing.T) {
	c := &clock{t0}
	m := c.machine()
	cmd, err := Disarm(order("a", time.Hour))
	mustApply(t, m, cmd, err)
	_, want, _ := m.Standing()
	data, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	c.now = t0.Add(20 * time.Minute)
	if err := m.Restore(data); err != nil {
		t.Fatal(err)
	}
	if _, got, ok := m.Standing(); !ok || !got.Equal(want) {
		t.Errorf("after a restore until %v, want %v", got, want)
	}
	late := &clock{t0.Add(Longest + 2*time.Hour)}
	m = late.machine()
	if err := m.Restore(data); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := m.Standing(); ok {
		t.Error("an order of the day before yesterday stands")
	}
}
