package node

import (
	"context"
	"sync"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
)

// A status is asked for its times and counters, which the engine does not publish
// with each packet. Asking is bounded, because it takes the engine's time.
const (
	refreshEvery = 200 * time.Millisecond
	refreshTime  = 100 * time.Millisecond // an engine that is busy is not waited for
)

// refresher asks the engine when people do.
type refresher struct {
	ask  func(ctx context.Context) ([]vrrp.UnitStatus, error)
	take func([]vrrp.UnitStatus)

	mu   sync.Mutex
	last time.Time // guarded by mu
}

// refresh implements api.Options.Refresh.
func (r *refresher) refresh(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.last) < refreshEvery {
		return
	}
	r.last = time.Now()
	ctx, cancel := context.WithTimeout(ctx, refreshTime)
	defer cancel()
	if units, err := r.ask(ctx); err == nil {
		r.take(units)
	}
}

// gaps are the known gaps of this node's units.
func gaps(units []vrrp.UnitStatus, state applied) []string {
	specs := make(map[string]desired.Unit, len(state.state.Units))
	for _, u := range state.state.Units {
		specs[u.Spec.Name] = u
	}
	guards := make([]observed.Guard, 0, len(units))
	for _, u := range units {
		if spec, ok := specs[u.Name]; ok { // else the configuration has moved on
			guards = append(guards, observed.Guard{
				Unit: u, Policy: spec.SplitBrain.Policy, DownTimerAdverts: spec.Spec.Instances[0].DownTimerAdverts,
			})
		}
	}
	return observed.Gaps(guards, silentAfter)
}
