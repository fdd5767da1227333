package observed

import (
	"context"
	"sync"
	"time"

	"github.com/hacluster/hacluster/vrrp"
)

// A status is asked for its times and counters, which the engine does not publish
// with each packet. Asking is bounded, because it takes the engine's time.
const (
	refreshEvery = 200 * time.Millisecond
	refreshTime  = 100 * time.Millisecond // an engine that is busy is not waited for
)

// Refresher asks the engine when people do.
type Refresher struct {
	Ask  func(ctx context.Context) ([]vrrp.UnitStatus, error)
	Take func([]vrrp.UnitStatus) // is given what Ask returns

	mu   sync.Mutex
	last time.Time // guarded by mu
}

// Refresh asks the engine, unless it was asked just now, and returns in a moment
// even when the engine does not.
func (r *Refresher) Refresh(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.last) < refreshEvery {
		return
	}
	r.last = time.Now()
	ctx, cancel := context.WithTimeout(ctx, refreshTime)
	defer cancel()
	if units, err := r.Ask(ctx); err == nil {
		r.Take(units)
	}
}
