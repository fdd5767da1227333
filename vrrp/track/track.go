package track

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/vrrp"
)

// Script is one vrrp_script. Weights belong to those that track it.
type Script struct {
	Name     string
	Command  run.Command   // its Timeout is replaced by the one below
	Interval time.Duration // above 0
	Timeout  time.Duration // 0: Interval
	Rise     int           // successes needed to go up; 0: 1
	Fall     int           // failures needed to go down; 0: 1
	InitFail bool          // down until Rise successes, instead of unknown until the first result
}

// Key is the key of the script's results: script:NAME.
func (s Script) Key() string { return "script:" + s.Name }

func (s Script) command() run.Command {
	c := s.Command
	c.Timeout = s.Timeout
	if c.Timeout <= 0 {
		c.Timeout = s.Interval
	}
	return c
}

// Options are the settings of a Tracker.
type Options struct {
	// Report is called on each change, and once more for each script that Set
	// adds or changes, from the script's goroutine. Required.
	Report func(vrrp.TrackResult)
	// Run runs one check; run.Run if nil.
	Run    func(context.Context, run.Command) run.Result
	Logger *slog.Logger // required
}

// Tracker runs scripts.
type Tracker struct {
	o      Options
	wanted chan []Script // mailbox: the newest replaces what was not read
	mu     sync.Mutex    // orders writers of wanted
}

// New returns a Tracker without scripts.
func New(o Options) *Tracker {
	if o.Run == nil {
		o.Run = run.Run
	}
	return &Tracker{o: o, wanted: make(chan []Script, 1)}
}

// Set makes the scripts that run what is given, with unique names. A script
// that is given again unchanged keeps its state and its rhythm; one of which
// only times, rise or fall changed keeps its state. It may be called before Run
// and from any goroutine, and does not wait.
func (t *Tracker) Set(scripts []Script) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.wanted:
	default:
	}
	t.wanted <- scripts
}

// spread is the time between the first runs of two scripts, so that a hundred
// do not start at once and then meet again each second.
const spread = 5 * time.Millisecond

// runner is one script that runs.
type runner struct {
	script Script
	cancel context.CancelFunc
	ended  chan Damper // its state, when it has ended
}

// Run runs the scripts until ctx is done, then waits for their end. It owns the
// set of runners.
func (t *Tracker) Run(ctx context.Context) error {
	runners := map[string]*runner{}
	for {
		select {
		case scripts := <-t.wanted:
			t.reconcile(ctx, runners, scripts)
		case <-ctx.Done():
			for _, r := range runners {
				<-r.ended
			}
			return context.Cause(ctx)
		}
	}
}

// reconcile ends what is not wanted and starts what is new.
func (t *Tracker) reconcile(ctx context.Context, runners map[string]*runner, scripts []Script) {
	keep := map[string]Script{}
	for _, s := range scripts {
		keep[s.Name] = s
	}
	states := map[string]Damper{}
	for name, r := range runners {
		s, wanted := keep[name]
		if wanted && reflect.DeepEqual(s, r.script) {
			continue
		}
		r.cancel()
		state := <-r.ended
		delete(runners, name)
		if wanted && reflect.DeepEqual(s.Command, r.script.Command) {
			states[name] = state
		}
	}
	delay := time.Duration(0)
	for _, s := range scripts {
		if runners[s.Name] != nil {
			continue
		}
		damper, kept := states[s.Name]
		if kept {
			damper.Set(s.Rise, s.Fall)
		} else {
			damper = NewDamper(s.Rise, s.Fall, s.InitFail)
		}
		runCtx, cancel := context.WithCancel(ctx)
		r := &runner{script: s, cancel: cancel, ended: make(chan Damper, 1)}
		runners[s.Name] = r
		// Runs one script, and ends with runCtx.
		go func(delay time.Duration) { r.ended <- t.follow(runCtx, s, damper, delay) }(min(delay, s.Interval))
		delay += spread
	}
}

// follow runs a script at its interval. A run that takes longer than that is
// not doubled: the next one begins at the next multiple of the interval.
func (t *Tracker) follow(ctx context.Context, s Script, d Damper, delay time.Duration) Damper {
	log := t.o.Logger.With("script", s.Name)
	if up, known := d.Up(); known {
		t.o.Report(vrrp.TrackResult{Key: s.Key(), Up: up, Reason: "no result yet"})
	}
	next := time.Now().Add(delay)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return d
		}
		result := t.o.Run(ctx, s.command())
		if ctx.Err() != nil {
			return d // the result is of our own making
		}
		if !result.OK() {
			log.Debug("check failed", "result", result.String(), "output", result.Output)
		}
		if d.Add(result.OK()) {
			up, _ := d.Up()
			log.Info("check changed", "up", up, "reason", result.String(), "output", result.Output)
			t.o.Report(vrrp.TrackResult{Key: s.Key(), Up: up, Reason: result.String()})
		}
		late := time.Since(next)
		next = next.Add(s.Interval * (1 + late/s.Interval))
		timer.Reset(time.Until(next))
	}
}
