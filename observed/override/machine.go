package override

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
)

// Most is how many overrides may stand at once.
const Most = 10_000

// MaxWeight is the largest weight, as in a document.
const MaxWeight = 65535

// Refusals of the machine.
const (
	// CodeRange: a weight is out of range, or too many overrides would stand.
	CodeRange store.Code = "override-range"
	// CodeNone: none of the overrides that shall end stands.
	CodeNone store.Code = "override-none"
)

// Which names a real server of a service.
type Which struct {
	Service string // its name in director.ServiceStatus
	Server  netip.AddrPort
}

// Override is a weight given by hand.
type Override struct {
	Which
	Weight uint32 // 0 to MaxWeight
	By     string // who: "root (sudo: alice)"
	Reason string // why, as far as it was said
	At     time.Time
}

// Why is the override in words: "root gave it weight 0 by hand: kernel update".
func (o Override) Why() string {
	why := fmt.Sprintf("%s gave it weight %d by hand", o.By, o.Weight)
	if o.Reason != "" {
		why += ": " + o.Reason
	}
	return why
}

// State is what stands, in order of services and servers, and the number of commands
// that made it.
type State struct {
	Number    uint64
	Overrides []Override
}

// Machine is the replicated state.
type Machine struct {
	mu      sync.Mutex
	number  uint64             // guarded by mu
	set     map[Which]Override // guarded by mu
	assumed State              // guarded by mu
	changed chan struct{}      // guarded by mu
}

// NewMachine returns a machine in which nothing stands.
func NewMachine() *Machine {
	return &Machine{set: make(map[Which]Override), changed: make(chan struct{})}
}

// Assume says what stood when this node last knew. It counts until as many commands
// were applied.
func (m *Machine) Assume(s State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.assumed = s
}

// State returns what stands, or what is assumed to.
func (m *Machine) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.number < m.assumed.Number {
		return State{Number: m.assumed.Number, Overrides: slices.Clone(m.assumed.Overrides)}
	}
	return m.state()
}

// state is what the commands made. The caller holds mu.
func (m *Machine) state() State {
	s := State{Number: m.number}
	for _, o := range m.set {
		s.Overrides = append(s.Overrides, o)
	}
	slices.SortFunc(s.Overrides, func(a, b Override) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), a.Server.Compare(b.Server))
	})
	return s
}

// Changed returns a channel that is closed when something comes or goes.
func (m *Machine) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// Give makes the command that gives weights, in place of those that stand.
func Give(overrides ...Override) (store.Command, error) { return command("give", overrides) }

// End makes the command that ends overrides; of those that do not stand it ends
// nothing.
func End(which ...Which) (store.Command, error) { return command("end", which) }

func command(name string, body any) (store.Command, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return store.Command{}, fmt.Errorf("encode override.%s: %w", name, err)
	}
	return store.Command{Machine: "override", Name: name, Version: 1, Body: raw}, nil
}

// Name implements store.Machine.
func (m *Machine) Name() string { return "override" }

// Commands implements store.Machine.
func (m *Machine) Commands() map[string]uint8 { return map[string]uint8{"give": 1, "end": 1} }

// Apply implements store.Machine. The body of give version 1 is a list of Override,
// that of end version 1 a list of Which.
func (m *Machine) Apply(cmd store.Command) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch cmd.Name {
	case "give":
		var list []Override
		if err := decode(cmd, &list); err != nil {
			return nil, err
		}
		more := 0
		for _, o := range list {
			if o.Weight > MaxWeight || o.Service == "" || !o.Server.IsValid() {
				return nil, &store.Refusal{Code: CodeRange, Message: fmt.Sprintf("weight %d of %v of %q is out of range; use 0 to %d", o.Weight, o.Server, o.Service, MaxWeight)}
			}
			if _, stands := m.set[o.Which]; !stands {
				more++
			}
		}
		if len(m.set)+more > Most {
			return nil, &store.Refusal{Code: CodeRange, Message: fmt.Sprintf("%d weights by hand are too many; end some, at most %d may stand", len(m.set)+more, Most)}
		}
		for _, o := range list {
			m.set[o.Which] = o
		}
	case "end":
		var list []Which
		if err := decode(cmd, &list); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list, func(w Which) bool { _, stands := m.set[w]; return stands }) {
			return nil, &store.Refusal{Code: CodeNone, Message: "no weight was given by hand: nothing to restore"}
		}
		for _, w := range list {
			delete(m.set, w)
		}
	default:
		panic("override: unlisted command " + cmd.Name)
	}
	m.number++
	m.ring()
	return nil, nil
}

// ring tells that something changed. The caller holds mu.
func (m *Machine) ring() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func decode(cmd store.Command, into any) error {
	dec := json.NewDecoder(bytes.NewReader(cmd.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return &store.Refusal{Code: "bad-body", Message: fmt.Sprintf("%s: body does not have the form of its version: %v", cmd, err)}
	}
	return nil
}

// Snapshot implements store.Machine.
func (m *Machine) Snapshot() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return json.Marshal(m.state())
}

// Restore implements store.Machine.
func (m *Machine) Restore(data []byte) error {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.number = s.Number
	clear(m.set)
	for _, o := range s.Overrides {
		m.set[o.Which] = o
	}
	m.ring()
	return nil
}
