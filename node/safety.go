package node

import (
	"context"
	"time"

	"github.com/hacluster/hacluster/alert"
	"github.com/hacluster/hacluster/internal/stages"
	"github.com/hacluster/hacluster/node/fencing"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/disarm"
	"github.com/hacluster/hacluster/observed/incident"
	"github.com/hacluster/hacluster/splitbrain"
)

// startSafety starts what shows people how safe the cluster is, and what they
// decide about it. It ends with the membership.
func (m *member) startSafety(ctx context.Context, parts *stages.Stages, arbiter *splitbrain.Arbiter, boot splitbrain.BootID) {
	f := fencing.New(fencing.Options{
		Log: m.log.With("component", "fence"), Node: m.o.Name, Boot: boot, Arbiter: arbiter,
		Alert:    func(a splitbrain.Alert) { m.view.Alert(observed.FromArbiter(m.o.Name, a, time.Now())) },
		Members:  m.cluster.Members,
		Units:    m.plane.Engine.Status,
		State:    m.running,
		Peers:    m.peerView,
		Disarmed: func() bool { _, _, standing := m.disarm.Load().Standing(); return standing },
	})
	m.fencing.Store(f)
	parts.Start(ctx, nil, f.Run)
	i := incident.NewReporter(incident.ReporterOptions{
		Node: m.o.Name, Boot: uint64(boot), Log: m.log, View: m.view, Machine: m.records.Load(), Traces: m.traces,
		Leader: func() string { return m.cluster.Status().Leader }, Apply: m.cluster.Apply,
	})
	m.incidents.Store(i)
	parts.Start(ctx, nil, func(ctx context.Context) error {
		return m.cluster.CompareClocks(ctx, func(clocks map[string]time.Duration) {
			m.view.Update(func(in *observed.Input) { in.Clocks = clocks })
		})
	})
	disarmed := &disarm.Follower{
		Node: m.o.Name, Log: m.log, Machine: m.disarm.Load(), Arbiter: arbiter, View: m.view, Apply: m.cluster.Apply,
	}
	parts.Start(ctx, nil, disarmed.Run)
	parts.Start(ctx, nil, i.Look)
	parts.Start(ctx, nil, i.Give)
}

// peerView is what the members say; nothing while this node is in no cluster.
func (m *member) peerView() splitbrain.PeerView { return m.view.Known().Peers }

// stories are what this membership knows.
func (m *member) stories() []incident.Story {
	if i := m.incidents.Load(); i != nil {
		return i.Stories()
	}
	return nil
}

// decisions are what this node decided around an incident.
func (m *member) decisions(s *incident.Story) ([]*splitbrain.Traced, error) {
	if i := m.incidents.Load(); i != nil {
		return i.Decisions(s)
	}
	return nil, nil
}

// tells reports whether this node tells people of an alert: the leader speaks for
// all, and so does each that knows none.
func (m *member) tells(a observed.Alert) bool {
	leader := m.cluster.Status().Leader
	return alert.ToldBy(a, leader == "" || leader == m.o.Name)
}
