package balance

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/internal/stages"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/lvs/ipvs"
	"github.com/hacluster/hacluster/vrrp"
)

// session is the load balancer over an open table, until its end.
type session struct {
	o        Options
	ctx      context.Context // done when it shall end, or a part has failed
	ended    <-chan struct{} // of ctx
	parts    *stages.Stages
	kernel   Kernel
	table    *lvs.Reconciler
	director *director.Director
	scripts  *run.Queue

	status   atomic.Pointer[lvs.Status] // of the table, published last; nil: not yet
	clearing atomic.Bool                // nothing is wanted any more
	cleared  chan struct{}              // gets one token when the table holds nothing of ours since

	// What was brought last; of Balancer.Run's goroutine.
	wanted   *Wanted
	sync     []lvs.SyncDaemon
	held     map[netip.Addr]bool
	byHand   director.Overrides
	others   map[director.ServerKey]director.Others
	timeouts ipvs.Timeouts
}

// newSession starts everything; it directs nothing yet.
func newSession(ctx context.Context, o Options, kernel Kernel, tell *teller) *session {
	s := &session{o: o, kernel: kernel, scripts: run.NewQueue(o.Log.With("component", "notify")), cleared: make(chan struct{}, 1)}
	log := o.Log.With("component", "lvs")
	s.table = lvs.New(lvs.Options{
		Log: log, Kernel: kernel, RunDir: o.RunDir,
		Publish: func(st lvs.Status) {
			s.status.Store(&st)
			tell.refused(st.Refused)
			if s.clearing.Load() && st.Services == 0 && len(st.Draining) == 0 && st.Err == nil {
				select {
				case s.cleared <- struct{}{}:
				default: // it is known already
				}
			}
		},
	})
	s.director = director.New(director.Options{Log: log, Table: s.table, RunScript: s.scripts.Put, Tell: tell.change})
	checks := check.NewScheduler(check.Options{Report: s.director.Report, Random: rand.Float64(), Logger: log})
	s.parts, s.ctx = stages.New(ctx)
	s.ended = s.ctx.Done()
	// The first one ends last.
	s.parts.Start(s.ctx, s.clear, s.table.Run)
	s.parts.Start(s.ctx, nil, checks.Run)
	s.parts.Start(s.ctx, nil, func(ctx context.Context) error { return s.director.Run(ctx, checks) })
	return s
}

// bring makes wanted run, with the units, the weights given by hand and what other
// directors see as they are.
func (s *session) bring(wanted *Wanted, units []vrrp.UnitStatus, byHand director.Overrides, others map[director.ServerKey]director.Others) {
	master, held := roles(units)
	sync := wanted.balance.SyncDaemons(master[wanted.balance.Sync.Instance])
	for _, addr := range wanted.unmanaged {
		held[addr] = true
	}
	if !maps.Equal(held, s.held) {
		s.held = held
		s.director.Hold(held)
	}
	if !maps.EqualFunc(byHand, s.byHand, maps.Equal) {
		s.byHand = byHand
		s.director.Override(byHand)
	}
	if !maps.Equal(others, s.others) {
		s.others = others
		s.director.Hear(others)
	}
	if wanted != s.wanted || !slices.Equal(sync, s.sync) {
		d := wanted.desired
		if s.wanted == nil {
			d = s.o.Before.mark(d) // the director remembers it
		}
		d.Sync = sync
		s.director.Apply(d)
		s.wanted, s.sync = wanted, sync
	}
	if wanted.timeouts != s.timeouts {
		s.timeouts = wanted.timeouts
		if err := s.kernel.SetTimeouts(s.timeouts); err != nil {
			s.o.Log.Error("lvs_timeouts are not set", "err", err)
		}
	}
}

// roles are which instances are MASTER, and which addresses are held by them.
func roles(units []vrrp.UnitStatus) (master map[string]bool, held map[netip.Addr]bool) {
	master, held = make(map[string]bool), make(map[netip.Addr]bool)
	for i := range units {
		for _, inst := range units[i].Instances {
			if inst.State != vrrp.Master {
				continue
			}
			master[inst.Name] = true
			for _, a := range inst.Addresses {
				held[a.Addr()] = true
			}
		}
	}
	return master, held
}

const (
	// clearTimeout bounds the wait for the table to hold nothing of ours.
	clearTimeout = 3 * time.Second
	// scriptTimeout bounds the wait for scripts of the last changes.
	scriptTimeout = 5 * time.Second
)

// clear takes everything out of the table. Nobody else wants anything of it any
// more: the director has ended.
func (s *session) clear() {
	s.clearing.Store(true)
	s.table.Set(lvs.Desired{})
	select {
	case <-s.cleared:
	case <-time.After(clearTimeout):
		s.o.Log.Error("virtual services may be left in the kernel", "waited", clearTimeout)
	}
}

// end ends everything. The table holds nothing of ours when it returns.
func (s *session) end() error {
	err := s.parts.End(context.Cause(s.ctx))
	last, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	return errors.Join(err, s.scripts.Close(last), s.kernel.Close())
}
