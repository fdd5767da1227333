package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/version"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
)

// runStandalone runs the document of one machine, as keepalived does.
func runStandalone(ctx context.Context, o Options) error {
	release, err := lockDir(o.DataDir)
	if err != nil {
		return err
	}
	defer release()
	state, err := loadStandalone(o)
	if err != nil {
		return err
	}
	v := newView(o.Log, observed.Node{Name: o.Name, Version: version.Version, Started: time.Now()}, true)
	p, err := newPlane(o.Log, o.RunDir, planeHooks{publish: v.units, observe: func(vrrp.Observation) {}, moved: v.moved})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.run(ctx) })
	group.Go(func() error { return watchdog(ctx, o.Log, p) })
	group.Go(func() error {
		if err := p.apply(ctx, state); err != nil {
			return err
		}
		notifySystemd(o.Log, daemon.SdNotifyReady)
		for {
			select {
			case <-o.Reload:
				notifySystemd(o.Log, daemon.SdNotifyReloading)
				reload(ctx, o, p)
				notifySystemd(o.Log, daemon.SdNotifyReady)
			case <-o.Dump:
				dump(ctx, o.Log, p)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	})
	return group.Wait()
}

// reload reads the document again. One that is refused changes nothing.
func reload(ctx context.Context, o Options, p *plane) {
	state, err := loadStandalone(o)
	if err == nil {
		err = p.apply(ctx, state)
	}
	if err != nil {
		o.Log.Error("reload refused, the configuration stays as it was", "file", o.Standalone, "err", err)
		return
	}
	o.Log.Info("reloaded", "file", o.Standalone)
}

func loadStandalone(o Options) (desired.State, error) {
	cfg, findings, err := config.CheckFile(o.Standalone, o.Name)
	if err != nil {
		return desired.State{}, err
	}
	if err := findings.Err(); err != nil {
		return desired.State{}, err
	}
	for _, f := range findings.Of(config.Warning) {
		o.Log.Warn("configuration", "finding", f.String())
	}
	unsupported := findings.Of(config.Unsupported)
	for _, f := range unsupported {
		o.Log.Warn("configuration", "finding", f.String())
	}
	if len(unsupported) > 0 && !o.AcceptUnsupported {
		return desired.State{}, fmt.Errorf("%s\n%d words that matter are not implemented; --accept-unsupported starts without them", unsupported[0], len(unsupported))
	}
	return desired.For(cfg), nil
}

// dump writes the state of the units to the log (SIGUSR1).
func dump(ctx context.Context, log *slog.Logger, p *plane) {
	units, err := p.engine.Snapshot(ctx)
	if err != nil {
		log.Error("state is not known", "err", err)
		return
	}
	text, err := json.Marshal(units)
	if err != nil {
		log.Error("state cannot be written", "err", err)
		return
	}
	log.Info("state", "units", string(text))
}

// watchdog tells systemd that the engine answers. A hung engine ends the
// service; its addresses have expired by then.
func watchdog(ctx context.Context, log *slog.Logger, p *plane) error {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return err
	}
	tick := time.NewTicker(every / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		probe, cancel := context.WithTimeout(ctx, every/3)
		_, err := p.engine.Snapshot(probe)
		cancel()
		if err == nil {
			notifySystemd(log, daemon.SdNotifyWatchdog)
		}
	}
}
