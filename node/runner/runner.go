package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
)

// Options are what a Runner works with. All are required.
type Options struct {
	Log  *slog.Logger
	Node string
	View *observed.View
	// Apply makes the data plane run a state; vrrp.ErrStopped: it has ended.
	Apply func(ctx context.Context, state desired.State) error
	// Witness says whether this node votes only.
	Witness func() bool
	// Runs is told what runs now, after Running says so and before Await answers.
	Runs func(rev store.Revision, state desired.State)
}

// Running is the configuration that runs, with what is looked up in it often.
type Running struct {
	Revision uint64 // 0: none
	State    desired.State
	UnitOf   map[string]string // the unit of each instance
}

// Runner makes this node run the cluster's revisions.
type Runner struct {
	o   Options
	now atomic.Pointer[Running]

	mu      sync.Mutex
	running uint64        // revision that runs; guarded by mu
	tried   uint64        // newest revision that was tried; guarded by mu
	err     error         // why tried does not run; guarded by mu
	changed chan struct{} // closed when any of them changes; guarded by mu
}

// New returns a runner that runs nothing.
func New(o Options) *Runner {
	r := &Runner{o: o, changed: make(chan struct{})}
	r.now.Store(&Running{})
	return r
}

// Running is what runs now. Nobody changes what it refers to.
func (r *Runner) Running() Running { return *r.now.Load() }

// run applies one revision. A revision that cannot run leaves the one before
// in place, and is reported; the error is kept for Await.
func (r *Runner) run(ctx context.Context, rev store.Revision) {
	err := r.apply(ctx, rev)
	if errors.Is(err, vrrp.ErrStopped) {
		return // the node ends; the revision is the next start's
	}
	r.mu.Lock()
	r.tried, r.err = rev.Number, err
	if err == nil {
		r.running = rev.Number
	}
	running := r.running
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()

	if err != nil {
		r.o.Log.Error("revision does not run here", "rev", rev.Number, "still", running, "err", err)
	} else {
		r.o.Log.Info("revision runs", "rev", rev.Number, "author", rev.Author, "message", rev.Message)
	}
	r.o.View.Running(running, err)
}

func (r *Runner) apply(ctx context.Context, rev store.Revision) error {
	cfg, findings := r.Compile(revisionFile(rev.Number), rev.Text)
	if err := findings.Err(); err != nil {
		return err
	}
	state := desired.For(cfg)
	if err := r.o.Apply(ctx, state); err != nil {
		return err
	}
	r.now.Store(&Running{rev.Number, state, state.UnitOf()})
	r.o.Runs(rev, state)
	return nil
}

// Compile reads a document as this node runs it: as a witness nothing of it but
// the settings of the cluster.
func (r *Runner) Compile(file, text string) (*config.Config, config.Findings) {
	return config.CompileWith(syntax.Parse(file, text), config.Options{Node: r.o.Node, Witness: r.o.Witness()})
}

// Stop lets go of everything: the node has left its cluster.
func (r *Runner) Stop(ctx context.Context) error {
	r.mu.Lock()
	r.running, r.tried, r.err = 0, 0, nil
	r.mu.Unlock()
	r.o.View.Running(0, nil)
	r.now.Store(&Running{})
	return r.o.Apply(ctx, desired.State{})
}

// Idle lets go of everything while f runs, and for good when that succeeds.
func (r *Runner) Idle(ctx context.Context, f func() error) error {
	before := r.Running().State
	if err := r.o.Apply(ctx, desired.State{}); err != nil {
		return err
	}
	err := f()
	if err != nil {
		err = errors.Join(err, r.o.Apply(context.WithoutCancel(ctx), before))
	}
	return err
}

// Prepare implements api.Runner. An interface or program that is missing here
// stops the commit: it would go wrong on this node at once.
func (r *Runner) Prepare(_ context.Context, file, text string) config.Findings {
	cfg, findings := r.Compile(file, text)
	if findings.Err() != nil {
		return findings
	}
	return config.CheckOnNode(cfg, config.Machine{}, true)
}

// Await implements api.Runner.
func (r *Runner) Await(ctx context.Context, revision uint64) (uint64, error) {
	for {
		r.mu.Lock()
		running, tried, err, changed := r.running, r.tried, r.err, r.changed
		r.mu.Unlock()
		switch {
		case running >= revision:
			return running, nil
		case tried >= revision && err != nil:
			return running, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return running, context.Cause(ctx)
		}
	}
}

// Follow runs each revision that the cluster commits, until ctx is done.
func (r *Runner) Follow(ctx context.Context, revisions *store.Revisions) error {
	r.mu.Lock()
	after := r.running
	r.mu.Unlock()
	for {
		rev, err := revisions.Watch(ctx, after)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("watch revisions: %w", err)
		}
		after = rev.Number
		r.run(ctx, rev)
	}
}

// FromCache runs the revision that this node ran last, without asking anybody.
func (r *Runner) FromCache(ctx context.Context, cached func() (store.Revision, error)) {
	switch rev, err := cached(); {
	case err == nil:
		r.run(ctx, rev)
	case errors.Is(err, store.ErrNoRevision):
	default:
		r.o.Log.Error("cached revision cannot be used; waiting for the cluster's", "err", err)
	}
}

func revisionFile(number uint64) string { return fmt.Sprintf("revision-%d", number) }
