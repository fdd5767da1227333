package run

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"time"
)

// Command is one program to run.
type Command struct {
	Argv    []string      // program and arguments; a program without a slash is looked up in Path
	Env     []string      // added to the clean environment, KEY=VALUE
	User    *User         // nil: the daemon's own
	Timeout time.Duration // TERM to the group after it, KILL 2 s later; 0: none
	Secure  bool          // refuse what CheckSecure refuses
}

// User is the account under which a program runs.
type User struct {
	Name   string
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary
}

// Outcome says how a run ended.
type Outcome uint8

// Outcomes.
const (
	Exited       Outcome = iota // Status counts
	Killed                      // by Signal, not by us
	TimedOut                    // by us, after Timeout
	Cancelled                   // by us, because the context was done
	LaunchFailed                // never ran; Err says why
)

// Result is how one run ended.
type Result struct {
	Outcome   Outcome
	Status    int
	Signal    syscall.Signal
	Err       error
	Took      time.Duration
	Output    string // standard output and error, the first 4 KiB
	Truncated bool
}

// OK reports whether the program ran and exited with status 0.
func (r Result) OK() bool { return r.Outcome == Exited && r.Status == 0 }

// Run runs the program and waits for its end.
func Run(ctx context.Context, c Command) Result {
	return Result{Outcome: LaunchFailed, Err: errors.ErrUnsupported}
}

// LookupUser finds an account by name; an empty group is the user's own.
func LookupUser(user, group string) (*User, error) { return nil, errors.ErrUnsupported }

// CheckSecure reports why a program that runs as root is not safe: a component
// of its path that somebody else may change (keepalived's
// enable_script_security).
func CheckSecure(path string) error { return errors.ErrUnsupported }

// Queue runs commands in the order given for each key, each exactly once while
// the process lives.
type Queue struct{ log *slog.Logger }

// NewQueue returns an empty queue.
func NewQueue(log *slog.Logger) *Queue { return &Queue{log: log} }

// Put adds a command and returns at once.
func (q *Queue) Put(key string, c Command) {}

// Close waits until all is run, or kills what runs when ctx is done and drops
// the rest. Put does nothing afterwards.
func (q *Queue) Close(ctx context.Context) error { return errors.ErrUnsupported }

// NotifyArgs are the arguments that keepalived appends to a `notify` script:
// INSTANCE or GROUP, name, state, priority.
func NotifyArgs(group bool, name, state string, priority int) []string { return nil }
