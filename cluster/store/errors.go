package store

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNotLeader is the answer to an operation that only the leader carries out.
	ErrNotLeader = errors.New("this node is not the leader")
	// ErrNoLeader says that no leader is known: there is no majority, or an
	// election is under way. Nothing was changed.
	ErrNoLeader = errors.New("no leader: no majority of the voters can be reached")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrDiskStalled says that a write to the disk took longer than allowed. The
	// store has stopped, and comes back by itself when the write has ended.
	ErrDiskStalled = errors.New("the disk did not complete a write in time: this node has no vote until it does")
	// ErrNoRevision says that the number names no revision in the history.
	ErrNoRevision = errors.New("no such revision")
)

// UnknownOutcomeError says that a command was handed over and no answer came in
// time: it may have been carried out, or may still be. Asking again with the
// same request id is safe.
type UnknownOutcomeError struct {
	RequestID string // empty for what may be asked again as it is, such as a removal
	Err       error
}

func (e *UnknownOutcomeError) Error() string {
	if e.RequestID == "" {
		return fmt.Sprintf("outcome unknown: %v", e.Err)
	}
	return fmt.Sprintf("outcome unknown (request %s): %v", e.RequestID, e.Err)
}

func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// UnknownCommandError says that a command is not known to this program. When the
// command came from a newer node, the local state is halted until this node is
// upgraded; nothing was misapplied.
type UnknownCommandError struct {
	Command string
	Known   uint8 // highest known version; 0 when the name is unknown
}

func (e *UnknownCommandError) Error() string {
	return fmt.Sprintf("command %s is unknown to this version of haclusterd (it knows version %d): upgrade this node", e.Command, e.Known)
}

// ConflictError says that a revision was proposed on a base that is no longer
// the current revision.
type ConflictError struct {
	Base, Current uint64
	Author        string    // of the current revision
	Time          time.Time // of the current revision
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("revision %d is based on %d, but %s committed revision %d at %s meanwhile",
		e.Base+1, e.Base, e.Author, e.Current, e.Time.UTC().Format(time.RFC3339))
}

// TooOldError says that a revision is no longer in the history.
type TooOldError struct {
	Number, Oldest uint64
}

func (e *TooOldError) Error() string {
	return fmt.Sprintf("revision %d is no longer kept; the oldest kept is %d", e.Number, e.Oldest)
}
