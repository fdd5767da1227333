package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hacluster/hacluster/alert"
	"github.com/hacluster/hacluster/api"
	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/stages"
	"github.com/hacluster/hacluster/internal/version"
	"github.com/hacluster/hacluster/lvs/ipvs"
	"github.com/hacluster/hacluster/node/balance"
	"github.com/hacluster/hacluster/node/examine"
	"github.com/hacluster/hacluster/node/plane"
	"github.com/hacluster/hacluster/node/will"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/override"
	"github.com/hacluster/hacluster/vrrp"
)

// standalone runs the document of one machine, as keepalived does.
type standalone struct {
	o     Options
	plane *plane.Plane
	lb    *balance.Balancer
	runs  atomic.Pointer[document] // nil: none does yet
}

// document is what runs, and its text.
type document struct {
	state desired.State
	text  string
}

// now is what runs.
func (s *standalone) now() document {
	if d := s.runs.Load(); d != nil {
		return *d
	}
	return document{}
}

func (s *standalone) running() desired.State { return s.now().state }

func runStandalone(ctx context.Context, o Options) error {
	lock, err := cluster.LockDir(o.DataDir, os.Getppid())
	if err != nil {
		return err
	}
	defer lock.Close()
	s := &standalone{o: o}
	state, text, err := s.load()
	if err == nil {
		err = o.aloneWith(state)
	}
	if err != nil {
		return err
	}
	socket, err := api.Listen(filepath.Join(o.RunDir, "api.sock"))
	if err != nil {
		return err
	}
	started := time.Now()
	v := observed.NewView(o.Log, observed.Node{Name: o.Name, Version: version.Version, Started: started}, true)
	before := legacyOf(o)
	s.lb = balance.New(balance.Options{Log: o.Log, Node: o.Name, RunDir: o.RunDir, Record: v.Record, Alert: v.Alert, Before: before.Known})
	byHand, err := override.NewAlone(o.DataDir, s.lb.Override)
	if err != nil {
		o.Log.Warn("real servers have their configured weights", "err", err)
	}
	server := api.New(api.Options{
		Node:        o.Name,
		Started:     started,
		Version:     version.Version,
		Commit:      version.Commit,
		Logger:      o.Log.With("component", "api"),
		Hub:         v.Hub,
		Examiner:    &examine.Examiner{Node: o.Name, State: s.running, Plane: func() *plane.Plane { return s.plane }},
		Services:    s.lb.Services,
		Table:       s.lb.Table,
		Connections: ipvs.Connections,
		Overrides:   func() []override.Override { return byHand.State().Overrides },
		Apply:       byHand.Apply,
		Restart:     o.Supervisor.Restart,
		Standalone:  func() (file, text string) { return o.Standalone, s.now().text },
	})
	alerts := alert.NewDesk(o.Log, v.Hub, func(observed.Alert) bool { return true })
	s.plane, err = plane.New(plane.Options{
		Log: o.Log, RunDir: o.RunDir, Supervisor: o.Supervisor, Will: will.New(o.Log, o.Supervisor), Alerts: alerts,
		Legacy: before.Legacy, Inherited: len(o.Inherited) > 0,
		Publish: func(units []vrrp.UnitStatus) { s.lb.Units(units); v.Units(units) },
		Observe: func(vrrp.Observation) {}, Moved: v.Moved, Alert: v.Alert,
	})
	if err != nil {
		return err
	}
	parts, ctx := stages.New(ctx)
	parts.Start(ctx, nil, func(ctx context.Context) error { return server.Serve(ctx, socket) })
	parts.Start(ctx, nil, alerts.Run)
	parts.Start(ctx, nil, s.lb.Run) // ends when no client comes any more
	parts.Start(ctx, nil, s.plane.Run)
	parts.Start(ctx, nil, func(ctx context.Context) error { return s.serve(ctx, state, text) })
	parts.Start(ctx, nil, func(ctx context.Context) error { return watchForCopies(ctx, o.Name, v, s.own) })
	select {
	case <-ctx.Done():
		return parts.End(context.Cause(ctx))
	case <-o.Supervisor.HandOver():
	}
	l, err := s.plane.Freeze()
	if err != nil {
		return parts.End(err)
	}
	return o.bequeath(legacy{Legacy: l, Known: s.lb.HandOver()}) // and nothing ends but the process
}

// serve runs the document and answers signals.
func (s *standalone) serve(ctx context.Context, state desired.State, text string) error {
	if err := apply(ctx, s.plane, s.lb, state); err != nil {
		return err
	}
	s.runs.Store(&document{state, text})
	s.o.notifySystemd(systemdReady)
	for {
		select {
		case <-s.o.Reload:
			s.o.notifySystemd(systemdReloading)
			s.reload(ctx)
			s.o.notifySystemd(systemdReady)
		case <-s.o.Dump:
			s.plane.Dump(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// reload reads the document again. One that is refused changes nothing.
func (s *standalone) reload(ctx context.Context) {
	state, text, err := s.load()
	if err == nil {
		err = apply(ctx, s.plane, s.lb, state)
	}
	if err != nil {
		s.o.Log.Error("reload refused, the configuration stays as it was", "file", s.o.Standalone, "err", err)
		return
	}
	s.runs.Store(&document{state, text})
	s.o.Log.Info("reloaded", "file", s.o.Standalone)
}

func (s *standalone) load() (desired.State, string, error) {
	text, err := os.ReadFile(s.o.Standalone)
	if err != nil {
		return desired.State{}, "", err
	}
	cfg, findings, err := config.CheckFile(s.o.Standalone, s.o.Name)
	if err != nil {
		return desired.State{}, "", err
	}
	findings = append(findings, cfg.Alone()...)
	if err := findings.Err(); err != nil {
		return desired.State{}, "", err
	}
	findings = append(findings, config.CheckOnNode(cfg, config.Machine{}, false)...)
	for _, f := range findings {
		s.o.Log.Warn("configuration", "finding", f.String())
	}
	if words := findings.Of(config.Unsupported); len(words) > 0 && !s.o.AcceptUnsupported {
		return desired.State{}, "", fmt.Errorf("%s\n%d words that matter are not implemented; --accept-unsupported starts without them", words[0], len(words))
	}
	return desired.For(cfg), string(text), nil
}
