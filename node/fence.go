package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/splitbrain/fence"
	"github.com/hacluster/hacluster/vrrp"
)

// This file is the seam between splitbrain, which decides whom to fence, and
// splitbrain/fence, which runs the agents. Neither knows the other.

const (
	// fenceEvery is how often fencing is looked at when nothing happens.
	fenceEvery = 500 * time.Millisecond
	// fenceAround is what a vote must last beyond the agent's own time: until a
	// member that counts the votes has begun, and a hung agent is killed.
	fenceAround = 15 * time.Second
	// proveEvery is how often a suspect is probed, and proveApart the time
	// between the two probes of one proof.
	proveEvery = time.Second
	proveApart = 110 * time.Millisecond
)

// prover asks a member whether it takes packets for a unit.
type prover interface {
	// TakesPackets sends a packet for an address of the unit to the hardware
	// address of the member, by unicast, and reports whether an answer came from
	// a hardware address of that same member. It returns within a second.
	TakesPackets(ctx context.Context, unit, member string) (bool, error)
}

// fenceOptions are what fencing works with. All but prover are required.
type fenceOptions struct {
	log     *slog.Logger
	node    string
	boot    splitbrain.BootID
	arbiter *splitbrain.Arbiter
	prover  prover // nil: nothing is proved, and only claims count
	alert   func(splitbrain.Alert)

	members  func() []store.Member
	units    func() []vrrp.UnitStatus
	state    func() desired.State
	disarmed func() bool
}

// fencing switches off members that do not let go, for one membership.
type fencing struct {
	fenceOptions

	peers latest[splitbrain.PeerView]
	wake  chan struct{} // size one: peers is another

	watch *fence.Watch

	// Of run's goroutine.
	words  []splitbrain.FenceWord
	proofs map[splitbrain.Suspect]splitbrain.FenceProof
	probed map[splitbrain.Suspect]time.Time
	agents []fence.Agent // that are watched
	failed map[string]splitbrain.Alert
}

// ended is how a run of an agent ended.
type ended struct {
	order splitbrain.FenceOrder
	err   error
}

// proved is the answer of the prover.
type proved struct {
	suspect splitbrain.Suspect
	proof   splitbrain.FenceProof
}

func newFencing(o fenceOptions) *fencing {
	return &fencing{
		fenceOptions: o,
		wake:         make(chan struct{}, 1),
		proofs:       make(map[splitbrain.Suspect]splitbrain.FenceProof),
		probed:       make(map[splitbrain.Suspect]time.Time),
		failed:       make(map[string]splitbrain.Alert),
	}
}

// peerView is what the members say; nothing while this node is in no cluster.
func (m *member) peerView() splitbrain.PeerView {
	if f := m.fencing.get(); f != nil {
		return f.peers.get()
	}
	return splitbrain.PeerView{}
}

// setPeers runs on the arbiter's goroutine.
func (f *fencing) setPeers(p splitbrain.PeerView) {
	f.peers.set(p)
	select {
	case f.wake <- struct{}{}:
	default: // it will look at the newest
	}
}

// run decides until ctx is done. Agents and probes run in goroutines of their own
// that end with ctx; their results come back by channels.
func (f *fencing) run(ctx context.Context) error {
	f.arbiter.SetMACs(ownHardware()) // by which others prove what this node takes
	fencer := splitbrain.NewFencer()
	results, proofs := make(chan ended), make(chan proved)
	verdicts := make(chan fence.Verdict)
	f.watch = fence.NewWatch(func(v fence.Verdict) {
		select {
		case verdicts <- v:
		case <-ctx.Done():
		}
	})
	go f.watch.Run(ctx) // checks agents one after the other; ends with ctx
	ticker := time.NewTicker(fenceEvery)
	defer ticker.Stop()
	for {
		view := f.view(time.Now())
		d := fencer.Step(view)
		f.tell(&d)
		if d.Start != nil {
			f.begin(ctx, *d.Start, results)
		}
		f.prove(ctx, d.Suspects, proofs)
		f.watchAgents()
		select {
		case r := <-results:
			f.end(r)
			fencer.Ended(time.Now(), r.err)
		case p := <-proofs:
			f.proofs[p.suspect] = p.proof
		case v := <-verdicts:
			f.checked(v)
		case <-f.wake:
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// view collects what fencing depends on.
func (f *fencing) view(now time.Time) *splitbrain.FenceView {
	v := &splitbrain.FenceView{
		Now: now, Node: f.node, Boot: f.boot, Peers: f.peers.get(), Disarmed: f.disarmed(),
	}
	voters := v.Peers.Electorate
	v.Voter = voters.Has(f.node)
	for _, m := range f.members() {
		if m.Name != f.node {
			v.Members = append(v.Members, splitbrain.FenceMember{Name: m.Name, Voter: voters.Has(m.Name)})
		}
	}
	status := f.units()
	for _, u := range f.state().Units {
		i := slices.IndexFunc(status, func(s vrrp.UnitStatus) bool { return s.Name == u.Spec.Name })
		if i >= 0 && len(u.SplitBrain.Fencing.Agents) > 0 && u.SplitBrain.Policy != "off" {
			v.Units = append(v.Units, fenceUnit(&u, &status[i], &v.Peers, now))
		}
	}
	for _, p := range f.proofs {
		v.Proofs = append(v.Proofs, p)
	}
	return v
}

func fenceUnit(u *desired.Unit, s *vrrp.UnitStatus, peers *splitbrain.PeerView, now time.Time) splitbrain.FenceUnit {
	fencing := &u.SplitBrain.Fencing
	out := splitbrain.FenceUnit{
		Name:   s.Name,
		Quorum: u.SplitBrain.Policy == "quorum",
		Holds:  s.State == vrrp.Master,
		Tenure: splitbrain.Tenure{Seq: s.Tenure.Seq, Priority: uint8(s.Tenure.Priority), Primary: s.Tenure.Primary},
		After:  fencing.After,
		First:  fencing.First,
		Delay:  fencing.Delay,
		Span:   fencing.Timeout + fenceAround,
	}
	for _, a := range fencing.Agents {
		out.Targets = append(out.Targets, a.Node)
	}
	for _, l := range peers.Leases {
		out.Leased = out.Leased || l.Unit == s.Name && l.Tenure == s.Tenure.Seq && peers.At.Add(l.Left).After(now)
	}
	return out
}

// tell carries out what needs no waiting.
func (f *fencing) tell(d *splitbrain.FenceDecision) {
	if !sameWords(f.words, d.Words) {
		f.words = d.Words
		f.arbiter.SetFencing(d.Words)
	}
	for _, life := range d.Fenced {
		f.log.Info("a fenced node's grants are free", "node", life.Node)
		f.arbiter.Fenced(life)
	}
	for _, a := range d.Alerts {
		f.alert(a)
	}
}

// sameWords compares what is said but for its age.
func sameWords(a, b []splitbrain.FenceWord) bool {
	return slices.EqualFunc(a, b, func(x, y splitbrain.FenceWord) bool {
		x.Age, y.Age = 0, 0
		return x == y
	})
}

// begin runs the agent.
func (f *fencing) begin(ctx context.Context, o splitbrain.FenceOrder, results chan<- ended) {
	agent, ok := f.agent(o.Unit, o.Node)
	f.log.Error("fencing a node", "unit", o.Unit, "node", o.Node, "agent", agent.Program, "action", string(agent.Action), "evidence", o.Evidence)
	go func() { // ends with the agent, which has a timeout, or with ctx
		err := fmt.Errorf("no fence_agent is configured for %s any more", o.Node)
		if ok {
			err = agent.Fence(ctx)
		}
		select {
		case results <- ended{o, err}:
		case <-ctx.Done():
		}
	}()
}

func (f *fencing) end(r ended) {
	if r.err != nil {
		f.log.Error("fencing failed", "unit", r.order.Unit, "node", r.order.Node, "err", r.err)
		return
	}
	f.log.Error("node is fenced", "unit", r.order.Unit, "node", r.order.Node)
}

// prove lets suspects be probed, two probes for a proof.
func (f *fencing) prove(ctx context.Context, suspects []splitbrain.Suspect, proofs chan<- proved) {
	now := time.Now()
	if f.prover == nil {
		return
	}
	for _, s := range suspects {
		if now.Sub(f.probed[s]) < proveEvery {
			continue
		}
		f.probed[s] = now
		go func() { // ends with its two probes, or with ctx
			var p splitbrain.FenceProof
			for i := range 2 {
				at := time.Now()
				if ok, err := f.prover.TakesPackets(ctx, s.Unit, s.Node); err != nil || !ok {
					return // no proof; an older one runs out
				}
				if i == 0 {
					p = splitbrain.FenceProof{Unit: s.Unit, Node: s.Node, First: at}
				}
				p.Last = at
				select {
				case <-time.After(proveApart):
				case <-ctx.Done():
					return
				}
			}
			select {
			case proofs <- proved{s, p}:
			case <-ctx.Done():
			}
		}()
	}
}
