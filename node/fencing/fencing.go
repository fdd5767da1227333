package fencing

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/node/arbitrate"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// lookEvery is how often fencing is looked at when nothing happens.
const lookEvery = 500 * time.Millisecond

// Options are what fencing works with. All are required.
type Options struct {
	Log     *slog.Logger
	Node    string
	Boot    splitbrain.BootID
	Arbiter *splitbrain.Arbiter
	Alert   func(splitbrain.Alert)

	Members  func() []store.Member
	Units    func() []vrrp.UnitStatus
	State    func() desired.State
	Peers    func() splitbrain.PeerView
	Disarmed func() bool
}

// Fencing switches off members that do not let go, for one membership.
type Fencing struct {
	Options

	wake chan struct{} // size one: what Peers says is another

	// Of Run's goroutine.
	words  []splitbrain.FenceWord
	proofs map[splitbrain.Suspect]splitbrain.FenceProof
	probed map[splitbrain.Suspect]time.Time
	agents *agents
}

// ended is how a run of an agent ended.
type ended struct {
	order splitbrain.FenceOrder
	err   error
}

// New returns fencing that has decided nothing.
func New(o Options) *Fencing {
	return &Fencing{
		Options: o,
		wake:    make(chan struct{}, 1),
		proofs:  make(map[splitbrain.Suspect]splitbrain.FenceProof),
		probed:  make(map[splitbrain.Suspect]time.Time),
	}
}

// PeersChanged lets Run look at the members anew. It does not block.
func (f *Fencing) PeersChanged() {
	select {
	case f.wake <- struct{}{}:
	default: // it will look at the newest
	}
}

// Run decides until ctx is done. Agents and probes run in goroutines of their own
// that end with ctx; their results come back by channels.
func (f *Fencing) Run(ctx context.Context) error {
	fencer := splitbrain.NewFencer()
	results, proofs := make(chan ended), make(chan proved)
	f.agents = newAgents(ctx, f.Node, f.Alert)
	go f.agents.watch.Run(ctx) // checks agents one after the other; ends with ctx
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		view := f.view(time.Now())
		d := fencer.Step(view)
		f.tell(&d)
		if d.Start != nil {
			f.begin(ctx, *d.Start, results)
		}
		f.prove(ctx, d.Suspects, proofs)
		f.agents.follow(f.State())
		select {
		case r := <-results:
			f.end(r)
			fencer.Ended(time.Now(), r.err)
		case p := <-proofs:
			f.proofs[p.suspect] = p.proof
		case v := <-f.agents.verdicts:
			f.agents.checked(v)
		case <-f.wake:
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// view collects what fencing depends on.
func (f *Fencing) view(now time.Time) *splitbrain.FenceView {
	v := &splitbrain.FenceView{
		Now: now, Node: f.Node, Boot: f.Boot, Peers: f.Peers(), Disarmed: f.Disarmed(),
	}
	voters := v.Peers.Electorate
	v.Voter = voters.Has(f.Node)
	for _, m := range f.Members() {
		if m.Name != f.Node {
			v.Members = append(v.Members, splitbrain.FenceMember{Name: m.Name, Voter: voters.Has(m.Name)})
		}
	}
	v.Units = arbitrate.FenceUnits(f.Units(), f.State(), &v.Peers, now)
	for _, p := range f.proofs {
		v.Proofs = append(v.Proofs, p)
	}
	return v
}

// tell carries out what needs no waiting.
func (f *Fencing) tell(d *splitbrain.FenceDecision) {
	if !sameWords(f.words, d.Words) {
		f.words = d.Words
		f.Arbiter.SetFencing(d.Words)
	}
	for _, life := range d.Fenced {
		f.Log.Info("a fenced node's grants are free", "node", life.Node)
		f.Arbiter.Fenced(life)
	}
	for _, a := range d.Alerts {
		f.Alert(a)
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
func (f *Fencing) begin(ctx context.Context, o splitbrain.FenceOrder, results chan<- ended) {
	agent, ok := agentFor(f.State(), o.Unit, o.Node)
	f.Log.Error("fencing a node", "unit", o.Unit, "node", o.Node, "agent", agent.Program, "action", string(agent.Action), "evidence", o.Evidence)
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

func (f *Fencing) end(r ended) {
	if r.err != nil {
		f.Log.Error("fencing failed", "unit", r.order.Unit, "node", r.order.Node, "err", r.err)
		return
	}
	f.Log.Error("node is fenced", "unit", r.order.Unit, "node", r.order.Node)
}
