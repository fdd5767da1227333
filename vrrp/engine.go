package vrrp

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrStopped says that the engine has ended.
var ErrStopped = errors.New("vrrp engine has stopped")

// Engine runs units on this machine: it is the shell around Unit. One
// goroutine, that of Run, owns all units, sockets and the alarm; each socket
// has one more, which only reads.
//
// The methods may be called from any goroutine but that of Run: the functions
// in Options must not call them.
type Engine struct {
	opts     Options
	requests chan func(*loop) // filled by the methods, unbuffered: they wait their turn
	inbox    chan *batch      // filled by the sockets' readers, who wait when it is full
	stopped  chan struct{}    // closed when Run has returned

	published atomic.Pointer[[]UnitStatus]
}

// NewEngine returns an engine without units. Run makes it work.
func NewEngine(opts Options) (*Engine, error) {
	switch {
	case opts.Log == nil:
		return nil, errors.New("vrrp engine: Options.Log is required")
	case opts.Network == nil:
		return nil, errors.New("vrrp engine: Options.Network is required")
	case opts.Kernel == nil:
		return nil, errors.New("vrrp engine: Options.Kernel is required")
	case opts.Alarm == nil:
		return nil, errors.New("vrrp engine: Options.Alarm is required")
	case opts.RenewEvery < 0 || opts.Lease < 0:
		return nil, fmt.Errorf("vrrp engine: Options.RenewEvery %v and Lease %v must not be negative", opts.RenewEvery, opts.Lease)
	}
	if opts.RenewEvery == 0 {
		opts.RenewEvery = 300 * time.Millisecond
	}
	if opts.Lease == 0 {
		opts.Lease = time.Second
	}
	return &Engine{
		opts:     opts,
		requests: make(chan func(*loop)),
		inbox:    make(chan *batch, inboxSize),
		stopped:  make(chan struct{}),
	}, nil
}

// Run drives the units until ctx is done, then says goodbye for each MASTER,
// removes what it held, and returns the cause. It may be called once.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.stopped)
	l := newLoop(&e.opts, e.inbox, &e.published)
	defer l.closeSockets()

	for {
		select {
		case <-e.opts.Alarm.C():
			l.armed = time.Time{}
			l.refresh()
		case b := <-e.inbox:
			l.refresh()
			l.receive(b)
		case request := <-e.requests:
			l.refresh()
			request(l)
		case <-ctx.Done():
			// Priority 0 lets the backups take over at once, so it must still
			// go out: nothing below asks ctx.
			l.refresh()
			l.shutdown(context.Cause(ctx))
			return context.Cause(ctx)
		}
		// What is known must be heard before a timer is believed.
		l.drain()
		l.settle()
		l.publish()
		l.arm()
	}
}

// do lets the engine's goroutine call f, and waits until everything that
// follows from it has been done.
func (e *Engine) do(ctx context.Context, f func(*loop)) error {
	done := make(chan struct{})
	request := func(l *loop) {
		f(l)
		l.settle()
		l.publish()
		close(done)
	}
	select {
	case e.requests <- request:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.stopped:
		return ErrStopped
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Apply makes the engine run exactly the given units. A unit whose spec is
// equal to the present one is not touched. One that differs is changed in
// place while its instances keep name, interface, family, VRID, group and
// unicast source; otherwise it says goodbye and starts anew. An error means
// that nothing was changed.
func (e *Engine) Apply(ctx context.Context, specs []UnitSpec, opts ApplyOptions) error {
	if err := checkSpecs(specs); err != nil {
		return err
	}
	return e.do(ctx, func(l *loop) { l.apply(specs, opts) })
}

// Deliver gives events to units: verdicts and results of trackers. A unit that
// does not exist (any more) is passed over. Link states are given to SetLink.
func (e *Engine) Deliver(ctx context.Context, deliveries ...Delivery) error {
	return e.do(ctx, func(l *loop) { l.deliver(deliveries) })
}

// SetLink replaces what is known of interfaces. It is a level: repeating it
// changes nothing. From it follow the results of "interface:NAME" trackers,
// the source addresses, the sockets, and whether a claimed address is still
// there.
func (e *Engine) SetLink(ctx context.Context, links ...Link) error {
	return e.do(ctx, func(l *loop) {
		for _, link := range links {
			l.setLink(link)
		}
	})
}

// Status returns what was published last: exact in all but counters and the
// time of the last advert. Nobody may change the slice.
func (e *Engine) Status() []UnitStatus {
	if s := e.published.Load(); s != nil {
		return *s
	}
	return nil
}

// Snapshot asks the engine for its present state, counters included.
func (e *Engine) Snapshot(ctx context.Context) ([]UnitStatus, error) {
	var statuses []UnitStatus
	err := e.do(ctx, func(l *loop) {
		l.soilAll()
		statuses = l.statuses()
	})
	return statuses, err
}
