package vrrp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// ErrStopped says that the engine has ended.
var ErrStopped = errors.New("vrrp engine has stopped")

// Engine runs units on this machine: it is the shell around Unit. All of its
// state is in one loop, which belongs to whoever has the turn: Run when the
// alarm has gone off, the reader of a socket when packets have come, and the
// caller of a method. One goroutine with a queue would be simpler, but a backup
// wakes for each advert, and to hand it from one goroutine to another costs
// more than to judge it.
//
// The functions in Options are called by whoever has the turn. They must not
// block, and must not call a method of the engine other than Status.
type Engine struct {
	turn    chan struct{} // holds one value while somebody has the turn
	loop    *loop
	readers sync.WaitGroup // one for each socket

	published atomic.Pointer[[]UnitStatus]
}

// NewEngine returns an engine without units. Nothing but Run makes time pass
// for it.
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
	if opts.Clock == nil {
		opts.Clock = kclock.Now
	}
	if opts.RenewEvery == 0 {
		opts.RenewEvery = 300 * time.Millisecond
	}
	if opts.Lease == 0 {
		opts.Lease = time.Second
	}
	e := &Engine{turn: make(chan struct{}, 1)}
	e.loop = newLoop(&opts, &e.published, func(s *openSocket) {
		e.readers.Go(func() { e.read(s) })
	})
	return e, nil
}

// Run drives the units until ctx is done, then says goodbye for each MASTER,
// removes what it held, and returns the cause. It may be called once, and
// closes the alarm.
func (e *Engine) Run(ctx context.Context) error {
	alarm := e.loop.opts.Alarm
	stop := context.AfterFunc(ctx, func() { _ = alarm.Close() }) // wakes Wait
	defer stop()
	for alarm.Wait() {
		e.take(func(l *loop) {
			l.armed, l.alarmed = time.Time{}, true
		})
	}
	cause := context.Cause(ctx)
	if cause == nil {
		cause = errors.New("vrrp engine: its alarm was closed")
	}
	// Priority 0 lets the backups take over at once, so it must still go out:
	// nothing below asks ctx.
	e.take(func(l *loop) { l.shutdown() })
	e.readers.Wait()
	return cause
}

// take waits for the turn and lets f have it. It says whether the engine still
// runs.
func (e *Engine) take(f func(*loop)) bool {
	e.turn <- struct{}{}
	return e.useTurn(f)
}

// do is take for the methods: it waits no longer than ctx.
func (e *Engine) do(ctx context.Context, f func(*loop)) error {
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !e.useTurn(f) {
		return ErrStopped
	}
	return nil
}

// useTurn calls f, does everything that follows from it, and ends the turn.
func (e *Engine) useTurn(f func(*loop)) bool {
	running := e.loop.wake()
	if running {
		f(e.loop)
		e.loop.finish()
	}
	<-e.turn
	return running
}

// read hands the packets of one socket to their instances, until the socket is
// closed or cannot be read. It owns nothing but the memory of the packets.
func (e *Engine) read(s *openSocket) {
	packets := make([]Packet, batchSize)
	for {
		n, err := s.socket.Receive(packets)
		e.turn <- struct{}{} // as take does, but without a closure for each packet
		running := e.loop.wake()
		if running {
			e.loop.receive(s, packets[:n], err)
			e.loop.finish()
		}
		<-e.turn
		if !running || err != nil {
			return
		}
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

// SetKin replaces what is known of the members of the cluster. Without it nobody
// is a stranger.
func (e *Engine) SetKin(ctx context.Context, k Kin) error {
	return e.do(ctx, func(l *loop) { l.setKin(k) })
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
