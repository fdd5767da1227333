package membership

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/stages"
	"github.com/hacluster/hacluster/internal/supervisor"
	"github.com/hacluster/hacluster/node/fencing"
	"github.com/hacluster/hacluster/node/neighbours"
	"github.com/hacluster/hacluster/node/plane"
	"github.com/hacluster/hacluster/node/runner"
	"github.com/hacluster/hacluster/node/will"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/confirm"
	"github.com/hacluster/hacluster/observed/disarm"
	"github.com/hacluster/hacluster/observed/incident"
	"github.com/hacluster/hacluster/observed/override"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// Options are what a Membership works with. All but Life are required.
type Options struct {
	Log     *slog.Logger
	Node    string
	DataDir string // for people, for weights given by hand, and for what is known of members

	Cluster  *cluster.Cluster
	Machines *Machines
	Plane    *plane.Plane
	Runner   *runner.Runner
	Near     *neighbours.Neighbours
	View     *observed.View
	Will     *will.Will
	Traces   *incident.Traces
	// Override gives the load balancer the weights that people gave by hand; it must
	// not block.
	Override func([]override.Override)

	// Sees is what the heartbeats shall carry of what this node sees of real servers.
	Sees func() string

	// Life is what the process before handed over.
	Life Life
	// Pledge outlives this process: it keeps until when what this node granted
	// binds it. Nil: nothing does.
	Pledge *supervisor.Pledge
	// Ended is told that this node is no member any more, before its units let go.
	Ended func()
}

// Machines are the further parts of the replicated state.
type Machines struct {
	disarm     *disarm.Machine
	incidents  *incident.Machine
	electorate *cluster.Electorates
	overrides  *override.Machine
	confirm    *confirm.Machine
}

// Overrides are the weights that people gave by hand.
func (m *Machines) Overrides() []override.Override { return m.overrides.State().Overrides }

// NewMachines returns empty ones: each membership has its own.
func NewMachines() *Machines {
	return &Machines{
		disarm.NewMachine(time.Now), incident.NewMachine(), cluster.NewElectorates(), override.NewMachine(), confirm.NewMachine(time.Now),
	}
}

// List is what the store hosts.
func (m *Machines) List() []store.Machine {
	return []store.Machine{m.disarm, m.incidents, m.electorate, m.overrides, m.confirm}
}

// Confirm is what waits to be confirmed.
func (m *Machines) Confirm() *confirm.Machine { return m.confirm }

// Membership is this node's part in one cluster, from its start or its join to its
// end or its leave.
type Membership struct {
	Arbiter   *splitbrain.Arbiter
	Incidents *incident.Reporter

	o           Options
	boot        splitbrain.BootID
	incarnation uint64 // of the cluster
	before      kin    // what an earlier life knew of the members
	voter       *cluster.VoterMemory
	fencing     *fencing.Fencing

	roster     observed.Roster // of followMembers' goroutine; Run calls it before that starts
	restarting atomic.Int64    // as observed.Facts.RestartingUntil
	factsMu    sync.Mutex
	facts      observed.Facts // given to the arbiter last; guarded by factsMu

	// Of the arbiter's goroutine.
	paths    map[string][]netip.Addr // given to the mesh last
	kin      vrrp.Kin                // given to the engine last
	restarts observed.Restarts
}

// New makes the membership of a node that is a member. What it starts by itself ends
// with ctx.
func New(ctx context.Context, o Options) *Membership {
	s := &Membership{o: o, boot: splitbrain.NewBootID(), incarnation: incarnation(o.Cluster.Status().ClusterID)}
	life := o.Life
	if life.Boot == 0 || life.Incarnation != s.incarnation {
		life = Life{} // another cluster is another life
	} else {
		s.boot = life.Boot
	}
	var err error
	if s.before, err = readKin(o.DataDir, o.Cluster.Status().ClusterID); err != nil {
		o.Log.Warn("until members are heard they may be taken for strangers", "err", err)
	}
	s.startLife(ctx, life)
	s.fencing = fencing.New(fencing.Options{
		Log: o.Log.With("component", "fence"), Node: o.Node, Boot: s.boot, Arbiter: s.Arbiter,
		Alert:    s.alert,
		Members:  o.Cluster.Members,
		Units:    o.Plane.Engine.Status,
		State:    s.running,
		Peers:    s.peers,
		Disarmed: func() bool { _, _, standing := o.Machines.disarm.Standing(); return standing },
	})
	s.Incidents = incident.NewReporter(incident.ReporterOptions{
		Node: o.Node, Boot: uint64(s.boot), Log: o.Log, View: o.View, Machine: o.Machines.incidents, Traces: o.Traces,
		Leader: func() string { return o.Cluster.Status().Leader }, Apply: o.Cluster.Apply,
	})
	return s
}

// Run does what only a member does. It returns nil when the node is no member any
// more, and holds nothing then.
func (s *Membership) Run(ctx context.Context) error {
	s.setMembers()
	s.o.Runner.FromCache(ctx, s.o.Cluster.CachedRevision)
	defer s.o.Will.Forget() // the arbiter has said goodbye, or nothing was held
	parts, own := stages.New(ctx)
	s.start(ctx, parts)
	for own.Err() == nil {
		changed := s.o.Cluster.StateChanged()
		if state := s.o.Cluster.Status().State; state != cluster.Member && state != cluster.Failed {
			return s.end(ctx, parts)
		}
		select {
		case <-changed:
		case <-own.Done():
		}
	}
	return parts.End(context.Cause(own))
}

// start starts everything, in an order in which it may end.
func (s *Membership) start(ctx context.Context, parts *stages.Stages) {
	c := s.o.Cluster
	succession := &cluster.Succession{
		Cluster: c, Machine: s.o.Machines.electorate, Bound: s.voter.Bound,
		Set:     func(e cluster.Electorate) { s.Arbiter.SetElectorate(splitbrain.Electorate(e)) },
		Reports: func(epoch uint64, voters []string) bool { p := s.peers(); return p.Reports(epoch, voters) },
	}
	disarmed := &disarm.Follower{
		Node: s.o.Node, Log: s.o.Log, Machine: s.o.Machines.disarm, Arbiter: s.Arbiter, View: s.o.View, Apply: c.Apply,
	}
	overrides := &override.Follower{
		Log: s.o.Log, DataDir: s.o.DataDir, Cluster: c.Status().ClusterID, Machine: s.o.Machines.overrides, Bring: s.o.Override,
	}
	parts.Start(ctx, nil, s.Arbiter.Run)
	parts.Start(ctx, nil, func(ctx context.Context) error { return s.o.Runner.Follow(ctx, c.Revisions()) })
	parts.Start(ctx, nil, s.followMembers)
	parts.Start(ctx, nil, s.rememberKin)
	parts.Start(ctx, nil, succession.Run)
	parts.Start(ctx, nil, s.fencing.Run)
	parts.Start(ctx, nil, func(ctx context.Context) error {
		return c.CompareClocks(ctx, func(clocks map[string]time.Duration) {
			s.o.View.Update(func(in *observed.Input) { in.Clocks = clocks })
		})
	})
	parts.Start(ctx, nil, disarmed.Run)
	parts.Start(ctx, nil, overrides.Run)
	unconfirmed := &confirm.Follower{
		Node: s.o.Node, Log: s.o.Log, Machine: s.o.Machines.confirm, Revisions: c.Revisions(), Apply: c.Apply, Propose: c.Propose,
	}
	parts.Start(ctx, nil, unconfirmed.Run)
	parts.Start(ctx, nil, s.Incidents.Look)
	parts.Start(ctx, nil, s.Incidents.Give)
}

var errNoMember = errors.New("no member any more")

// end lets go of everything that the node held as a member.
func (s *Membership) end(ctx context.Context, parts *stages.Stages) error {
	s.o.Ended()
	s.o.Plane.Guard(nil)
	if err := s.o.Runner.Stop(ctx); err != nil {
		return err
	}
	s.o.View.Forget()
	if err := parts.End(errNoMember); err.Error() != errNoMember.Error() {
		return err
	}
	return nil
}

// running is the configuration that runs.
func (s *Membership) running() desired.State { return s.o.Runner.Running().State }

// peers are what the members say.
func (s *Membership) peers() splitbrain.PeerView { return s.o.View.Known().Peers }

func (s *Membership) alert(a splitbrain.Alert) {
	s.o.View.Alert(observed.FromArbiter(s.o.Node, a, time.Now()))
}
