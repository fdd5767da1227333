package plane

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/gate"
	"github.com/hacluster/hacluster/internal/netif"
	"github.com/hacluster/hacluster/vrrp"
)

// Of a planned restart (F26): the supervisor has an heir waiting. This process stops
// without letting go, hands over a Legacy and exits; the heir goes on with it.
const (
	// LegacyFormat is raised when an older or newer program could misread a
	// legacy. It is dropped then, and the heir begins as after a crash.
	LegacyFormat = 1
	// restartTime is what a restart may take. Units whose tenure cannot outlive
	// their process for so long say goodbye instead.
	restartTime = 400 * time.Millisecond
	// freezeTime bounds the wait for the engine, and lastWords is what those that
	// say goodbye need to be heard.
	freezeTime = 2 * time.Second
	lastWords  = 50 * time.Millisecond
)

// Legacy is what the data plane of a process leaves to its heir's. The zero value:
// nothing that counts.
type Legacy struct {
	Format    int           // LegacyFormat
	At        time.Duration // CLOCK_BOOTTIME when the engine stopped
	Units     []vrrp.Heritage
	Addresses []netif.Address // of the units that are held
}

// counts says whether there is anything to go on with.
func (l *Legacy) counts() bool { return l.Format != 0 }

// holds says whether the address is handed over.
func (l *Legacy) holds(a netif.Address) bool {
	return slices.ContainsFunc(l.Addresses, func(b netif.Address) bool {
		return a.Interface == b.Interface && a.Prefix == b.Prefix
	})
}

// heritage is that of each unit, with the time that is left of it now.
func (l *Legacy) heritage() map[string]vrrp.Heritage {
	if !l.counts() {
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

// Freeze stops the engine without letting go, and gives what the next process goes on
// with. Those that had to let go are heard when it returns.
func (p *Plane) Freeze() (Legacy, error) {
	ctx, cancel := context.WithTimeout(context.Background(), freezeTime)
	defer cancel()
	units, err := p.Engine.Freeze(ctx, restartTime)
	if err != nil {
		return Legacy{}, fmt.Errorf("hand over: %w", err)
	}
	l := Legacy{Format: LegacyFormat, At: gate.Now(), Units: units}
	for _, spec := range *p.specs.Load() {
		if !slices.ContainsFunc(units, func(h vrrp.Heritage) bool { return h.Unit == spec.Name && h.Held }) {
			continue
		}
		for _, i := range spec.Instances {
			l.Addresses = append(l.Addresses, addresses(slices.Concat(i.Addresses, i.Excluded))...)
		}
	}
	time.Sleep(lastWords)
	return l, nil
}
