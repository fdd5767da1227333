package mesh

import (
	"encoding/binary"
	"maps"
	"slices"
)

// A trial is a heartbeat that says nothing. It shows that the port is open, before a
// node has anything to say. Its payload is
//
//	"hatrial" (7)  number of the trial (8)  name of the sender (the rest)
//
// and no record: those who know no trials drop it.
const (
	trialMagic = "hatrial"
	trialsKept = 64 // several nodes may join at the same moment, and each tries twice
)

// trial is what came of one trial.
type trial struct {
	id    uint64
	heard map[string]bool // by sender
}

// Try sends a trial to members; see Send.
func (m *Mesh) Try(id uint64, members []string) error {
	return m.Send(members, append(binary.BigEndian.AppendUint64([]byte(trialMagic), id), m.o.Name...))
}

// Tried returns of whom a trial has come, by name. The last few trials are kept.
func (m *Mesh) Tried(id uint64) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.trials {
		if t.id == id {
			return slices.Sorted(maps.Keys(t.heard))
		}
	}
	return nil
}

// tried notes a trial, and reports whether the payload is one.
func (m *Mesh) tried(payload []byte) bool {
	const head = len(trialMagic) + 8
	if len(payload) <= head || string(payload[:len(trialMagic)]) != trialMagic {
		return false
	}
	id, from := binary.BigEndian.Uint64(payload[len(trialMagic):]), string(payload[head:])
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, member := m.configured[from]; !member {
		return true // so the senders of one trial are bounded
	}
	i := slices.IndexFunc(m.trials, func(t trial) bool { return t.id == id })
	if i < 0 {
		if len(m.trials) == trialsKept {
			m.trials = slices.Delete(m.trials, 0, 1)
		}
		i = len(m.trials)
		m.trials = append(m.trials, trial{id, make(map[string]bool)})
	}
	m.trials[i].heard[from] = true
	return true
}
