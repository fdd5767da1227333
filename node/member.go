package node

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"sync"
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
	"github.com/hacluster/hacluster/node/arbitrate"
	"github.com/hacluster/hacluster/node/fencing"
	"github.com/hacluster/hacluster/node/neighbours"
	"github.com/hacluster/hacluster/node/plane"
	"github.com/hacluster/hacluster/node/runner"
	"github.com/hacluster/hacluster/node/will"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/disarm"
	"github.com/hacluster/hacluster/observed/incident"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// goodbyeTime bounds how long the others are told that this node leaves.
const goodbyeTime = 500 * time.Millisecond

// member is one node of a cluster.
type member struct {
	o       Options
	log     *slog.Logger
	view    *observed.View
	cluster *cluster.Cluster
	plane   *plane.Plane
	will    *will.Will
	legacy  legacy // of the process before; membership's goroutine only
	runner  *runner.Runner
	near    *neighbours.Neighbours
	boot    splitbrain.BootID                  // of the arbiter; set before it
	arbiter atomic.Pointer[splitbrain.Arbiter] // nil while the node is in no cluster
	paths   map[string][]netip.Addr            // given to the mesh last; the arbiter's goroutine only
	kin     vrrp.Kin                           // given to the engine last; the arbiter's goroutine only

	// Of the present membership.
	disarm    atomic.Pointer[disarm.Machine]
	records   atomic.Pointer[incident.Machine]
	incidents atomic.Pointer[incident.Reporter]
	fencing   atomic.Pointer[fencing.Fencing]
	elect     atomic.Pointer[cluster.Electorates]
	voter     atomic.Pointer[cluster.VoterMemory]

	traces *incident.Traces

	factsMu sync.Mutex
	facts   toldFacts // given to the arbiter last; guarded by factsMu

	restarting atomic.Int64      // as observed.Facts.RestartingUntil
	restarts   observed.Restarts // the arbiter's goroutine only

	twinMu   sync.Mutex
	twinGone *time.Timer // ends the alert about a copy of this node's identity; guarded by twinMu
}

// runMember runs a node that is in a cluster, or waits to come into one.
func runMember(ctx context.Context, o Options) error {
	m := &member{o: o, log: o.Log, will: will.New(o.Log, o.Supervisor), traces: incident.NewTraces(o.Log, o.RunDir), legacy: legacyOf(o)}
	m.view = observed.NewView(o.Log, observed.Node{Name: o.Name, Version: version.Version, Started: time.Now()}, false)

	advertise, err := cluster.AdvertiseAddr(o.Listen, o.Advertise)
	if err != nil {
		return err
	}
	// The members' calls come in from within Open: they wait for ready.
	ready, opened := make(chan struct{}), &openedCluster{m: m}
	m.runner = runner.New(runner.Options{
		Log: o.Log, Node: o.Name, View: m.view, Runs: m.revisionRuns,
		Apply:   func(ctx context.Context, state desired.State) error { return m.plane.Apply(ctx, state) },
		Witness: func() bool { return m.cluster.Status().Role == store.RoleWitness },
	})
	refresh := &observed.Refresher{
		Ask:  func(ctx context.Context) ([]vrrp.UnitStatus, error) { return m.plane.Engine.Snapshot(ctx) },
		Take: m.view.Units,
	}
	server := api.New(api.Options{
		Node:      o.Name,
		Started:   time.Now(),
		Version:   version.Version,
		Commit:    version.Commit,
		Logger:    o.Log.With("component", "api"),
		Hub:       m.view.Hub,
		Runner:    m.runner,
		Arbiter:   m,
		Cluster:   opened,
		Revisions: func() api.Revisions { return opened.Revisions() },
		Refresh:   refresh.Refresh,
		Examiner:  m.examiner(),
		Incidents: m.stories,
		Decisions: m.decisions,
		Restart:   o.Supervisor.Restart,
		Apply: func(ctx context.Context, operation string, cmd store.Command) ([]byte, error) {
			return opened.Apply(ctx, operation, cmd)
		},
	})
	m.cluster, err = cluster.Open(cluster.Options{
		DataDir:   o.DataDir,
		PID:       os.Getppid(), // the supervisor
		Name:      o.Name,
		Version:   version.Version,
		Listen:    o.Listen,
		Advertise: advertise,
		Receive:   m.receive,
		Twin:      m.twin,
		Register:  server.Register,
		Ready:     ready,
		Machines:  m.machines,
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
		Log: o.Log, Node: o.Name, View: m.view, State: m.running, Arbiter: m.arbiter.Load,
	})
	m.plane, err = plane.New(plane.Options{
		Log: o.Log, RunDir: o.RunDir, Supervisor: o.Supervisor, Will: m.will, Alerts: alerts,
		Legacy: m.legacy.Legacy, Inherited: len(o.Inherited) > 0, Leases: true,
		Publish: m.unitsChanged, Observe: m.observe, Moved: m.view.Moved, Alert: m.view.Alert,
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
	parts.Start(ctx, m.sayGoodbye, m.membership)
	parts.Start(ctx, nil, m.near.Probe)
	parts.Start(ctx, nil, m.plane.Run)
	parts.Start(ctx, nil, m.near.Run)
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

const (
	// freezeTime bounds the wait for what the arbiter hands over.
	freezeTime = 2 * time.Second
	// seqMargin is above what the arbiter may still send after it was asked.
	seqMargin = 1000
)

// handOver stops the engine without letting go. Everything else ends with the
// process, as in a crash, which it is made for; the heir waits for that end.
func (m *member) handOver() (legacy, error) {
	m.sayRestart()
	m.cluster.StepDown()
	frozen, err := m.plane.Freeze()
	if err != nil {
		return legacy{}, err
	}
	l := legacy{Legacy: frozen}
	if a := m.arbiter.Load(); a != nil {
		l.Boot, l.Incarnation, l.Seq = m.boot, incarnation(m.cluster.Status().ClusterID), a.Sent()+seqMargin
		ctx, cancel := context.WithTimeout(context.Background(), freezeTime)
		defer cancel()
		if l.Arbiter, err = a.Freeze(ctx); err != nil {
			m.log.Warn("leases are not handed over", "err", err)
		}
	}
	return l, nil
}

// restartWithin is the time in which a planned restart is over, whatever becomes of
// it: the supervisor waits no longer for this process to hand over.
const restartWithin = 15 * time.Second

// sayRestart tells the others, by the heartbeats, that this process ends on purpose
// and another one goes on (F26). They show it to people, and do nothing else.
func (m *member) sayRestart() {
	m.restarting.Store(time.Now().Add(restartWithin).Unix())
	if a := m.arbiter.Load(); a != nil {
		m.tellFacts(a)
	}
}

// machines makes the further parts of the replicated state, for each membership
// anew.
func (m *member) machines() []store.Machine {
	d, i, e := disarm.NewMachine(time.Now), incident.NewMachine(), cluster.NewElectorates()
	m.disarm.Store(d)
	m.records.Store(i)
	m.elect.Store(e)
	return []store.Machine{d, i, e}
}

// openedCluster is the cluster for the API, which is made before it.
type openedCluster struct {
	*cluster.Cluster
	m *member
}

// Leave lets go of the virtual addresses before the others take this node out,
// because afterwards its adverts are a stranger's.
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

// membership follows this node into its cluster and out of it again.
func (m *member) membership(ctx context.Context) error {
	told := false
	for {
		changed := m.cluster.StateChanged()
		switch st := m.cluster.Status(); st.State {
		case cluster.Member, cluster.Failed:
			if err := m.serve(ctx, st); err != nil {
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

// serve runs what only a member does. It returns nil when the node is no
// member any more, and holds nothing then.
func (m *member) serve(ctx context.Context, st cluster.Status) error {
	boot, seq := splitbrain.NewBootID(), uint64(0)
	var inherited []byte
	if l := m.legacy; l.Boot != 0 && l.Incarnation == incarnation(st.ClusterID) {
		boot, seq, inherited = l.Boot, l.Seq, l.Arbiter
		m.legacy.Boot = 0 // another membership is another life
	}
	m.boot = boot
	voter, bound := m.cluster.VoterMemory(splitbrain.MaxLease)
	var arbiter *splitbrain.Arbiter
	arbiter = splitbrain.New(splitbrain.Options{
		Node:    m.o.Name,
		Boot:    boot,
		Seq:     seq,
		Legacy:  inherited,
		Cluster: incarnation(st.ClusterID),
		Logger:  m.log.With("component", "splitbrain"),
		Deliver: func(v []splitbrain.UnitVerdict) {
			// An engine that has stopped needs no verdicts.
			_ = m.plane.Engine.Deliver(context.WithoutCancel(ctx), arbitrate.Deliveries(v)...)
		},
		Send: func(members []string, payloads [][]byte) {
			// Best effort: what is lost shows in what the others acknowledge.
			_ = m.cluster.Send(members, payloads...)
			m.will.Refresh()
		},
		Will:       func(w splitbrain.Will) { m.will.Say(w, m.cluster) },
		Electorate: splitbrain.Electorate(voter.Electorate()),
		StoreElectorate: func(e splitbrain.Electorate) {
			// The disk may stand still: it ends with the membership, or after one
			// write more.
			go func() {
				if voter.Store(ctx, cluster.Electorate(e)) {
					arbiter.ElectorateStored(e)
				}
			}()
		},
		Alert:   func(a splitbrain.Alert) { m.view.Alert(observed.FromArbiter(m.o.Name, a, time.Now())) },
		Trace:   m.traces.Add,
		Publish: m.peersChanged,

		Probe:    m.near.Send,
		Verified: func(v splitbrain.Verified) { m.view.Record(observed.FromVerification(v)) },
	})
	arbiter.SetMACs(neighbours.Hardware())
	m.paths, m.kin = nil, vrrp.Kin{} // this membership's session knows none yet
	arbiter.SetLeaseBound(bound)
	m.voter.Store(voter)
	m.arbiter.Store(arbiter)
	m.setMembers(arbiter)
	m.runner.FromCache(ctx, m.cluster.CachedRevision)

	defer m.will.Forget() // the arbiter has said goodbye, or nothing was held
	parts, own := stages.New(ctx)
	parts.Start(ctx, nil, arbiter.Run)
	parts.Start(ctx, nil, func(ctx context.Context) error { return m.runner.Follow(ctx, m.cluster.Revisions()) })
	parts.Start(ctx, nil, func(ctx context.Context) error { return m.followMembers(ctx, arbiter) })
	succession := &cluster.Succession{
		Cluster: m.cluster, Machine: m.elect.Load(), Bound: voter.Bound,
		Set:     func(e cluster.Electorate) { arbiter.SetElectorate(splitbrain.Electorate(e)) },
		Reports: func(epoch uint64, voters []string) bool { p := m.peerView(); return p.Reports(epoch, voters) },
	}
	parts.Start(ctx, nil, succession.Run)
	m.startSafety(ctx, parts, arbiter, boot)
	for own.Err() == nil {
		changed := m.cluster.StateChanged()
		if s := m.cluster.Status().State; s != cluster.Member && s != cluster.Failed {
			m.arbiter.Store(nil)
			m.plane.Guard(nil)
			if err := m.runner.Stop(ctx); err != nil {
				return err
			}
			m.view.Forget()
			if err := parts.End(errNoMember); err.Error() != errNoMember.Error() {
				return err
			}
			return nil
		}
		select {
		case <-changed:
		case <-own.Done():
		}
	}
	return parts.End(context.Cause(own))
}

var errNoMember = errors.New("no member any more")

// sayGoodbye tells the others that this node goes, after its units have let go.
func (m *member) sayGoodbye() {
	if a := m.arbiter.Load(); a != nil {
		ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
		defer cancel()
		if err := a.Leave(ctx); err != nil {
			m.log.Warn("the others may not know that this node leaves", "err", err)
		}
	}
}

// receive runs on the mesh's goroutine.
func (m *member) receive(r mesh.Receipt) {
	a := m.arbiter.Load()
	if a == nil {
		return
	}
	if err := a.Receive(r.Payload, r.Path, r.At, r.More); err != nil {
		m.log.Debug("heartbeat dropped", "from", r.From, "err", err)
	}
}

// peersChanged runs on the arbiter's goroutine.
func (m *member) peersChanged(p splitbrain.PeerView) {
	m.view.Peers(p)
	m.restarts.Note(p, m.view.Record)
	if f := m.fencing.Load(); f != nil {
		f.PeersChanged()
	}
	m.tellKin(p)
	// A member's adverts come from the networks of its virtual addresses:
	// heartbeats take them, too, so that no one network silences it.
	paths := make(map[string][]netip.Addr)
	for _, peer := range p.Members {
		for _, a := range peer.Addrs {
			if !a.IsLinkLocalUnicast() { // useless without its interface
				paths[peer.Name] = append(paths[peer.Name], a)
			}
		}
	}
	if !reflect.DeepEqual(paths, m.paths) {
		m.paths = paths
		m.cluster.SetPaths(paths)
	}
}

// tellKin tells the engine who is no stranger: all configured members, also those
// that are not heard at present.
func (m *member) tellKin(p splitbrain.PeerView) {
	witness := make(map[string]bool)
	for _, mem := range m.cluster.Members() {
		witness[mem.Name] = mem.Role == store.RoleWitness
	}
	kin := vrrp.Kin{Complete: true}
	for _, peer := range p.Members {
		kin.Addrs = append(kin.Addrs, peer.Addrs...)
		// A member that has never said where it sends from may yet do so.
		kin.Complete = kin.Complete && (len(peer.Addrs) > 0 || witness[peer.Name])
	}
	if !reflect.DeepEqual(kin, m.kin) {
		m.kin = kin
		// An engine that has stopped hears nobody.
		_ = m.plane.Engine.SetKin(context.Background(), kin)
	}
}

// unitsChanged runs on the engine's goroutine.
func (m *member) unitsChanged(units []vrrp.UnitStatus) {
	if a := m.arbiter.Load(); a != nil {
		a.SetUnits(m.near.Units(units))
	}
	m.view.Units(units)
}

// observe runs on the engine's goroutine.
func (m *member) observe(o vrrp.Observation) {
	a := m.arbiter.Load()
	unit, ok := m.runner.Running().UnitOf[o.Instance]
	if a != nil && ok {
		a.Observe(arbitrate.Evidence(o, unit))
	}
}

// revisionRuns is told by the runner.
func (m *member) revisionRuns(rev store.Revision, state desired.State) {
	m.plane.Guard(state.Guarded(m.cluster.Status().Advertise.Addr()))
	m.near.Moved(state)
	if a := m.arbiter.Load(); a != nil {
		// Kept before any unit asks for one as long.
		a.SetLeaseBound(m.voter.Load().Revision(rev.Number, desired.LongestLease(rev.Text, m.runners())))
		a.SetAloneAfter(state.Mesh.AloneAfter)
		a.SetHeartbeat(state.Mesh.HeartbeatInterval)
		a.SetUnits(m.near.Units(m.plane.Engine.Status()))
		m.tellFacts(a)
	}
	m.view.Update(func(in *observed.Input) { in.Policies = state.Policies() })
	if err := m.cluster.CacheRevision(rev); err != nil {
		m.log.Error("revision is not cached: without it the node waits for the cluster at its next start", "rev", rev.Number, "err", err)
	}
}

// runners are the members that run units.
func (m *member) runners() []string {
	var names []string
	for _, mem := range m.cluster.Members() {
		if mem.Role != store.RoleWitness {
			names = append(names, mem.Name)
		}
	}
	return names
}

// tellFacts gives the heartbeats what they carry of this node, when it has changed.
func (m *member) tellFacts(a *splitbrain.Arbiter) {
	m.factsMu.Lock()
	defer m.factsMu.Unlock()
	facts := observed.Facts{
		Version: version.Version, Revision: m.runner.Running().Revision, StoreError: errorText(m.cluster.Status().Err),
		RestartingUntil: m.restarting.Load(),
	}
	if told := (toldFacts{a, facts}); told != m.facts {
		m.facts = told
		if err := a.SetFacts(facts.Encode(splitbrain.MaxFacts)); err != nil {
			m.log.Error("the others are not told of this node's facts", "err", err)
		}
	}
}

// toldFacts are facts with the arbiter that was told them.
type toldFacts struct {
	arbiter *splitbrain.Arbiter
	facts   observed.Facts
}

// RequestHandover implements api.Arbiter.
func (m *member) RequestHandover(unit, to string) {
	if a := m.arbiter.Load(); a != nil {
		a.RequestHandover(unit, to)
	}
}

// incarnation makes the number that heartbeats carry of a cluster's identity.
func incarnation(clusterID string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(clusterID))
	return h.Sum64()
}
