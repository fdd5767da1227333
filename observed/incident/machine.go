package incident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
)

// Bounds of the machine.
const (
	kept     = 100 // records
	maxParts = 32  // of a record
)

// together is how far apart in time two nodes may see the same thing begin and
// end. A kill is seen within milliseconds, or when a heartbeat is missed.
const together = 10 * time.Second

// Machine is the replicated list of incidents. It implements store.Machine.
type Machine struct {
	mu      sync.Mutex
	state   state         // guarded by mu
	changed chan struct{} // closed and replaced with each change; guarded by mu
}

// state is the replicated part.
type state struct {
	Last    uint64 // number of the newest record
	Records []Record
}

// NewMachine returns an empty machine.
func NewMachine() *Machine { return &Machine{changed: make(chan struct{})} }

// Records returns all incidents, the oldest first, and a channel that is closed
// when there is news. The records are not changed afterwards.
func (m *Machine) Records() ([]Record, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.state.Records), m.changed
}

// toldV1 is the body of incidents.told version 1.
type toldV1 struct {
	Number uint64
	Closed bool
}

// Put makes the command that adds a part, or replaces it. Its result is the
// record's number in JSON.
func Put(p Part) (store.Command, error) { return command("put", p) }

// Told makes the command that says that people were told of a record: that it
// opened, or that it is over.
func Told(number uint64, closed bool) (store.Command, error) {
	return command("told", toldV1{number, closed})
}

func command(name string, body any) (store.Command, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return store.Command{}, fmt.Errorf("encode incidents.%s: %w", name, err)
	}
	return store.Command{Machine: "incidents", Name: name, Version: 1, Body: raw}, nil
}

// Name implements store.Machine.
func (m *Machine) Name() string { return "incidents" }

// Commands implements store.Machine.
func (m *Machine) Commands() map[string]uint8 { return map[string]uint8{"put": 1, "told": 1} }

// Apply implements store.Machine. The body of put version 1 is a Part.
func (m *Machine) Apply(cmd store.Command) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() {
		close(m.changed)
		m.changed = make(chan struct{})
	}()
	switch cmd.Name {
	case "put":
		var p Part
		if err := decode(cmd, &p); err != nil {
			return nil, err
		}
		if p.Node == "" || p.Local == "" || p.Kind == "" {
			return nil, &store.Refusal{Code: "bad-body", Message: cmd.String() + ": a part names its node, itself and its kind"}
		}
		return json.Marshal(m.state.put(p))
	case "told":
		var body toldV1
		if err := decode(cmd, &body); err != nil {
			return nil, err
		}
		m.state.told(body)
		return nil, nil
	default:
		panic("incident: unlisted command " + cmd.Name)
	}
}

func decode(cmd store.Command, into any) error {
	dec := json.NewDecoder(bytes.NewReader(cmd.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return &store.Refusal{Code: "bad-body", Message: fmt.Sprintf("%s: body does not have the form of its version: %v", cmd, err)}
	}
	return nil
}

// put adds the part to the record that it belongs to and returns its number.
func (s *state) put(p Part) uint64 {
	// Records are values that readers hold: what changes is made anew.
	for i := range s.Records {
		for k, old := range s.Records[i].Parts {
			if old.Node == p.Node && old.Local == p.Local {
				parts := slices.Clone(s.Records[i].Parts)
				parts[k] = p
				s.Records[i].Parts = parts
				return s.Records[i].Number
			}
		}
	}
	for i := len(s.Records) - 1; i >= 0; i-- {
		r := &s.Records[i]
		if len(r.Parts) < maxParts && r.about(&p) {
			r.Parts = append(slices.Clip(r.Parts), p)
			if !p.Closed.IsZero() || !r.ToldClosed {
				return r.Number
			}
			r.ToldClosed = false // it has begun again
			return r.Number
		}
	}
	s.Last++
	s.Records = append(s.Records, Record{Number: s.Last, Parts: []Part{p}})
	if len(s.Records) > kept {
		s.Records = slices.Clone(s.Records[len(s.Records)-kept:])
	}
	return s.Last
}

// about reports whether a part is about the same thing as the record: the same
// tenure, or the same nodes at the same time.
func (r *Record) about(p *Part) bool {
	return slices.ContainsFunc(r.Parts, func(old Part) bool {
		if old.Kind != p.Kind {
			return false
		}
		for _, t := range p.Tenures {
			if slices.Contains(old.Tenures, t) {
				return true
			}
		}
		return slices.Equal(old.Subject, p.Subject) && overlap(&old, p)
	})
}

// overlap reports whether two parts stood at about the same time.
func overlap(a, b *Part) bool {
	// In the clock of a.
	opened, closed := b.At(b.Opened, a.Node, a.Clocks), b.At(b.Closed, a.Node, a.Clocks)
	before := func(end, begin time.Time) bool { return !end.IsZero() && end.Add(together).Before(begin) }
	return !before(a.Closed, opened) && !before(closed, a.Opened)
}

func (s *state) told(body toldV1) {
	for i := range s.Records {
		if r := &s.Records[i]; r.Number == body.Number {
			r.Told = true
			r.ToldClosed = body.Closed
		}
	}
}

// Snapshot implements store.Machine.
func (m *Machine) Snapshot() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return json.Marshal(m.state)
}

// Restore implements store.Machine.
func (m *Machine) Restore(data []byte) error {
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	for i := range s.Records {
		if len(s.Records[i].Parts) == 0 {
			return fmt.Errorf("incident %d has no parts", s.Records[i].Number)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = s
	close(m.changed)
	m.changed = make(chan struct{})
	return nil
}
