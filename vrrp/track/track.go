package track

import (
	"context"
	"log/slog"
	"time"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/vrrp"
)

// Script is one vrrp_script. Weights belong to those that track it.
type Script struct {
	Name     string
	Command  run.Command   // its Timeout is ignored in favour of the one below
	Interval time.Duration // at least 1 ms
	Timeout  time.Duration // 0: Interval
	Rise     int           // successes needed to go up; 0: 1
	Fall     int           // failures needed to go down; 0: 1
	InitFail bool          // down until Rise successes, instead of unknown until the first result
}

// Key is the key of the script's results: script:NAME.
func (s Script) Key() string { return "script:" + s.Name }

// Options are the settings of a Tracker.
type Options struct {
	// Report is called on each change, from the script's goroutine. Required.
	Report func(vrrp.TrackResult)
	// Run runs one check; run.Run if nil.
	Run    func(context.Context, run.Command) run.Result
	Logger *slog.Logger
}

// Tracker runs scripts.
type Tracker struct{ o Options }

// New returns a Tracker without scripts.
func New(o Options) *Tracker { return &Tracker{o: o} }

// Set makes the scripts that run what is given. A script that is given again
// unchanged keeps its state and its rhythm. It may be called before Run and
// from any goroutine.
func (t *Tracker) Set(scripts []Script) {}

// Run runs the scripts until ctx is done, then waits for their end.
func (t *Tracker) Run(ctx context.Context) error { return ctx.Err() }
