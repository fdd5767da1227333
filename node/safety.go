package node

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

// startSafety starts what shows people how safe the cluster is, and what they
// decide about it. It ends with the membership.
func (m *member) startSafety(ctx context.Context, parts *stages, arbiter *splitbrain.Arbiter, boot splitbrain.BootID) {
	f := newFencing(fenceOptions{
		log: m.log.With("component", "fence"), node: m.o.Name, boot: boot, arbiter: arbiter,
		alert:    func(a splitbrain.Alert) { m.view.Alert(observed.FromArbiter(m.o.Name, a, time.Now())) },
		members:  m.cluster.Members,
		units:    m.plane.engine.Status,
		state:    func() desired.State { return m.state.get().state },
		prover:   prober{m},
		disarmed: func() bool { _, _, standing := m.disarm.get().Standing(); return standing },
	})
	m.fencing.set(f)
	parts.start(ctx, nil, f.run)
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
	leader := m.cluster.Status().Leader
	return tellsAs(a, leader == "" || leader == m.o.Name)
}

// tellsAs is tells for a node that speaks for all, or does not.
func tellsAs(a observed.Alert, forAll bool) bool {
	name, isIncident := strings.CutPrefix(a.ID, observed.IncidentAlert)
	switch {
	case isIncident:
		// Only who leads raises it. Its end is raised where it stood, too.
		_, err := strconv.Atoi(name)
		return a.Resolved.IsZero() || err != nil || forAll
	case a.Code == string(splitbrain.SplitBrain):
		return false
	case a.Code == disarmed:
		return forAll
	}
	return true
}
