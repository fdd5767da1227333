package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/hacluster/hacluster/cluster/store"
)

// Electorate is who votes on leases. It follows Raft's voters one node at a time,
// and not before the step before is safe: two majorities one step apart have a
// node in common, and of those two steps apart nobody can say that.
type Electorate struct {
	Epoch  uint64   // counts changes; 0: there is none yet
	Voters []string // names of nodes, in order
}

// Electorates is the replicated electorate; it implements store.Machine.
type Electorates struct {
	mu      sync.Mutex
	state   electorateState // guarded by mu
	changed chan struct{}   // guarded by mu
}

type electorateState struct {
	Electorate
	Previous []string // the voters of the epoch before
}

// NewElectorates returns a machine without an electorate.
func NewElectorates() *Electorates { return &Electorates{changed: make(chan struct{})} }

// Current returns the electorate, and the voters of the one before.
func (m *Electorates) Current() (e Electorate, previous []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Electorate{m.state.Epoch, slices.Clone(m.state.Voters)}, slices.Clone(m.state.Previous)
}

// Changed returns a channel that is closed when Current changes next.
func (m *Electorates) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// CodeElectorate refuses a change of the electorate that is not the next one.
const CodeElectorate store.Code = "electorate-step"

// changeElectorateV1 is the body of electorate.change version 1.
type changeElectorateV1 struct {
	From   uint64 // the epoch that it changes
	Voters []string
}

// ChangeElectorate makes the command that gives the electorate of an epoch other
// voters. It is refused when they differ from those by more than one node, and
// when the epoch is over.
func ChangeElectorate(from uint64, voters []string) (store.Command, error) {
	raw, err := json.Marshal(changeElectorateV1{from, voters})
	if err != nil {
		return store.Command{}, fmt.Errorf("encode electorate.change: %w", err)
	}
	return store.Command{Machine: "electorate", Name: "change", Version: 1, Body: raw}, nil
}

// Name implements store.Machine.
func (m *Electorates) Name() string { return "electorate" }

// Commands implements store.Machine.
func (m *Electorates) Commands() map[string]uint8 { return map[string]uint8{"change": 1} }

// Apply implements store.Machine.
func (m *Electorates) Apply(cmd store.Command) ([]byte, error) {
	if cmd.Name != "change" {
		panic("cluster: electorate: unlisted command " + cmd.Name)
	}
	var body changeElectorateV1
	dec := json.NewDecoder(bytes.NewReader(cmd.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil {
		return nil, &store.Refusal{Code: "bad-body", Message: fmt.Sprintf("%s: body does not have the form of its version: %v", cmd, err)}
	}
	slices.Sort(body.Voters)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case body.From != m.state.Epoch:
		return nil, &store.Refusal{Code: CodeElectorate, Message: fmt.Sprintf(
			"the electorate is number %d, and the change is for number %d", m.state.Epoch, body.From)}
	case len(body.Voters) == 0 || body.From > 0 && difference(m.state.Voters, body.Voters) != 1:
		return nil, &store.Refusal{Code: CodeElectorate, Message: fmt.Sprintf(
			"the electorate changes by one node at a time, and not from %v to %v", m.state.Voters, body.Voters)}
	}
	m.set(electorateState{Electorate{body.From + 1, body.Voters}, m.state.Voters})
	return nil, nil
}

// difference is how many nodes are in one list and not in the other.
func difference(a, b []string) int {
	n := 0
	for _, v := range a {
		if !slices.Contains(b, v) {
			n++
		}
	}
	for _, v := range b {
		if !slices.Contains(a, v) {
			n++
		}
	}
	return n
}

// NextElectorate is the step from an electorate towards the voters of Raft: who is
// gone goes first. ok is false when there is none to make.
func NextElectorate(e Electorate, raft []string) (voters []string, ok bool) {
	if len(raft) == 0 {
		return nil, false
	}
	if e.Epoch == 0 {
		return slices.Sorted(slices.Values(raft)), true
	}
	for i, v := range e.Voters {
		if !slices.Contains(raft, v) && len(e.Voters) > 1 {
			return slices.Delete(slices.Clone(e.Voters), i, i+1), true
		}
	}
	for _, v := range raft {
		if !slices.Contains(e.Voters, v) {
			return append(slices.Clone(e.Voters), v), true
		}
	}
	return nil, false
}

// set replaces the state. The caller holds mu.
func (m *Electorates) set(s electorateState) {
	m.state = s
	close(m.changed)
	m.changed = make(chan struct{})
}

// Snapshot implements store.Machine.
func (m *Electorates) Snapshot() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return json.Marshal(m.state)
}

// Restore implements store.Machine.
func (m *Electorates) Restore(data []byte) error {
	var s electorateState
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(s)
	return nil
}
