package node

import (
	"context"
	"strings"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

// startSafety starts what shows people how safe the cluster is, and what they
// decide about it. It ends with the membership.
func (m *member) startSafety(ctx context.Context, parts *stages, arbiter *splitbrain.Arbiter, boot splitbrain.BootID) {
	i := newIncidents(m, m.records.get(), boot)
	m.incidents.set(i)
	parts.start(ctx, nil, m.compareClocks)
	parts.start(ctx, nil, func(ctx context.Context) error { return m.followDisarm(ctx, m.disarm.get(), arbiter) })
	parts.start(ctx, nil, i.look)
	parts.start(ctx, nil, i.give)
}

// tells reports whether this node tells people of an alert. What every node raises
// alike, one tells: the leader, or each that knows none. A split brain is told as
// an incident. All else is what a node sees for itself.
func (m *member) tells(a observed.Alert) bool {
	switch a.Code {
	case string(splitbrain.SplitBrain):
		return strings.HasPrefix(a.ID, observed.IncidentAlert)
	case disarmed:
		leader := m.cluster.Status().Leader
		return leader == "" || leader == m.o.Name
	}
	return true
}
