package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/gate"
	"github.com/hacluster/hacluster/internal/netif"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// A planned restart (F26): the supervisor has an heir waiting. This process stops
// without letting go, hands over what follows and exits; the heir goes on with it.

const (
	// restartFormat is raised when an older or newer program could misread a
	// legacy. It is dropped then, and the heir begins as after a crash.
	restartFormat = 1
	// restartTime is what a restart may take. Units whose tenure cannot outlive
	// their process for so long say goodbye instead.
	restartTime = 400 * time.Millisecond
	// freezeTime bounds the wait for the engine, and lastWords is what those that
	// say goodbye need to be heard.
	freezeTime = 2 * time.Second
	lastWords  = 50 * time.Millisecond
	// seqMargin is above what the arbiter may still send after it was asked.
	seqMargin = 1000
)

// legacy is what a process leaves to its heir.
type legacy struct {
	Format int
	At     time.Duration // CLOCK_BOOTTIME when the engine stopped

	// Of the arbiter's life, which goes on. Zero when standalone or in no cluster.
	Boot        splitbrain.BootID
	Incarnation uint64
	Seq         uint64
	Arbiter     []byte // its leases, and what its voter has granted

	Units     []vrrp.Heritage
	Addresses []netif.Address // of the units that are held
}

// legacyOf reads what was handed over; the zero value: nothing that counts.
func legacyOf(o Options) legacy {
	var l legacy
	if len(o.Inherited) == 0 {
		return legacy{}
	}
	if err := json.Unmarshal(o.Inherited, &l); err != nil || l.Format != restartFormat {
		o.Log.Warn("what the process before handed over is not understood; starting as after a crash", "format", l.Format, "err", err)
		return legacy{}
	}
	return l
}

// holds says whether the address is handed over.
func (l *legacy) holds(a netif.Address) bool {
	return slices.ContainsFunc(l.Addresses, func(b netif.Address) bool {
		return a.Interface == b.Interface && a.Prefix == b.Prefix
	})
}

// heritage is that of each unit, with the time that is left of it now.
func (l *legacy) heritage() map[string]vrrp.Heritage {
	if l.Format == 0 {
		return nil
	}
	since := gate.Now() - l.At
	units := make(map[string]vrrp.Heritage, len(l.Units))
	for _, h := range l.Units {
		h.Left -= since
		h.Age += since
		units[h.Unit] = h
	}
	return units
}

// freeze stops the engine without letting go.
func (p *plane) freeze() (legacy, error) {
	ctx, cancel := context.WithTimeout(context.Background(), freezeTime)
	defer cancel()
	units, err := p.engine.Freeze(ctx, restartTime)
	if err != nil {
		return legacy{}, fmt.Errorf("hand over: %w", err)
	}
	l := legacy{Format: restartFormat, At: gate.Now(), Units: units}
	for _, spec := range p.specs.get() {
		if !slices.ContainsFunc(units, func(h vrrp.Heritage) bool { return h.Unit == spec.Name && h.Held }) {
			continue
		}
		for _, i := range spec.Instances {
			l.Addresses = append(l.Addresses, addresses(slices.Concat(i.Addresses, i.Excluded))...)
		}
	}
	return l, nil
}

// bequeath hands the legacy over. This process exits then, and must do nothing
// else: the heir waits for its end.
func (o *Options) bequeath(l legacy) error {
	state, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	return o.Supervisor.Bequeath(state)
}
