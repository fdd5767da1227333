package check

import (
	"container/heap"
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"
)

// Spec is one check that shall run.
type Spec struct {
	Key     string // unique; stays the same while the check changes
	Checker Checker
	Settings
	// Suspended stops attempts and keeps the verdict (ha_suspend).
	Suspended bool
}

// Verdict is what is held of a check's target.
type Verdict struct {
	Key   string
	Up    bool
	Known bool // attempts decided it; false: assumed, see Settings.Alpha
	// Weight is the newest that an attempt asked for since the check began.
	Weight Weight
	Reason string
	At     time.Time // when it became so
}

// DefaultLimit and DefaultProgramLimit are how many attempts run at once where
// Options do not say. At the first, with a connect_timeout of 5 s, 3,200 checks
// per second may hang on servers that are silent before others are late; each of
// them takes a descriptor and about 10 KB.
const (
	DefaultLimit        = 16384
	DefaultProgramLimit = 256
)

// Options are the settings of a Scheduler.
type Options struct {
	// Report is called with each new verdict from the goroutine of Run, in
	// order; it must not block. A check that Set adds, or gives another
	// Checker, is reported at once, not known. Required.
	Report func(Verdict)
	// Limit bounds the attempts that are under way, ProgramLimit those among
	// them that are programs. 0: the defaults.
	Limit, ProgramLimit int
	// Random is a number in [0, 1): where the spread of the checks begins.
	Random float64
	// Started, if set, is told how late each attempt starts, from the
	// goroutine of Run; it must not block.
	Started func(key string, late time.Duration)
	Logger  *slog.Logger // required
}

// Scheduler runs checks.
type Scheduler struct {
	o      Options
	wanted chan []Spec // mailbox: the newest replaces what was not read
	mu     sync.Mutex  // orders writers of wanted

	// Of the goroutine of Run.
	entries  map[string]*entry
	turns    turns
	lanes    [2]lane
	finished chan *attempt // filled by attempts, each once; Run reads until all have ended
	spread   float64
}

// NewScheduler returns a Scheduler without checks.
func NewScheduler(o Options) *Scheduler {
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	if o.ProgramLimit <= 0 {
		o.ProgramLimit = DefaultProgramLimit
	}
	return &Scheduler{
		o:        o,
		wanted:   make(chan []Spec, 1),
		entries:  make(map[string]*entry),
		lanes:    [2]lane{{limit: o.Limit}, {limit: o.ProgramLimit}},
		finished: make(chan *attempt, 64),
		spread:   o.Random,
	}
}

// Set makes the checks that run what is given. One that is given again unchanged
// keeps its verdict and its rhythm; one with other settings keeps its verdict;
// one with another Checker, or after suspension, keeps its verdict in doubt:
// not known until attempts have decided anew. What is not given any more ends,
// an attempt under way too, and nothing is reported of it. Set may be called
// before Run and from any goroutine, and does not wait; the slice is the
// scheduler's from then on.
func (s *Scheduler) Set(specs []Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.wanted:
	default:
	}
	s.wanted <- specs
}

// entry is one check.
type entry struct {
	spec    Spec
	lane    *lane
	damper  damper
	weight  Weight
	due     time.Time // of the next attempt
	turn    time.Time // of the rhythm: due but for retries
	index   int       // in turns; -1: not there
	waiting bool      // in its lane for others to end
	void    bool      // the last attempt could not be made
	attempt *attempt  // under way
}

// attempt is one that is under way, or has ended.
type attempt struct {
	entry  *entry
	lane   *lane
	cancel context.CancelFunc
	result Result
}

// Run runs the checks until ctx is done, then waits for the end of all attempts.
func (s *Scheduler) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		s.startDue(ctx, time.Now())
		var due <-chan time.Time // nil, so never ready, when there is nothing to do
		if len(s.turns) > 0 {
			timer.Reset(time.Until(s.turns[0].due))
			due = timer.C
		}
		select {
		case <-due:
		case a := <-s.finished:
			s.finish(ctx, a, time.Now())
		case specs := <-s.wanted:
			s.reconcile(time.Now(), specs)
		case <-ctx.Done():
		}
	}
	for left := s.lanes[0].running + s.lanes[1].running; left > 0; left-- {
		<-s.finished
	}
	return context.Cause(ctx)
}

// startDue starts what is due, as far as there is room.
func (s *Scheduler) startDue(ctx context.Context, now time.Time) {
	for len(s.turns) > 0 && !s.turns[0].due.After(now) {
		e := heap.Pop(&s.turns).(*entry)
		e.waiting = true
		e.lane.queue = append(e.lane.queue, e)
	}
	for i := range s.lanes {
		l := &s.lanes[i]
		for l.running < l.limit && len(l.queue) > 0 {
			e := l.queue[0]
			l.queue[0] = nil
			l.queue = l.queue[1:]
			if e.waiting && e.lane == l {
				s.start(ctx, e, now)
			}
		}
	}
}

func (s *Scheduler) start(ctx context.Context, e *entry, now time.Time) {
	if s.o.Started != nil {
		s.o.Started(e.spec.Key, now.Sub(e.due))
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{entry: e, lane: e.lane, cancel: cancel}
	e.waiting, e.attempt = false, a
	a.lane.running++
	checker := e.spec.Checker
	// Makes one attempt, and ends with it.
	go func() {
		a.result = checker.Check(ctx)
		cancel()
		s.finished <- a
	}()
}

// finish takes the result of an attempt, unless that was cancelled: its check is
// gone, suspended or another one by now, or the scheduler ends.
func (s *Scheduler) finish(ctx context.Context, a *attempt, now time.Time) {
	a.lane.running--
	e := a.entry
	if e.attempt != a || ctx.Err() != nil {
		return
	}
	e.attempt = nil
	r := a.result
	if r.Void {
		s.nothingFound(e, r, now)
		s.nextTurn(e, now)
		return
	}
	e.void = false
	wasUp := e.damper.up
	changed, again := e.damper.add(r.Up)
	if r.Up && r.Weight.Op != WeightKeep && r.Weight != e.weight {
		e.weight, changed = r.Weight, true
	}
	s.log(e, r, wasUp)
	if changed {
		s.report(e, r.Reason, now)
	}
	if again {
		s.schedule(e, now.Add(e.spec.DelayBeforeRetry))
		return
	}
	s.nextTurn(e, now)
}

// nothingFound keeps the verdict in doubt, and says so once.
func (s *Scheduler) nothingFound(e *entry, r Result, now time.Time) {
	if e.void {
		return
	}
	e.void = true
	e.damper.doubt()
	s.o.Logger.Warn("check cannot be made", "check", e.spec.Key, "reason", r.Reason)
	s.report(e, r.Reason, now)
}

// nextTurn schedules the next attempt of the rhythm. A turn that the last one ran
// over is left out.
func (s *Scheduler) nextTurn(e *entry, now time.Time) {
	e.turn = e.turn.Add(e.spec.DelayLoop * (1 + now.Sub(e.turn)/e.spec.DelayLoop))
	s.schedule(e, e.turn)
}

// log writes what an attempt found, if it is news.
func (s *Scheduler) log(e *entry, r Result, wasUp bool) {
	attrs := []any{"check", e.spec.Key, "reason", r.Reason}
	switch {
	case e.damper.up != wasUp:
		s.o.Logger.Info("check changed", append(attrs, "up", e.damper.up)...)
	case !r.Up && wasUp && e.spec.LogAllFailures:
		s.o.Logger.Info("check failed", attrs...)
	case !r.Up:
		s.o.Logger.Debug("check failed", attrs...)
	}
}

func (s *Scheduler) report(e *entry, reason string, now time.Time) {
	s.o.Report(Verdict{Key: e.spec.Key, Up: e.damper.up, Known: e.damper.known, Weight: e.weight, Reason: reason, At: now})
}

// reconcile ends what is not wanted, changes what is, and begins what is new.
func (s *Scheduler) reconcile(now time.Time, specs []Spec) {
	keep := make(map[string]bool, len(specs))
	for _, spec := range specs {
		if spec.DelayLoop <= 0 {
			spec.DelayLoop = DefaultDelayLoop
		}
		keep[spec.Key] = true
		if e, ok := s.entries[spec.Key]; ok {
			s.change(e, spec, now)
		} else {
			s.begin(spec, now)
		}
	}
	for key, e := range s.entries {
		if !keep[key] {
			s.stop(e)
			delete(s.entries, key)
		}
	}
}

func (s *Scheduler) begin(spec Spec, now time.Time) {
	e := &entry{spec: spec, lane: s.lane(spec.Checker), damper: newDamper(spec.Settings), index: -1}
	s.entries[spec.Key] = e
	s.report(e, spec.Checker.String()+": not checked yet", now)
	s.warmUp(e, now)
}

func (s *Scheduler) change(e *entry, spec Spec, now time.Time) {
	old := e.spec
	other := !reflect.DeepEqual(spec.Checker, old.Checker)
	if !other && spec.Settings == old.Settings && spec.Suspended == old.Suspended {
		return
	}
	e.spec = spec
	e.damper.set(spec.Settings)
	if other {
		e.lane, e.weight, e.void = s.lane(spec.Checker), Weight{}, false
		e.damper.doubt()
		s.report(e, spec.Checker.String()+": not checked yet since the check was changed", now)
	}
	switch {
	case spec.Suspended && !old.Suspended:
		s.stop(e)
		e.damper.doubt()
		s.report(e, spec.Checker.String()+": suspended, not checked", now)
	case other || old.Suspended:
		s.stop(e)
		s.warmUp(e, now)
	case spec.DelayLoop != old.DelayLoop && e.index >= 0:
		s.warmUp(e, now)
	}
}

// stop ends an attempt under way and takes the check out of its turns.
func (s *Scheduler) stop(e *entry) {
	if e.index >= 0 {
		heap.Remove(&s.turns, e.index)
	}
	e.waiting = false
	if e.attempt != nil {
		e.attempt.cancel()
		e.attempt = nil
	}
}

// golden is the fractional part of the golden ratio. Multiples of it fill the
// circle evenly however many there are.
const golden = 0.6180339887498949

// warmUp begins the rhythm of a check, at a place of its own.
func (s *Scheduler) warmUp(e *entry, now time.Time) {
	if e.spec.Suspended {
		return
	}
	if s.spread += golden; s.spread >= 1 {
		s.spread--
	}
	e.turn = now.Add(time.Duration(s.spread * float64(e.spec.Warmup)))
	s.schedule(e, e.turn)
}

// schedule sets when the next attempt is due.
func (s *Scheduler) schedule(e *entry, due time.Time) {
	e.due = due
	if e.index >= 0 {
		heap.Fix(&s.turns, e.index)
		return
	}
	heap.Push(&s.turns, e)
}
