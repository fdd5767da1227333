package confirm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
)

// Longest is how long a wish may stand at most.
const Longest = 24 * time.Hour

// Refusals of the machine.
const (
	// CodeRange: the duration is not in (0, Longest], or the wish is not complete.
	CodeRange store.Code = "confirm-range"
	// CodeStanding: another wish stands.
	CodeStanding store.Code = "confirm-standing"
	// CodeNothing: no such wish stands, or its time is over.
	CodeNothing store.Code = "confirm-nothing"
)

// Wish is that a revision be taken back unless somebody confirms it.
type Wish struct {
	ID   string        // of the request that makes the revision; unique
	Base uint64        // the revision to go back to, and that it was made from
	For  time.Duration // how long it may be confirmed
	By   string        // who: "root (sudo: alice)"
	At   time.Time
}

// stale reports whether the wish is so old that no clock can be wrong enough for it to
// be in time yet: the cluster was off in between.
func (w Wish) stale(now time.Time) bool { return now.Sub(w.At) > w.For+Longest }

// Standing is a wish on one node.
type Standing struct {
	Wish
	Over  bool      // all know that its time is over
	Until time.Time // by this node's clock
}

// Machine is the replicated wish, if one stands.
type Machine struct {
	now func() time.Time

	mu       sync.Mutex
	standing Standing      // without ID: none; guarded by mu
	changed  chan struct{} // guarded by mu
}

// NewMachine returns a machine without a wish. It asks now when a wish comes: what it
// answers must carry a monotonic reading, so that a step of the wall clock changes
// nothing.
func NewMachine(now func() time.Time) *Machine {
	return &Machine{now: now, changed: make(chan struct{})}
}

// Standing returns the wish that stands; false: there is none.
func (m *Machine) Standing() (Standing, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.standing, m.standing.ID != ""
}

// Changed returns a channel that is closed when a wish comes, is over or goes.
func (m *Machine) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// endV1 is the body of confirm.over, confirm.keep and confirm.drop version 1.
type endV1 struct {
	ID string
	By string // for the log of commands
}

// Want makes the command with which a wish begins.
func Want(w Wish) (store.Command, error) { return command("want", w) }

// Keep makes the command that confirms the revision of a wish in time.
func Keep(id, by string) (store.Command, error) { return command("keep", endV1{id, by}) }

// over makes the command that says that the time of a wish is over.
func over(id, by string) (store.Command, error) { return command("over", endV1{id, by}) }

// Drop makes the command that takes out a wish whose revision was taken back, replaced
// or never made.
func Drop(id, by string) (store.Command, error) { return command("drop", endV1{id, by}) }

func command(name string, body any) (store.Command, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return store.Command{}, fmt.Errorf("encode confirm.%s: %w", name, err)
	}
	return store.Command{Machine: "confirm", Name: name, Version: 1, Body: raw}, nil
}

// Name implements store.Machine.
func (m *Machine) Name() string { return "confirm" }

// Commands implements store.Machine.
func (m *Machine) Commands() map[string]uint8 {
	return map[string]uint8{"want": 1, "keep": 1, "over": 1, "drop": 1}
}

// Apply implements store.Machine. The body of want version 1 is a Wish.
func (m *Machine) Apply(cmd store.Command) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cmd.Name == "want" {
		var w Wish
		if err := decode(cmd, &w); err != nil {
			return nil, err
		}
		return nil, m.want(w)
	}
	var body endV1
	if err := decode(cmd, &body); err != nil {
		return nil, err
	}
	if m.standing.ID == "" || body.ID != m.standing.ID {
		return nil, refuse(CodeNothing, "no revision waits for this to be confirmed")
	}
	switch cmd.Name {
	case "keep":
		if m.standing.Over {
			return nil, refuse(CodeNothing, "the time to confirm is over, and revision %d comes back", m.standing.Base)
		}
		m.set(Standing{})
	case "over":
		now := m.standing
		now.Over = true
		m.set(now)
	case "drop":
		m.set(Standing{})
	default:
		panic("confirm: unlisted command " + cmd.Name)
	}
	return nil, nil
}

// want takes a wish, unless one stands. The caller holds mu.
func (m *Machine) want(w Wish) error {
	switch {
	case w.ID == m.standing.ID && w.ID != "":
		return nil // its time runs already
	case w.ID == "" || w.Base == 0 || w.For <= 0 || w.For > Longest:
		return refuse(CodeRange, "to confirm within %v is out of range; use more than 0s, at most %v", w.For, Longest)
	case m.standing.ID != "":
		return refuse(CodeStanding, "an edit of %s waits to be confirmed", m.standing.By)
	}
	m.begin(w, false)
	return nil
}

// begin counts from now. The caller holds mu.
func (m *Machine) begin(w Wish, isOver bool) {
	now := m.now()
	until := now.Add(w.For)
	if w.stale(now) {
		until = now
	}
	m.set(Standing{w, isOver, until})
}

// set is a change. The caller holds mu.
func (m *Machine) set(s Standing) {
	m.standing = s
	close(m.changed)
	m.changed = make(chan struct{})
}

func decode(cmd store.Command, into any) error {
	dec := json.NewDecoder(bytes.NewReader(cmd.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return refuse("bad-body", "%s: body does not have the form of its version: %v", cmd, err)
	}
	return nil
}

func refuse(code store.Code, format string, args ...any) error {
	return &store.Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// snapshot is the machine's state. When the time ends is each node's own.
type snapshot struct {
	Wish Wish
	Over bool
}

// Snapshot implements store.Machine.
func (m *Machine) Snapshot() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return json.Marshal(snapshot{m.standing.Wish, m.standing.Over})
}

// Restore implements store.Machine.
func (m *Machine) Restore(data []byte) error {
	var s snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case s.Wish.ID == "":
		m.set(Standing{})
	case s.Wish.ID == m.standing.ID: // its time runs already
		m.set(Standing{s.Wish, s.Over, m.standing.Until})
	default:
		m.begin(s.Wish, s.Over)
	}
	return nil
}
