package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/alert"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/gate"
	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/internal/netif"
	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
	"github.com/hacluster/hacluster/vrrp/track"
)

// plane is the data plane: everything that holds virtual addresses, and that
// goes on when all else fails. It takes a desired.State and makes it so.
type plane struct {
	log     *slog.Logger
	kernel  *kernel
	gate    *gate.Gate // nil: there is none
	leases  bool       // units of policy quorum hold by the event Lease
	monitor *netif.Monitor
	alarm   *kclock.Timerfd
	engine  *vrrp.Engine
	tracker *track.Tracker
	notify  *notifier
	alerts  *alert.Desk

	applying sync.Mutex    // one Apply at a time
	state    desired.State // what was applied last; guarded by applying
	specs    latest[[]vrrp.UnitSpec]

	legacy    legacy // of the process before; taken up by the first apply
	recovered bool   // that process died; for the first apply as well

	rest func() // tells the supervisor that the engine has ended

	linkUp chan struct{} // a link came up: static addresses may have gone with it

	hooks planeHooks

	linkMu sync.Mutex
	links  map[string]bool // which exist; nil before the first listing; guarded by linkMu
}

// planeHooks are told what happens, from the engine's goroutine: they must not
// block.
type planeHooks struct {
	publish func([]vrrp.UnitStatus)
	observe func(vrrp.Observation)
	moved   func(vrrp.Transition)
	alert   func(observed.Alert)

	// leases says that an arbiter gives leases to units of policy quorum.
	leases bool
	// links is told by the monitor's goroutine; may be nil.
	links func([]netif.LinkState)
}

func newPlane(o Options, alerts *alert.Desk, will *will, hooks planeHooks) (*plane, error) {
	log := o.Log
	p := &plane{log: log, alerts: alerts, hooks: hooks, leases: hooks.leases, rest: func() { _ = o.Supervisor.Rest() }, monitor: netif.NewMonitor(log.With("component", "netif"))}
	addrs, err := netif.NewAddresses(netif.Options{
		RunDir: o.RunDir,
		Logger: log.With("component", "netif"),
		Foreign: func(a netif.Address) {
			log.Warn("address was there already, and hacluster did not add it", "address", a.Prefix, "iface", a.Interface)
		},
	})
	if err != nil {
		return nil, err
	}
	announcer, err := netif.NewAnnouncer()
	if err != nil {
		return nil, err
	}
	// What an earlier life of this daemon left is not held by this one.
	p.legacy = legacyOf(o)
	p.recovered = o.Supervisor.AfterDeath() || o.Supervisor.Heir() && p.legacy.Format == 0
	left, err := addrs.Scrub(p.legacy.holds)
	if err != nil {
		return nil, fmt.Errorf("remove what an earlier run left: %w", err)
	}
	for _, a := range left {
		log.Warn("removed an address that an earlier run left", "address", a.Prefix, "iface", a.Interface)
	}
	p.kernel = &kernel{addrs: addrs, announce: announcer}
	var (
		engineGate  vrrp.Gate
		gateMissing string
	)
	if p.gate, err = openGate(o, hooks.alert); err != nil {
		log.Warn("there is no kernel gate: a daemon that hangs keeps its addresses until their lifetime ends", "err", err)
		gateMissing = err.Error()
	} else {
		engineGate = kernelGate{p.gate}
	}
	if p.alarm, err = kclock.NewTimerfd(); err != nil {
		return nil, err
	}
	p.notify = newNotifier(log, hooks.moved)
	p.engine, err = vrrp.NewEngine(vrrp.Options{
		Log:       log.With("component", "vrrp"),
		Network:   vrrp.RawNetwork{},
		Kernel:    p.kernel,
		Alarm:     p.alarm,
		Gate:      engineGate,
		Notify:    p.notify.transition,
		NoteLower: p.notify.lowerPriority,
		Observe:   hooks.observe,
		Suspended: kclock.Suspended,
		Will:      will.instance,
		Feed:      o.Supervisor.Feed,
		Publish:   hooks.publish,

		GateMissing: gateMissing,
	})
	if err != nil {
		return nil, err
	}
	p.tracker = track.New(track.Options{
		Logger: log.With("component", "track"),
		Report: func(r vrrp.TrackResult) {
			// The engine that has stopped needs no results.
			_ = p.engine.Deliver(context.Background(), vrrp.Delivery{Events: []vrrp.Event{r}})
		},
	})
	p.linkUp = make(chan struct{}, 1)
	return p, nil
}

// run runs until ctx is done. Addresses are gone and goodbyes said when it
// returns.
func (p *plane) run(ctx context.Context) error {
	defer p.alarm.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := p.engine.Run(ctx)
		p.rest()
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

// takeGateDown removes the gate from the links, if nothing is left behind it.
func (p *plane) takeGateDown() error {
	left, err := p.gate.Slots()
	if err == nil && len(left) == 0 {
		err = p.gate.Remove()
	}
	return errors.Join(err, p.gate.Close())
}

// linksChanged runs on the monitor's goroutine.
func (p *plane) linksChanged(changed []netif.LinkState) {
	p.linkMu.Lock()
	defer p.linkMu.Unlock()
	first := p.links == nil
	if first {
		p.links = make(map[string]bool)
	}
	links := make([]vrrp.Link, 0, len(changed))
	for _, l := range changed {
		p.links[l.Name] = !l.Gone
		links = append(links, vrrp.Link{
			Name:  l.Name,
			Index: l.Index,
			Gone:  l.Gone,
			Up:    l.Up,
			MTU:   l.MTU,
			Addrs: slices.Concat(l.Addrs, l.Leased),
		})
		if l.Up {
			select {
			case p.linkUp <- struct{}{}:
			default: // one request covers all links
			}
		}
	}
	// An engine that has stopped needs no links.
	_ = p.engine.SetLink(context.Background(), links...)
	if p.hooks.links != nil {
		p.hooks.links(changed)
	}
	if first {
		p.tellMissing(p.specs.get())
	}
}

// tellMissing tells the engine of links that units name and that do not exist:
// nobody else would, and the units would wait instead of being FAULT. The
// caller holds linkMu.
func (p *plane) tellMissing(specs []vrrp.UnitSpec) {
	if p.links == nil {
		return // the first listing tells
	}
	missing := make(map[string]vrrp.Link)
	for _, u := range specs {
		for _, i := range u.Instances {
			for _, t := range i.Watches() {
				if name, ok := strings.CutPrefix(t.Key, vrrp.InterfaceKey("")); ok && !p.links[name] {
					missing[name] = vrrp.Link{Name: name, Gone: true}
				}
			}
			if !p.links[i.Interface] {
				missing[i.Interface] = vrrp.Link{Name: i.Interface, Gone: true}
			}
		}
	}
	_ = p.engine.SetLink(context.Background(), slices.Collect(maps.Values(missing))...)
}

// restoreStatic owns no state: it puts back static addresses and routes that
// the kernel removed together with a link. It ends with ctx.
func (p *plane) restoreStatic(ctx context.Context) error {
	for {
		select {
		case <-p.linkUp:
		case <-ctx.Done():
			return nil
		}
		p.applying.Lock()
		var err error
		if len(p.state.Addresses)+len(p.state.Routes) > 0 {
			err = p.kernel.setStatic(p.state.Addresses, p.state.Routes)
		}
		p.applying.Unlock()
		if err != nil {
			p.log.Warn("static addresses are not complete", "err", err)
		}
	}
}

// apply makes the node run state. What is equal to what runs already is not
// touched. It returns once the engine has taken it over.
func (p *plane) apply(ctx context.Context, state desired.State) error {
	p.applying.Lock()
	defer p.applying.Unlock()

	if err := checkRival(state); err != nil {
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
	p.alerts.Set(state)
	if err := p.kernel.setStatic(state.Addresses, state.Routes); err != nil {
		// A missing interface must not keep the virtual addresses from moving.
		p.log.Warn("static addresses are not complete", "err", err)
	}
	specs := make([]vrrp.UnitSpec, len(state.Units))
	for i, u := range state.Units {
		specs[i] = u.Spec
		specs[i].KernelLease, specs[i].LeaseTime = u.SplitBrain.Gate(p.leases), u.SplitBrain.Lease
	}
	err = p.engine.Apply(ctx, specs, vrrp.ApplyOptions{
		StartupDelay: state.Daemon.StartupDelay, Heritage: p.legacy.heritage(), Recovered: p.recovered,
	})
	if err != nil {
		return err
	}
	p.specs.set(specs)
	p.legacy.Format, p.recovered = 0, false // a unit that comes later has no past
	p.linkMu.Lock()
	p.tellMissing(specs)
	p.linkMu.Unlock()
	p.tracker.Set(scripts)
	p.state = state
	return nil
}

// withoutMissing leaves out the health scripts whose program does not exist, as
// keepalived does: nobody can tell how healthy the machine is, so it is not
// taken for sick.
func (p *plane) withoutMissing(state desired.State) desired.State {
	var missing []string
	for _, s := range state.Scripts {
		if program := s.Command.Argv[0]; !(config.Machine{}).HasProgram(program) {
			p.log.Warn("script is not tracked: its program does not exist", "script", s.Name, "program", program)
			missing = append(missing, s.Name)
		}
	}
	return state.Without(missing...)
}

func trackScripts(state desired.State) ([]track.Script, error) {
	var out []track.Script
	for _, s := range state.Scripts {
		user, err := run.Account(s.Command.User.Name, s.Command.User.Group)
		if err != nil {
			return nil, fmt.Errorf("vrrp_script %s: %w", s.Name, err)
		}
		out = append(out, track.Script{
			Name:     s.Name,
			Command:  run.Command{Argv: s.Command.Argv, User: user, Secure: state.Daemon.EnableScriptSecurity},
			Interval: s.Interval,
			Timeout:  s.Timeout,
			Rise:     s.Rise,
			Fall:     s.Fall,
			InitFail: s.InitFail,
		})
	}
	return out, nil
}
