package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/node/plane"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
)

// runner makes this node run the cluster's revisions.
type runner struct {
	log   *slog.Logger
	node  string
	view  *observed.View
	plane *plane.Plane // set before anything is run
	// witness says whether this node votes only; set before anything is run.
	witness func() bool

	// applied is told what runs now, before Await answers.
	applied func(rev store.Revision, state desired.State)

	mu      sync.Mutex
	running uint64        // revision that runs; guarded by mu
	tried   uint64        // newest revision that was tried; guarded by mu
	err     error         // why tried does not run; guarded by mu
	changed chan struct{} // closed when any of them changes; guarded by mu
}

func newRunner(log *slog.Logger, node string, v *observed.View, applied func(store.Revision, desired.State)) *runner {
	return &runner{log: log, node: node, view: v, applied: applied, changed: make(chan struct{})}
}

// run applies one revision. A revision that cannot run leaves the one before
// in place, and is reported; the error is kept for Await.
func (r *runner) run(ctx context.Context, rev store.Revision) {
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
		r.log.Error("revision does not run here", "rev", rev.Number, "still", running, "err", err)
	} else {
		r.log.Info("revision runs", "rev", rev.Number, "author", rev.Author, "message", rev.Message)
	}
	r.view.Running(running, err)
}

func (r *runner) apply(ctx context.Context, rev store.Revision) error {
	cfg, findings := r.compile(revisionFile(rev.Number), rev.Text)
	if err := findings.Err(); err != nil {
		return err
	}
	state := desired.For(cfg)
	if err := r.plane.Apply(ctx, state); err != nil {
		return err
	}
	r.applied(rev, state)
	return nil
}

// compile reads a document as this node runs it: as a witness nothing of it but
// the settings of the cluster.
func (r *runner) compile(file, text string) (*config.Config, config.Findings) {
	return config.CompileWith(syntax.Parse(file, text), config.Options{Node: r.node, Witness: r.witness()})
}

// stop lets go of everything: the node has left its cluster.
func (r *runner) stop(ctx context.Context) error {
	r.mu.Lock()
	r.running, r.tried, r.err = 0, 0, nil
	r.mu.Unlock()
	r.view.Running(0, nil)
	return r.plane.Apply(ctx, desired.State{})
}

// Prepare implements api.Runner. An interface or program that is missing here
// stops the commit: it would go wrong on this node at once.
func (r *runner) Prepare(_ context.Context, file, text string) config.Findings {
	cfg, findings := r.compile(file, text)
	if findings.Err() != nil {
		return findings
	}
	return config.CheckOnNode(cfg, config.Machine{}, true)
}

// Await implements api.Runner.
func (r *runner) Await(ctx context.Context, revision uint64) (uint64, error) {
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

// follow runs each revision that the cluster commits, until ctx is done.
func (r *runner) follow(ctx context.Context, revisions *store.Revisions) error {
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

// fromCache runs the revision that this node ran last, without asking anybody.
func (r *runner) fromCache(ctx context.Context, cached func() (store.Revision, error)) {
	switch rev, err := cached(); {
	case err == nil:
		r.run(ctx, rev)
	case errors.Is(err, store.ErrNoRevision):
	default:
		r.log.Error("cached revision cannot be used; waiting for the cluster's", "err", err)
	}
}

func revisionFile(number uint64) string { return fmt.Sprintf("revision-%d", number) }
