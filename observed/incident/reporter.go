package incident

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

// Times of the incidents. Nothing that holds an address waits for any of them.
const (
	lookEvery  = 100 * time.Millisecond // at most, when something changes
	lookAlways = time.Second            // at least
	giveEvery  = time.Second
	giveTime   = 5 * time.Second // for one part
)

// ReporterOptions are what a Reporter works with. All are required.
type ReporterOptions struct {
	Node    string
	Boot    uint64 // of this life of the node
	Log     *slog.Logger
	View    *observed.View
	Machine *Machine
	Traces  *Traces
	Leader  func() string // of the store; empty: none is known
	// Apply has a command carried out by the cluster.
	Apply func(ctx context.Context, operation string, cmd store.Command) ([]byte, error)
}

// Reporter finds incidents, gives them to the cluster, and has people told.
type Reporter struct {
	ReporterOptions
	teller teller // of Give's goroutine

	mu      sync.Mutex
	tracker *Tracker // guarded by mu
}

// NewReporter returns a reporter that has seen nothing.
func NewReporter(o ReporterOptions) *Reporter {
	r := &Reporter{ReporterOptions: o, tracker: NewTracker(o.Node, o.Boot)}
	r.teller = teller{ReporterOptions: o, told: make(map[string]*notice)}
	return r
}

// Look follows what this node knows until ctx is done.
func (r *Reporter) Look(ctx context.Context) error {
	hub, seq := r.View.Hub, uint64(0)
	for {
		events, _ := hub.Events(seq)
		if len(events) > 0 {
			seq = events[len(events)-1].Seq
		}
		changed := hub.Changed()
		known := r.View.Known()
		r.mu.Lock()
		r.tracker.Step(&Input{
			Now: time.Now(), Units: known.Self.Units, Peers: known.Peers, Cluster: known.Cluster, Clocks: known.Clocks, Events: events,
		})
		r.mu.Unlock()
		if !kclock.Sleep(ctx, lookEvery) {
			return context.Cause(ctx)
		}
		select {
		case <-changed:
		case <-time.After(lookAlways - lookEvery):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Give hands this node's parts to the cluster, and tells people, until ctx is done.
func (r *Reporter) Give(ctx context.Context) error {
	for kclock.Sleep(ctx, giveEvery) {
		r.round(ctx)
	}
	return context.Cause(ctx)
}

// round does once what Give does.
func (r *Reporter) round(ctx context.Context) {
	leads, alone := r.teller.tellsPeople()
	// A part that is over is not kept once it was given.
	told := r.teller.tellOwn(r.local(), alone)
	r.mu.Lock()
	for _, local := range told {
		r.tracker.SetTold(local)
	}
	changes := r.tracker.Parts()
	r.mu.Unlock()
	for _, c := range changes {
		r.Traces.keep(&c.Part)
	}
	for _, c := range changes {
		cmd, err := Put(c.Part)
		if err == nil {
			err = r.commit(ctx, "report an incident", cmd)
		}
		if err != nil {
			// It stays here, and is given when there is a majority.
			r.Log.Debug("incident not reported yet", "incident", c.Local, "err", err)
			break
		}
		r.mu.Lock()
		r.tracker.Given(c)
		r.mu.Unlock()
	}
	if leads {
		r.teller.tellRecords(ctx)
	} else {
		r.teller.endRecords()
	}
}

func (o *ReporterOptions) commit(ctx context.Context, operation string, cmd store.Command) error {
	ctx, cancel := context.WithTimeout(ctx, giveTime)
	defer cancel()
	_, err := o.Apply(ctx, operation, cmd)
	return err
}

// Stories are all incidents that this node knows, the oldest first: the cluster's,
// and those of its own that the cluster does not have.
func (r *Reporter) Stories() []Story {
	known := r.View.Known()
	records, _ := r.Machine.Records()
	given := make(map[string]bool)
	var out []Story
	for _, rec := range records {
		for _, p := range rec.Parts {
			given[p.Local] = true
		}
		out = append(out, rec.Tell(r.Node, known.Clocks))
	}
	for _, p := range r.local() {
		if !given[p.Local] {
			rec := Record{Parts: []Part{p}}
			out = append(out, rec.Tell(r.Node, known.Clocks))
		}
	}
	return out
}

// local are this node's own parts.
func (r *Reporter) local() []Part {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tracker.Local()
}

// Decisions are what this node decided around an incident.
func (r *Reporter) Decisions(s *Story) ([]*splitbrain.Traced, error) {
	var out []*splitbrain.Traced
	for _, local := range s.Locals[r.Node] {
		list, err := r.Traces.read(local)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}
