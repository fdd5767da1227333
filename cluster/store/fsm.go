package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"
)

// reply is the answer to a command, as the state keeps it and as it travels from
// the leader to a follower.
type reply struct {
	Index   uint64   // of the command in the log
	Data    []byte   `json:",omitempty"`
	Refusal *Refusal `json:",omitempty"`
}

// fsm is the adapter between Raft and the machines. Raft calls Apply, Snapshot
// and Restore from one goroutine; the mutex is for the readers of applied and
// halted.
//
// The state outlives a Raft whose disk failed. Raft then begins anew with a snapshot
// that may be older than the state, and with commands that are in it already. Both
// are passed over: what was once carried out was committed, so it is the same again.
// A snapshot may for that reason hold more than the log index that Raft names it by.
type fsm struct {
	machines map[string]Machine
	requests requests // touched by Raft's goroutine only
	log      *slog.Logger

	mu      sync.Mutex
	applied uint64        // index of the last command in the state
	moved   chan struct{} // closed and replaced when applied or halted changes
	halted  error         // why the state stands still; nil while it does not
}

func newFSM(machines []Machine, log *slog.Logger) *fsm {
	f := &fsm{machines: make(map[string]Machine), moved: make(chan struct{}), log: log}
	for _, m := range machines {
		f.machines[m.Name()] = m
	}
	return f
}

// check says whether this program can carry out the command.
func (f *fsm) check(cmd Command) error {
	var known uint8
	if m, ok := f.machines[cmd.Machine]; ok {
		known = m.Commands()[cmd.Name]
	}
	if cmd.Version == 0 || cmd.Version > known {
		return &UnknownCommandError{Command: cmd.String(), Known: known}
	}
	return nil
}

// Apply implements raft.FSM.
func (f *fsm) Apply(entry *raft.Log) any {
	if err := f.haltReason(); err != nil {
		return err
	}
	if applied, _, _ := f.position(); entry.Index <= applied {
		return reply{Index: entry.Index} // nobody waits for it
	}
	answer, err := f.apply(entry)
	if err != nil {
		// The other nodes may have carried this command out. To go on without it
		// would give this node another state than theirs.
		err = fmt.Errorf("raft index %d: %w", entry.Index, err)
		f.log.Error("state halted", "index", entry.Index, "err", err)
		f.advance(0, err)
		return err
	}
	f.advance(entry.Index, nil)
	return answer
}

func (f *fsm) apply(entry *raft.Log) (reply, error) {
	cmd, err := DecodeCommand(entry.Data)
	if err != nil {
		return reply{}, err
	}
	if err := f.check(cmd); err != nil {
		return reply{}, err
	}
	if answer, ok := f.requests.find(cmd); ok {
		return answer, nil
	}
	answer := reply{Index: entry.Index}
	answer.Data, err = f.machines[cmd.Machine].Apply(cmd)
	if err != nil {
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok {
			return reply{}, err
		}
		answer.Refusal = refusal
	}
	f.requests.add(cmd, answer)
	return answer, nil
}

// advance publishes the index of the last command in the state, or why there will
// be no other.
func (f *fsm) advance(index uint64, halted error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if halted != nil {
		f.halted = halted
	} else {
		f.applied = index
	}
	close(f.moved)
	f.moved = make(chan struct{})
}

func (f *fsm) haltReason() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.halted
}

// position returns the last applied command, a channel that is closed when there
// is news, and why there will be no other command.
func (f *fsm) position() (applied uint64, moved <-chan struct{}, halted error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied, f.moved, f.halted
}

// snapshotFormat is raised when an older program could misread a snapshot.
const snapshotFormat = 1

// snapshot is the whole state.
type snapshot struct {
	Format   int
	Applied  uint64
	Requests []request
	Machines map[string]json.RawMessage
}

// Snapshot implements raft.FSM.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	applied, _, halted := f.position()
	if halted != nil {
		// A snapshot would let Raft drop the commands that an upgraded program can
		// still carry out.
		return nil, fmt.Errorf("state is halted: %w", halted)
	}
	s := snapshot{
		Format: snapshotFormat, Applied: applied, Requests: f.requests.list,
		Machines: make(map[string]json.RawMessage, len(f.machines)),
	}
	for name, m := range f.machines {
		data, err := m.Snapshot()
		if err != nil {
			return nil, fmt.Errorf("snapshot of %s: %w", name, err)
		}
		s.Machines[name] = data
	}
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	return encodedSnapshot(data), nil
}

// Restore implements raft.FSM.
func (f *fsm) Restore(from io.ReadCloser) error {
	defer from.Close()
	var s snapshot
	if err := json.NewDecoder(from).Decode(&s); err != nil {
		return fmt.Errorf("decode snapshot: %w", err)
	}
	if s.Format != snapshotFormat {
		return fmt.Errorf("snapshot has format %d; this version of haclusterd knows %d: upgrade this node", s.Format, snapshotFormat)
	}
	if applied, _, _ := f.position(); applied > 0 && s.Applied <= applied {
		return nil
	}
	for name := range s.Machines {
		if f.machines[name] == nil {
			return fmt.Errorf("snapshot holds %q, which this version of haclusterd does not know: upgrade this node", name)
		}
	}
	for name, m := range f.machines {
		data, ok := s.Machines[name]
		if !ok {
			continue // made by a program that did not have this machine yet
		}
		if err := m.Restore(data); err != nil {
			return fmt.Errorf("restore %s: %w", name, err)
		}
	}
	f.requests.restore(s.Requests)
	f.mu.Lock()
	f.halted = nil
	f.mu.Unlock()
	f.advance(s.Applied, nil)
	return nil
}

// encodedSnapshot is a snapshot ready to be written.
type encodedSnapshot []byte

// Persist implements raft.FSMSnapshot.
func (s encodedSnapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (encodedSnapshot) Release() {}
