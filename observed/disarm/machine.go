package disarm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
)

// Longest is how long an order may last at most.
const Longest = 24 * time.Hour

// Refusals of the machine.
const (
	// CodeRange: the duration is not in (0, Longest].
	CodeRange store.Code = "disarm-range"
	// CodeArmed: there is no order to take out.
	CodeArmed store.Code = "disarm-armed"
)

// Order is one decision to disarm.
type Order struct {
	ID     string // unique
	For    time.Duration
	By     string // who: "root (sudo: alice)"
	Reason string // why, as far as it was said
	At     time.Time
}

// stale reports whether the order is so old that no clock can be wrong enough for
// it to count: the cluster was off in between.
func (o Order) stale(now time.Time) bool { return now.Sub(o.At) > o.For+Longest }

// Machine is the replicated order, if one stands.
type Machine struct {
	now func() time.Time

	mu      sync.Mutex
	order   Order     // zero: armed; guarded by mu
	until   time.Time // by this node's clock; guarded by mu
	changed chan struct{}
}

// NewMachine returns a machine without an order. It asks now when an order comes:
// what it answers must carry a monotonic reading, so that a step of the wall
// clock changes nothing.
func NewMachine(now func() time.Time) *Machine {
	return &Machine{now: now, changed: make(chan struct{})}
}

// Standing returns the order that stands and when it ends by this node's clock;
// false: the cluster is armed.
func (m *Machine) Standing() (o Order, until time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.order, m.until, m.order.ID != "" && m.now().Before(m.until)
}

// Ended returns the order that this node has counted to its end and that is not
// taken out yet.
func (m *Machine) Ended() (Order, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.order, m.order.ID != "" && !m.now().Before(m.until)
}

// Changed returns a channel that is closed when an order comes or goes. Its end
// by time is not told.
func (m *Machine) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// armV1 is the body of disarm.arm version 1. Without an ID it takes out whatever
// order stands.
type armV1 struct {
	ID string
	By string
}

// Disarm makes the command that starts an order, or replaces the one that stands.
func Disarm(o Order) (store.Command, error) { return command("disarm", o) }

// Arm makes the command that takes out the order of that ID, or any order when it
// is empty.
func Arm(id, by string) (store.Command, error) { return command("arm", armV1{ID: id, By: by}) }

func command(name string, body any) (store.Command, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return store.Command{}, fmt.Errorf("encode disarm.%s: %w", name, err)
	}
	return store.Command{Machine: "disarm", Name: name, Version: 1, Body: raw}, nil
}

// Name implements store.Machine.
func (m *Machine) Name() string { return "disarm" }

// Commands implements store.Machine.
func (m *Machine) Commands() map[string]uint8 { return map[string]uint8{"disarm": 1, "arm": 1} }

// Apply implements store.Machine. The body of disarm version 1 is an Order.
func (m *Machine) Apply(cmd store.Command) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch cmd.Name {
	case "disarm":
		var o Order
		if err := decode(cmd, &o); err != nil {
			return nil, err
		}
		if o.ID == "" || o.For <= 0 || o.For > Longest {
			return nil, &store.Refusal{Code: CodeRange, Message: fmt.Sprintf("disarm for %v is out of range; use at most %v", o.For, Longest)}
		}
		m.set(o)
	case "arm":
		var body armV1
		if err := decode(cmd, &body); err != nil {
			return nil, err
		}
		if m.order.ID == "" || body.ID != "" && body.ID != m.order.ID {
			return nil, &store.Refusal{Code: CodeArmed, Message: "the cluster is armed: nothing to end"}
		}
		m.set(Order{})
	default:
		panic("disarm: unlisted command " + cmd.Name)
	}
	return nil, nil
}

func decode(cmd store.Command, into any) error {
	dec := json.NewDecoder(bytes.NewReader(cmd.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return &store.Refusal{Code: "bad-body", Message: fmt.Sprintf("%s: body does not have the form of its version: %v", cmd, err)}
	}
	return nil
}

// set takes an order, unless it is the one that stands, whose time runs already.
// The caller holds mu.
func (m *Machine) set(o Order) {
	if o.ID == m.order.ID {
		return
	}
	now := m.now()
	m.order, m.until = o, now.Add(o.For)
	if o.stale(now) {
		m.until = now
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

// Snapshot implements store.Machine.
func (m *Machine) Snapshot() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return json.Marshal(m.order)
}

// Restore implements store.Machine.
func (m *Machine) Restore(data []byte) error {
	var o Order
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(o)
	return nil
}
