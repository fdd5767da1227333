package lvs

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/hacluster/hacluster/internal/journal"
)

// Options are what a Reconciler works with. Log, Kernel and RunDir are required.
type Options struct {
	Log    *slog.Logger
	Kernel Kernel
	// RunDir is where the journal of what is ours is kept: a directory that does
	// not outlive a boot.
	RunDir string
	// ReadEvery is the time between two readings of the whole table, which find
	// what others changed; 0: a minute.
	ReadEvery time.Duration
	// Publish gets the status after each pass. It must not block, and nobody may
	// change the slices.
	Publish func(Status)
}

const (
	defaultReadEvery = time.Minute
	// drainPoll is the time between two looks at the connections of servers that
	// are on their way out.
	drainPoll = time.Second
	// What was refused is tried again at once, for it may have been a race with
	// somebody else, and from then on after a second, two, four and so on.
	retryFirst, retryLast = time.Second, 30 * time.Second
)

// ErrNotRunning is what State returns after Run has returned.
var ErrNotRunning = errors.New("the reconciler does not run")

// Reconciler makes the kernel's table what was last wanted, and keeps it so.
type Reconciler struct {
	opts    Options
	inbox   *inbox
	queries chan query
	done    chan struct{} // closed when Run returns

	// All below belongs to Run's goroutine.
	journal  *journal.Journal[Entry]
	started  bool // something was wanted: before that nothing is touched
	want     map[Key]*Service
	wantSync []SyncDaemon
	limit    time.Duration // Desired.Drain
	have     table
	haveSync []SyncDaemon
	drains   drains
	failing  map[Key]bool // was put: of these servers go because they do not serve
	foreign  map[Key][]Entry
	dirty    map[Key]bool // to be compared; the zero Key stands for the daemons
	stale    map[Key]bool // to be read before that
	setbacks map[Key]setback
	readAt   time.Time // when all is read next
	failures int       // exchanges in a row that failed
	status   Status
}

// setback is a service, or with the zero Key the daemons, of which something was
// refused.
type setback struct {
	Refusal
	attempts int
	retry    time.Time
}

type query struct {
	ctx   context.Context
	keys  []Key
	reply chan<- answer
}

type answer struct {
	states []ServiceState
	err    error
}

// New returns a Reconciler that knows what earlier processes with the same run
// directory made. It touches nothing before Set and Run were called.
func New(opts Options) *Reconciler {
	if opts.ReadEvery == 0 {
		opts.ReadEvery = defaultReadEvery
	}
	j, err := journal.Open(filepath.Join(opts.RunDir, journalName), parseEntry)
	if err != nil {
		opts.Log.Warn("journal of virtual services cannot be read: what an earlier process made counts as foreign", "err", err)
	}
	return &Reconciler{
		opts:     opts,
		inbox:    newInbox(),
		queries:  make(chan query),
		done:     make(chan struct{}),
		journal:  j,
		want:     make(map[Key]*Service),
		have:     make(table),
		drains:   make(drains),
		failing:  make(map[Key]bool),
		foreign:  make(map[Key][]Entry),
		dirty:    make(map[Key]bool),
		stale:    make(map[Key]bool),
		setbacks: make(map[Key]setback),
	}
}

// Set says what is wanted from now on, all of it; d must be valid (Validate), and
// nobody may change it afterwards. It does not block.
func (r *Reconciler) Set(d Desired) { r.inbox.set(d) }

// Put replaces services of what is wanted, as when checks change weights: it
// costs as much as these services. A server that is not in one any more does not
// serve, so it goes at once, whatever Desired.Drain says. A service that is not wanted
// stays so. It does not block.
func (r *Reconciler) Put(services ...Service) { r.inbox.put(services) }

// State reads services from the kernel, all if no key is named.
func (r *Reconciler) State(ctx context.Context, keys ...Key) ([]ServiceState, error) {
	reply := make(chan answer, 1)
	select {
	case r.queries <- query{ctx, keys, reply}:
	case <-r.done:
		return nil, ErrNotRunning
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	a := <-reply // it reads with ctx, so it answers in time
	return a.states, a.err
}

// Run keeps the table until ctx is done, and leaves it as it is then. It is
// called once.
func (r *Reconciler) Run(ctx context.Context) error {
	defer close(r.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case q := <-r.queries:
			states, err := r.opts.Kernel.Read(q.ctx, q.keys...)
			q.reply <- answer{states, err}
			continue
		case <-r.inbox.wake:
		case <-timer.C:
		}
		r.take()
		if r.started {
			r.pass(ctx, time.Now())
			timer.Reset(time.Until(r.next(time.Now())))
		}
	}
}

// take notes what is wanted now, and what must be compared for it.
func (r *Reconciler) take() {
	whole, changed := r.inbox.take()
	if whole != nil {
		r.started = true
		before := r.want
		r.want = make(map[Key]*Service, len(whole.Services))
		for i := range whole.Services {
			s := &whole.Services[i]
			r.want[s.Key] = s
			if old := before[s.Key]; old == nil || !old.equal(s) {
				r.mark(s.Key)
				delete(r.failing, s.Key)
			}
		}
		for k := range before {
			if r.want[k] == nil {
				r.mark(k)
				r.stale[k] = true // others may have put servers into it, which would go with it
			}
		}
		r.wantSync, r.limit = whole.Sync, whole.Drain
		r.mark(Key{})
	}
	for k, s := range changed {
		if r.want[k] != nil {
			r.want[k] = &s
			r.mark(k)
			if whole == nil { // else it cannot be told apart what goes why
				r.failing[k] = true
			}
		}
	}
}

// mark has a service compared at once, whatever was refused of it before.
func (r *Reconciler) mark(k Key) {
	r.dirty[k] = true
	delete(r.setbacks, k)
}

// next is when the next pass is due.
func (r *Reconciler) next(now time.Time) time.Time {
	at := r.readAt
	if r.failures > 0 {
		return at
	}
	sooner := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	for k, going := range r.drains {
		if _, refused := r.setbacks[k]; refused {
			continue // waits for its retry
		}
		sooner(now.Add(drainPoll))
		for _, due := range going {
			sooner(due)
		}
	}
	for _, s := range r.setbacks {
		sooner(s.retry)
	}
	return at
}
