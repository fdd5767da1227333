package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hacluster/hacluster/alert"
	"github.com/hacluster/hacluster/api"
	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/mesh"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/stages"
	"github.com/hacluster/hacluster/internal/version"
	"github.com/hacluster/hacluster/lvs/ipvs"
	"github.com/hacluster/hacluster/node/balance"
	"github.com/hacluster/hacluster/node/directors"
	"github.com/hacluster/hacluster/node/examine"
	"github.com/hacluster/hacluster/node/membership"
	"github.com/hacluster/hacluster/node/neighbours"
	"github.com/hacluster/hacluster/node/plane"
	"github.com/hacluster/hacluster/node/runner"
	"github.com/hacluster/hacluster/node/will"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/confirm"
	"github.com/hacluster/hacluster/observed/incident"
	"github.com/hacluster/hacluster/observed/override"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// twinMemory is how long a call with this node's own certificate counts: the other
// machine may try again and again.
const twinMemory = time.Minute

// member is one node of a cluster.
type member struct {
	o       Options
	log     *slog.Logger
	view    *observed.View
	cluster *cluster.Cluster
	plane   *plane.Plane
	lb      *balance.Balancer
	sees    *directors.Follower
	will    *will.Will
	legacy  legacy // of the process before; its Life is of memberships' goroutine only
	runner  *runner.Runner
	near    *neighbours.Neighbours
	traces  *incident.Traces

	machines atomic.Pointer[membership.Machines]   // of the present membership, or the next
	current  atomic.Pointer[membership.Membership] // nil while the node is in no cluster
}

// runMember runs a node that is in a cluster, or waits to come into one.
func runMember(ctx context.Context, o Options) error {
	m := &member{o: o, log: o.Log, will: will.New(o.Log, o.Supervisor), traces: incident.NewTraces(o.Log, o.RunDir), legacy: legacyOf(o)}
	m.view = observed.NewView(o.Log, observed.Node{Name: o.Name, Version: version.Version, Started: time.Now()}, false)

	m.lb = balance.New(balance.Options{
		Log: o.Log, Node: o.Name, RunDir: o.RunDir, Record: m.view.Record, Alert: m.view.Alert, Before: m.legacy.Known,
	})
	if kept, err := override.Read(o.DataDir); err != nil {
		o.Log.Warn("real servers have their configured weights until the cluster answers", "err", err)
	} else {
		m.lb.Override(kept.Overrides)
	}

	advertise, err := cluster.AdvertiseAddr(o.Listen, o.Advertise)
	if err != nil {
		return err
	}
	// The members' calls come in from within Open: they wait for ready.
	ready, opened := make(chan struct{}), &openedCluster{m: m}
	m.runner = runner.New(runner.Options{
		Log: o.Log, Node: o.Name, View: m.view, Runs: func(rev store.Revision, state desired.State) {
			m.with(func(s *membership.Membership) { s.RevisionRuns(rev, state) })
		},
		Apply:   func(ctx context.Context, state desired.State) error { return apply(ctx, m.plane, m.lb, state) },
		Witness: func() bool { return m.cluster.Status().Role == store.RoleWitness },
	})
	refresh := &observed.Refresher{
		Ask:  func(ctx context.Context) ([]vrrp.UnitStatus, error) { return m.plane.Engine.Snapshot(ctx) },
		Take: m.view.Units,
	}
	server := api.New(api.Options{
		Node:        o.Name,
		Started:     time.Now(),
		Version:     version.Version,
		Commit:      version.Commit,
		Logger:      o.Log.With("component", "api"),
		Hub:         m.view.Hub,
		Runner:      m.runner,
		Arbiter:     m,
		Cluster:     opened,
		Revisions:   func() api.Revisions { return opened.Revisions() },
		Refresh:     refresh.Refresh,
		Services:    m.lb.Services,
		Verdicts:    m.lb.Verdicts,
		Table:       m.lb.Table,
		Connections: ipvs.Connections,
		Examiner: &examine.Examiner{
			Node: o.Name, State: m.running, Compile: m.runner.Compile,
			Plane:   func() *plane.Plane { return m.plane },
			Peers:   func() splitbrain.PeerView { return m.view.Known().Peers },
			Gossip:  func() []mesh.MemberState { return m.cluster.MeshMembers() },
			Members: func() []store.Member { return m.cluster.Members() },
		},
		Overrides: m.overrides,
		Confirm:   func() *confirm.Machine { return m.machines.Load().Confirm() },
		Incidents: m.stories,
		Decisions: m.decisions,
		Restart:   o.Supervisor.Restart,
		Apply: func(ctx context.Context, operation string, cmd store.Command) ([]byte, error) {
			return opened.Apply(ctx, operation, cmd)
		},
	})
	m.sees = directors.New(directors.Options{
		Node: o.Name, Look: m.lb.Look, Ask: server.WhyDown, Alert: m.view.Alert, Hear: m.lb.Hear,
		Peers:   func() splitbrain.PeerView { return m.view.Known().Peers },
		Changed: func() { m.with((*membership.Membership).SeesChanged) },
	})
	m.cluster, err = cluster.Open(cluster.Options{
		DataDir:   o.DataDir,
		PID:       os.Getppid(), // the supervisor
		Memory:    o.Supervisor.Pledge().ID(),
		Stale:     o.Supervisor.Pledge().Forget,
		Name:      o.Name,
		Version:   version.Version,
		Listen:    o.Listen,
		Advertise: advertise,
		Receive:   func(r mesh.Receipt) { m.with(func(s *membership.Membership) { s.Receive(r) }) },
		Twin:      func(from net.Addr) { m.view.AlertFor(observed.IdentityCopied(o.Name, from, time.Now()), twinMemory) },
		Alone:     o.alone(),
		Register:  server.Register,
		Ready:     ready,
		Machines:  m.newMachines,
		Logger:    o.Log.With("component", "cluster"),
	})
	if err != nil {
		return err
	}
	opened.Cluster = m.cluster
	socket, err := api.Listen(filepath.Join(o.RunDir, "api.sock"))
	if err != nil {
		return errors.Join(err, m.cluster.Close())
	}
	alerts := alert.NewDesk(o.Log, m.view.Hub, m.tells)
	m.near = neighbours.New(neighbours.Options{
		Log: o.Log, Node: o.Name, View: m.view, State: m.running, Arbiter: m.arbiter,
	})
	m.plane, err = plane.New(plane.Options{
		Log: o.Log, RunDir: o.RunDir, Supervisor: o.Supervisor, Will: m.will, Alerts: alerts,
		Legacy: m.legacy.Legacy, Inherited: len(o.Inherited) > 0, Leases: true,
		Publish: m.unitsChanged, Observe: func(o vrrp.Observation) { m.with(func(s *membership.Membership) { s.Observe(o) }) }, Moved: m.view.Moved, Alert: m.view.Alert,
		Links: m.near.LinksChanged,
	})
	if err != nil {
		return errors.Join(err, socket.Close(), m.cluster.Close())
	}
	m.near.Plane = m.plane
	close(ready)

	parts, ctx := stages.New(ctx)
	parts.Start(ctx, nil, func(ctx context.Context) error { return server.Serve(ctx, socket) })
	parts.Start(ctx, nil, m.cluster.Run)
	parts.Start(ctx, nil, alerts.Run)
	goodbye := func() { m.with((*membership.Membership).SayGoodbye) }
	parts.Start(ctx, goodbye, m.memberships)
	parts.Start(ctx, nil, m.near.Probe)
	parts.Start(ctx, nil, m.sees.Run)
	parts.Start(ctx, nil, m.lb.Run) // ends when no client comes any more
	parts.Start(ctx, nil, m.plane.Run)
	parts.Start(ctx, nil, m.near.Run)
	parts.Start(ctx, nil, func(ctx context.Context) error { return watchForCopies(ctx, o.Name, m.view, m.own) })
	parts.Start(ctx, nil, m.signals)
	o.notifySystemd(systemdReady)
	select {
	case <-ctx.Done():
		return parts.End(context.Cause(ctx))
	case <-o.Supervisor.HandOver():
	}
	l, err := m.handOver()
	if err != nil {
		return parts.End(err)
	}
	return o.bequeath(l) // and nothing ends but the process
}

// openedCluster is the cluster for the API, which is made before it.
type openedCluster struct {
	*cluster.Cluster
	m *member
}

// Leave lets go of the virtual addresses before the others take this node out,
// because afterwards its adverts are a stranger's. The last member has nobody to let
// go for, and who only says that it is the last one is refused.
func (o openedCluster) Leave(ctx context.Context, last bool) ([]store.Member, error) {
	if last || len(o.Members()) == 1 {
		return o.Cluster.Leave(ctx, last)
	}
	// Nothing is let go when the others cannot let this node go.
	if err := o.CanLeave(ctx); err != nil {
		return nil, err
	}
	var remaining []store.Member
	err := o.m.runner.Idle(ctx, func() (err error) {
		remaining, err = o.Cluster.Leave(ctx, last)
		return err
	})
	return remaining, err
}

// running is the configuration that runs.
func (m *member) running() desired.State { return m.runner.Running().State }

// signals answers HUP and USR1.
func (m *member) signals(ctx context.Context) error {
	for {
		select {
		case <-m.o.Reload:
			m.log.Info("nothing to reload: the cluster's revision counts; use haclusterctl config apply")
		case <-m.o.Dump:
			m.plane.Dump(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// memberships follow this node into its cluster and out of it again.
func (m *member) memberships(ctx context.Context) error {
	told := false
	for {
		changed := m.cluster.StateChanged()
		switch m.cluster.Status().State {
		case cluster.Member, cluster.Failed:
			if err := m.serve(ctx); err != nil {
				return err
			}
			told = false
			continue
		case cluster.Waiting:
			if !told {
				m.log.Info("this node is in no cluster: waiting for haclusterctl init or join", "socket", filepath.Join(m.o.RunDir, "api.sock"))
			}
			told = true
		case cluster.Removed:
			m.log.Error("the other members removed this node; haclusterctl leave clears its data")
		case cluster.Joining:
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// confirmedWithin is how long a node that starts waits for a member's word that it is
// one still: a removed one is a stranger, and would move what others hold. Who answers
// does so in milliseconds; with nobody there the node starts all the same.
const confirmedWithin = 250 * time.Millisecond

// serve runs one membership.
func (m *member) serve(ctx context.Context) error {
	if m.legacy.Life.Boot == 0 { // what is handed over stands still until it goes on
		m.cluster.AwaitConfirmation(ctx, confirmedWithin)
	}
	if m.cluster.Status().State == cluster.Removed {
		return nil
	}
	s := membership.New(ctx, membership.Options{
		Log: m.log, Node: m.o.Name, DataDir: m.o.DataDir,
		Cluster: m.cluster, Machines: m.machines.Load(), Plane: m.plane, Runner: m.runner, Near: m.near,
		View: m.view, Will: m.will, Traces: m.traces, Life: m.legacy.Life, Pledge: m.o.Supervisor.Pledge(),
		Override: m.lb.Override, Sees: m.sees.Word,
		Ended: func() { m.current.Store(nil) },
	})
	m.legacy.Life = membership.Life{} // another membership is another life
	m.current.Store(s)
	return s.Run(ctx)
}

// with calls f if this node is a member.
func (m *member) with(f func(*membership.Membership)) {
	if s := m.current.Load(); s != nil {
		f(s)
	}
}

// arbiter is that of the present membership; nil: there is none.
func (m *member) arbiter() (a *splitbrain.Arbiter) {
	m.with(func(s *membership.Membership) { a = s.Arbiter })
	return a
}

// newMachines makes the further parts of the replicated state, for each membership
// anew.
func (m *member) newMachines() []store.Machine {
	machines := membership.NewMachines()
	m.machines.Store(machines)
	return machines.List()
}

// overrides are the weights that people gave by hand in this cluster.
func (m *member) overrides() []override.Override {
	machines := m.machines.Load()
	if machines == nil {
		return nil // in no cluster yet
	}
	return machines.Overrides()
}

// unitsChanged runs on the engine's goroutine.
func (m *member) unitsChanged(units []vrrp.UnitStatus) {
	m.with(func(s *membership.Membership) { s.UnitsChanged(units) })
	m.lb.Units(units)
	m.view.Units(units)
}

// RequestHandover implements api.Arbiter.
func (m *member) RequestHandover(unit, to string) {
	m.with(func(s *membership.Membership) { s.Arbiter.RequestHandover(unit, to) })
}

// stories are the incidents that this membership knows.
func (m *member) stories() (out []incident.Story) {
	m.with(func(s *membership.Membership) { out = s.Incidents.Stories() })
	return out
}

// decisions are what this node decided around an incident.
func (m *member) decisions(story *incident.Story) (out []*splitbrain.Traced, err error) {
	m.with(func(s *membership.Membership) { out, err = s.Incidents.Decisions(story) })
	return out, err
}

// tells reports whether this node tells people of an alert: the leader speaks for
// all, and so does each that knows none.
func (m *member) tells(a observed.Alert) bool {
	leader := m.cluster.Status().Leader
	return alert.ToldBy(a, m.o.Name, leader == "" || leader == m.o.Name)
}
