package run

import (
	"fmt"
	"syscall"
	"time"
)

// Path is where programs named without a slash are looked up, and the PATH
// that they get.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// OutputLimit is how much of a program's output is kept.
const OutputLimit = 4 << 10

// killDelay is the time between TERM and KILL.
const killDelay = 2 * time.Second

// reapDelay is how long the end of a killed program is waited for. One that
// hangs in the kernel ends later, or never.
const reapDelay = time.Second

// Command is one program to run.
type Command struct {
	Argv    []string      // program and arguments; a program without a slash is looked up in Path
	Input   []byte        // for its standard input; nil: there is nothing to read
	Env     []string      // added to the clean environment, KEY=VALUE
	User    *User         // nil: the daemon's own
	Timeout time.Duration // TERM to the group after it, KILL 2 s later; 0: none
	Secure  bool          // if it runs as root, refuse what CheckSecure refuses
}

// User is the account under which a program runs.
type User struct {
	Name   string
	Home   string
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
	Output    string // standard output and error, the first OutputLimit bytes
	Truncated bool
}

// OK reports whether the program ran and exited with status 0.
func (r Result) OK() bool { return r.Outcome == Exited && r.Status == 0 }

// String says how the run ended, for people: "exit status 1".
func (r Result) String() string {
	switch r.Outcome {
	case Exited:
		return fmt.Sprintf("exit status %d", r.Status)
	case Killed:
		return "killed by " + r.Signal.String()
	case TimedOut:
		return fmt.Sprintf("timed out after %s", r.Took.Round(time.Millisecond))
	case Cancelled:
		return "cancelled"
	case LaunchFailed:
		return fmt.Sprintf("not started: %v", r.Err)
	default:
		panic(fmt.Sprintf("run: outcome %d", r.Outcome))
	}
}
