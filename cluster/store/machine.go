package store

import (
	"encoding/json"
	"fmt"
)

// Machine is one part of the replicated state. Apply, Snapshot and Restore are
// called by one goroutine; what a machine offers for reading locks.
type Machine interface {
	// Name is the machine's name in commands and snapshots.
	Name() string
	// Commands returns the highest version that Apply knows of each command.
	Commands() map[string]uint8
	// Apply carries out a command that Commands lists. It must depend on nothing
	// but the state and the command: every node comes to the same result. An
	// error that is a *Refusal is an answer, and the state is as before. Any other
	// error is a defect, and halts the store.
	Apply(cmd Command) (result []byte, err error)
	// Snapshot returns the whole state.
	Snapshot() ([]byte, error)
	// Restore replaces the state with one that Snapshot returned.
	Restore(data []byte) error
}

// Code says why a command was refused.
type Code string

// Refusal is a command's answer when the state does not allow it. All nodes come
// to the same one, and it travels between nodes unchanged.
type Refusal struct {
	Code    Code
	Message string
	Detail  json.RawMessage `json:",omitempty"` // as defined by the code
}

func (r *Refusal) Error() string { return r.Message }

// refuse makes a Refusal; detail may be nil.
func refuse(code Code, detail any, format string, args ...any) error {
	r := &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
	if detail != nil {
		raw, err := json.Marshal(detail)
		if err != nil {
			panic(fmt.Sprintf("store: detail of %s: %v", code, err))
		}
		r.Detail = raw
	}
	return r
}
