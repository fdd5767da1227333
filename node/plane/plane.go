package plane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/alert"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/gate"
	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/internal/netif"
	"github.com/hacluster/hacluster/internal/supervisor"
	"github.com/hacluster/hacluster/node/rival"
	"github.com/hacluster/hacluster/node/will"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
	"github.com/hacluster/hacluster/vrrp/track"
)

// Options are what a data plane works with. Supervisor, Will, Alerts and the
// functions but for Links are required. The functions must not block: they are
// called by the engine's goroutine, Links by the monitor's.
type Options struct {
	Log        *slog.Logger
	RunDir     string
	Supervisor *supervisor.Worker
	Will       *will.Will
	Alerts     *alert.Desk // is told whom the configuration names

	// Legacy is what the process before handed over; Inherited says that it did so,
	// also when that is not understood.
	Legacy    Legacy
	Inherited bool

	// Leases says that an arbiter gives leases to units of policy quorum.
	Leases bool

	Publish func([]vrrp.UnitStatus)
	Observe func(vrrp.Observation)
	Moved   func(vrrp.Transition)
	Alert   func(observed.Alert)
	Links   func([]netif.LinkState) // nil: nobody is told
}

// Plane is the data plane: everything that holds virtual addresses, and that
// goes on when all else fails. It takes a desired.State and makes it so.
type Plane struct {
	Engine *vrrp.Engine

	o       Options
	kernel  *kernel
	gate    *gate.Gate // nil: there is none
	monitor *netif.Monitor
	alarm   *kclock.Timerfd
	tracker *track.Tracker
	notify  *notifier

	applying  sync.Mutex    // one Apply at a time
	state     desired.State // what was applied last; guarded by applying
	legacy    Legacy        // of the process before; taken up by the first Apply
	recovered bool          // that process died; for the first Apply as well

	specs atomic.Pointer[[]vrrp.UnitSpec] // that run

	linkUp chan struct{} // a link came up: static addresses may have gone with it

	linkMu sync.Mutex
	links  map[string]bool // which exist; nil before the first listing; guarded by linkMu
}

// New makes a data plane that runs nothing. What an earlier life of the daemon left
// on this machine, and did not hand over, is gone when it returns.
func New(o Options) (*Plane, error) {
	p := &Plane{
		o: o, legacy: o.Legacy, linkUp: make(chan struct{}, 1), monitor: netif.NewMonitor(o.Log.With("component", "netif")),
		recovered: o.Supervisor.AfterDeath() || o.Supervisor.Heir() && !o.Legacy.counts(),
	}
	p.specs.Store(&[]vrrp.UnitSpec{})
	if err := p.openKernel(); err != nil {
		return nil, err
	}
	missing := p.openGate()
	var err error
	if p.alarm, err = kclock.NewTimerfd(); err != nil {
		return nil, err
	}
	p.notify = newNotifier(o.Log, o.Moved)
	p.Engine, err = vrrp.NewEngine(vrrp.Options{
		Log:       o.Log.With("component", "vrrp"),
		Network:   vrrp.RawNetwork{},
		Kernel:    p.kernel,
		Alarm:     p.alarm,
		Gate:      p.engineGate(),
		Notify:    p.notify.transition,
		NoteLower: p.notify.lowerPriority,
		Observe:   o.Observe,
		Suspended: kclock.Suspended,
		Will:      o.Will.Instance,
		Feed:      o.Supervisor.Feed,
		Publish:   o.Publish,

		GateMissing: missing,
	})
	if err != nil {
		return nil, err
	}
	p.tracker = track.New(track.Options{
		Logger: o.Log.With("component", "track"),
		Report: func(r vrrp.TrackResult) {
			// The engine that has stopped needs no results.
			_ = p.Engine.Deliver(context.Background(), vrrp.Delivery{Events: []vrrp.Event{r}})
		},
	})
	return p, nil
}

// openKernel opens what writes addresses and announces them, and removes what an
// earlier life of this daemon left: it is not held by this one.
func (p *Plane) openKernel() error {
	log := p.o.Log
	addrs, err := netif.NewAddresses(netif.Options{
		RunDir: p.o.RunDir,
		Logger: log.With("component", "netif"),
		Foreign: func(a netif.Address) {
			log.Warn("address was there already, and hacluster did not add it", "address", a.Prefix, "iface", a.Interface)
		},
	})
	if err != nil {
		return err
	}
	announcer, err := netif.NewAnnouncer()
	if err != nil {
		return err
	}
	left, err := addrs.Scrub(p.legacy.holds)
	if err != nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	for _, a := range left {
		log.Warn("removed an address that an earlier run left", "address", a.Prefix, "iface", a.Interface)
	}
	p.kernel = &kernel{addrs: addrs, announce: announcer}
	return nil
}

// Run runs until ctx is done. Addresses are gone and goodbyes said when it
// returns.
func (p *Plane) Run(ctx context.Context) error {
	defer p.alarm.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := p.Engine.Run(ctx)
		_ = p.o.Supervisor.Rest() // the engine has ended: nothing more is renewed
		return err
	})
	group.Go(func() error { return p.tracker.Run(ctx) })
	group.Go(func() error { return p.monitor.Run(ctx, p.linksChanged) })
	group.Go(func() error { return p.restoreStatic(ctx) })
	if p.gate != nil {
		group.Go(func() error { return p.gate.Run(ctx) })
	}
	err := group.Wait()
	if p.gate != nil {
		err = errors.Join(err, p.takeGateDown())
	}

	// Scripts of the last transitions may still run.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, p.notify.close(last), p.kernel.addrs.Close())
}

// Apply makes the node run state. What is equal to what runs already is not
// touched. It returns once the engine has taken it over.
func (p *Plane) Apply(ctx context.Context, state desired.State) error {
	p.applying.Lock()
	defer p.applying.Unlock()

	if err := rival.Check(state); err != nil {
		return err
	}
	state = p.withoutMissing(state)
	scripts, err := trackScripts(state)
	if err != nil {
		return err
	}
	if err := p.notify.set(state); err != nil {
		return err
	}
	p.o.Alerts.Set(state)
	if err := p.kernel.setStatic(state.Addresses, state.Routes); err != nil {
		// A missing interface must not keep the virtual addresses from moving.
		p.o.Log.Warn("static addresses are not complete", "err", err)
	}
	specs := make([]vrrp.UnitSpec, len(state.Units))
	for i, u := range state.Units {
		specs[i] = u.Spec
		specs[i].KernelLease, specs[i].LeaseTime = u.SplitBrain.Gate(p.o.Leases), u.SplitBrain.Lease
	}
	err = p.Engine.Apply(ctx, specs, vrrp.ApplyOptions{
		StartupDelay: state.Daemon.StartupDelay, Heritage: p.legacy.heritage(), Recovered: p.recovered,
	})
	if err != nil {
		return err
	}
	p.legacy.Format, p.recovered = 0, false // a unit that comes later has no past
	p.specs.Store(&specs)
	p.linkMu.Lock()
	p.tellMissing()
	p.linkMu.Unlock()
	p.tracker.Set(scripts)
	p.state = state
	return nil
}

// HasGate reports whether this machine has a kernel gate.
func (p *Plane) HasGate() bool { return p.gate != nil }

// Guard gives the addresses that this machine may have only while it holds them.
func (p *Plane) Guard(addrs map[netip.Addr]string) { p.kernel.guard(addrs) }

// Evict removes guarded addresses that are not held.
func (p *Plane) Evict() ([]netif.Evicted, error) { return p.kernel.evict() }

// Gateway is where the default route on an interface leads.
func (p *Plane) Gateway(iface string, f netif.Family) (netip.Addr, error) {
	return p.kernel.gateway(iface, f)
}

// Dump writes the state of the units to the log.
func (p *Plane) Dump(ctx context.Context) {
	units, err := p.Engine.Snapshot(ctx)
	if err != nil {
		p.o.Log.Error("state is not known", "err", err)
		return
	}
	text, err := json.Marshal(units)
	if err != nil {
		p.o.Log.Error("state cannot be written", "err", err)
		return
	}
	p.o.Log.Info("state", "units", string(text))
}
