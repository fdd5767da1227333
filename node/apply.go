package node

import (
	"context"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/node/balance"
	"github.com/hacluster/hacluster/node/plane"
)

// apply makes the data plane and the load balancer run a state. One that either of
// them refuses changes nothing.
func apply(ctx context.Context, p *plane.Plane, lb *balance.Balancer, state desired.State) error {
	wanted, err := balance.Prepare(state)
	if err != nil {
		return err
	}
	if err := p.Apply(ctx, state); err != nil {
		return err
	}
	lb.Apply(wanted)
	return nil
}
