package supervisor

import (
	"log/slog"
	"os"
	"time"
)

// Options are what a supervisor works with. Log is required.
type Options struct {
	// Program is what the worker runs; default: the program of this process,
	// whatever has become of its file.
	Program string
	Args    []string // of the worker, its own name first; default: those of this process

	Log *slog.Logger

	// Signals are handed on to the worker; TERM and INT end the supervisor with
	// it.
	Signals <-chan os.Signal

	// OpenGate opens the kernel gate when the worker asks for it first. Nil:
	// there is none.
	OpenGate func() (Gate, error)

	// AdoptGate is OpenGate with the files of the gate that an earlier program
	// in this process has opened; they are closed.
	AdoptGate func([]*os.File) (Gate, error)

	// Notify tells systemd (sd_notify(3)); default: nobody is told.
	Notify func(state string) error
	// Watchdog is how often systemd wants to hear that the supervisor lives; it
	// is told three times as often. 0: never. That the worker lives is the
	// supervisor's business.
	Watchdog time.Duration

	// Idle is the limit of silence of a worker whose will sets none; 0: 10 s. It
	// counts from the first feed: a start takes as long as it takes.
	Idle time.Duration
}

// Gate is the kernel gate, which outlives the worker.
type Gate interface {
	// CloseAll closes all slots and reads back that they are closed. They are
	// memory that the kernel reads: it takes effect at once, and fails only when
	// somebody opens one again.
	CloseAll() error
	// Files are for the worker, which renews the gate by them; the caller closes
	// them.
	Files() ([]*os.File, error)
}

// Times of a supervisor.
const (
	defaultIdle  = 10 * time.Second
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 10 * time.Second
	steadyAfter  = time.Minute // a life that long was no failed start
	reapWithin   = 2 * time.Second
	reapEvery    = 100 * time.Millisecond

	// Words are said wordsTimes within wordsSpan: datagrams get lost.
	wordsTimes = 3
	wordsSpan  = 100 * time.Millisecond
)

func (o Options) withDefaults() Options {
	if o.Program == "" {
		o.Program = "/proc/self/exe"
	}
	if o.Args == nil {
		o.Args = os.Args
	}
	if o.Notify == nil {
		o.Notify = func(string) error { return nil }
	}
	if o.Idle == 0 {
		o.Idle = defaultIdle
	}
	return o
}
