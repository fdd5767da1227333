package director

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
)

// Table takes what is wanted in the kernel; lvs.Reconciler is one. Its methods
// must not block.
type Table interface {
	Set(lvs.Desired)
	Put(...lvs.Service)
}

// Checks takes what shall be checked; check.Scheduler is one. Set must not block.
type Checks interface {
	Set([]check.Spec)
}

// Options are what a Director works with. All but Tell are required.
type Options struct {
	Log   *slog.Logger
	Table Table
	// RunScript runs a notify script; those with the same key, the name of a
	// service, in this order. It must not block; run.Queue.Put does not.
	RunScript func(key string, script run.Command)
	// Tell is told each change from the goroutine of Run; it must not block.
	Tell func(Change)
}

// ErrNotRunning is what Status returns after Run has returned.
var ErrNotRunning = errors.New("the director does not run")

// Director keeps virtual services as their real servers are.
type Director struct {
	opts    Options
	inbox   *inbox
	queries chan func()   // run on Run's goroutine
	done    chan struct{} // closed when Run returns
	core    *core         // of Run's goroutine
}

// New returns a Director that touches nothing before something was applied.
func New(opts Options) *Director {
	if opts.Tell == nil {
		opts.Tell = func(Change) {}
	}
	return &Director{
		opts:    opts,
		inbox:   newInbox(),
		queries: make(chan func()),
		done:    make(chan struct{}),
		core:    newCore(),
	}
}

// Apply says what is wanted from now on, all of it; d must be valid (Validate),
// and nobody may change it afterwards. It does not block.
func (d *Director) Apply(desired Desired) { d.inbox.apply(desired) }

// Hold says which addresses this node holds now, for ha_suspend; before the first
// word it holds none. It does not block.
func (d *Director) Hold(held map[netip.Addr]bool) { d.inbox.hold(held) }

// Override says which weights people gave by hand, all of them; nobody may change it
// afterwards. It does not block.
func (d *Director) Override(byHand Overrides) { d.inbox.override(byHand) }

// Hear says what other directors see of servers, all of it, for Desired.Agree; nobody
// may change it afterwards. It does not block.
func (d *Director) Hear(others map[ServerKey]Others) { d.inbox.hear(others) }

// Report takes a verdict of a check: it is the Report of the scheduler that Run
// is given. It does not block. Of verdicts that come faster than they are taken,
// the newest of each check counts.
func (d *Director) Report(v check.Verdict) { d.inbox.report(v) }

// Status is how the services stand, in their order.
func (d *Director) Status(ctx context.Context) ([]ServiceStatus, error) {
	return ask(ctx, d, (*core).status)
}

// Look is what the checks of this node say of its real servers now. Asked are servers
// that shall be in it also when they are up.
func (d *Director) Look(ctx context.Context, asked map[ServerKey]bool) (Sight, error) {
	return ask(ctx, d, func(c *core) Sight { return c.sight(asked) })
}

// ask asks the core between its steps.
func ask[T any](ctx context.Context, d *Director, question func(*core) T) (answer T, err error) {
	answered := make(chan T, 1)
	select {
	case d.queries <- func() { answered <- question(d.core) }:
		return <-answered, nil
	case <-d.done:
		return answer, ErrNotRunning
	case <-ctx.Done():
		return answer, context.Cause(ctx)
	}
}

// Run directs until ctx is done; then it tells what omega wants told, and leaves
// the table as it is. checks reports to Report. It is called once.
func (d *Director) Run(ctx context.Context, checks Checks) error {
	defer close(d.done)
	for {
		select {
		case <-ctx.Done():
			d.tell(d.core.farewell(time.Now()))
			return context.Cause(ctx)
		case query := <-d.queries:
			query()
		case <-d.inbox.wake:
			d.carryOut(d.core.step(time.Now(), d.inbox.take()), checks)
		}
	}
}

// carryOut hands on what follows from news: first to the kernel.
func (d *Director) carryOut(o orders, checks Checks) {
	switch {
	case o.table != nil:
		d.opts.Table.Set(*o.table)
	case len(o.put) > 0:
		d.opts.Table.Put(o.put...)
	}
	if o.checks != nil {
		checks.Set(*o.checks)
	}
	d.tell(o.changes)
}

// tell logs changes, runs their scripts and hands them on.
func (d *Director) tell(changes []Change) {
	for _, c := range changes {
		attrs := []any{"service", c.Service, "weight", c.Weight, "reason", c.Reason}
		if c.Server.IsValid() {
			attrs = append(attrs, "real", c.Server)
		}
		d.opts.Log.Info(c.Kind.String(), attrs...)
		if len(c.Script.Argv) > 0 {
			d.opts.RunScript(c.Service, c.Script)
		}
		d.opts.Tell(c)
	}
}
