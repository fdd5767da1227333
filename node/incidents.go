package node

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/incident"
	"github.com/hacluster/hacluster/splitbrain"
)

// Times of the incidents. Nothing that holds an address waits for any of them.
const (
	lookEvery  = 100 * time.Millisecond // at most, when something changes
	lookAlways = time.Second            // at least
	giveEvery  = time.Second
	giveTime   = 5 * time.Second // for one part
	// aloneAfter is how long no leader may be known before a node tells people
	// itself: an election is shorter.
	aloneAfter = 5 * time.Second
)

// incidents finds incidents, gives them to the cluster, and has people told.
type incidents struct {
	log     *slog.Logger
	node    string
	view    *observed.View
	machine *incident.Machine
	traces  *traces
	leader  func() string // of the store; empty: none is known
	apply   func(ctx context.Context, operation string, cmd store.Command) ([]byte, error)

	mu      sync.Mutex
	tracker *incident.Tracker // guarded by mu

	// Of the goroutine that tells.
	told       map[string]*notice // by alert ID
	leaderless time.Time          // since when no leader is known; zero: one is
}

// notice is how far people are told of one open incident.
type notice struct {
	raised  bool // the alert stands in this node's hub; else another leader raised it
	reminds int  // reminders that were due
}

func newIncidents(m *member, machine *incident.Machine, boot splitbrain.BootID) *incidents {
	return &incidents{
		log: m.log, node: m.o.Name, view: m.view, machine: machine, traces: m.traces,
		leader:  func() string { return m.cluster.Status().Leader },
		apply:   m.cluster.Apply,
		tracker: incident.NewTracker(m.o.Name, uint64(boot)),
		told:    make(map[string]*notice),
	}
}

// look follows what this node knows until ctx is done.
func (i *incidents) look(ctx context.Context) error {
	hub, seq := i.view.Hub, uint64(0)
	for {
		events, _ := hub.Events(seq)
		if len(events) > 0 {
			seq = events[len(events)-1].Seq
		}
		changed := hub.Changed()
		known := i.view.Known()
		i.mu.Lock()
		i.tracker.Step(&incident.Input{
			Now: time.Now(), Units: known.Self.Units, Peers: known.Peers, Cluster: known.Cluster, Clocks: known.Clocks, Events: events,
		})
		i.mu.Unlock()
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

// give hands this node's parts to the cluster, and tells people, until ctx is done.
func (i *incidents) give(ctx context.Context) error {
	for kclock.Sleep(ctx, giveEvery) {
		i.round(ctx)
	}
	return context.Cause(ctx)
}

// round does once what give does.
func (i *incidents) round(ctx context.Context) {
	leads, alone := i.tellsPeople()
	i.tellOwn(alone) // a part that is over is not kept once it was given
	i.mu.Lock()
	changes := i.tracker.Parts()
	i.mu.Unlock()
	for _, c := range changes {
		i.traces.keep(&c.Part)
	}
	for _, c := range changes {
		cmd, err := incident.Put(c.Part)
		if err == nil {
			err = i.commit(ctx, "report an incident", cmd)
		}
		if err != nil {
			// It stays here, and is given when there is a majority.
			i.log.Debug("incident not reported yet", "incident", c.Local, "err", err)
			break
		}
		i.mu.Lock()
		i.tracker.Given(c)
		i.mu.Unlock()
	}
	if leads {
		i.tellRecords(ctx)
	} else {
		i.endRecords()
	}
}

func (i *incidents) commit(ctx context.Context, operation string, cmd store.Command) error {
	ctx, cancel := context.WithTimeout(ctx, giveTime)
	defer cancel()
	_, err := i.apply(ctx, operation, cmd)
	return err
}

// stories are all incidents that this node knows, the oldest first: the cluster's,
// and those of its own that the cluster does not have.
func (i *incidents) stories() []incident.Story {
	known := i.view.Known()
	records, _ := i.machine.Records()
	given := make(map[string]bool)
	var out []incident.Story
	for _, r := range records {
		for _, p := range r.Parts {
			given[p.Local] = true
		}
		out = append(out, r.Tell(i.node, known.Clocks))
	}
	i.mu.Lock()
	parts := i.tracker.Local()
	i.mu.Unlock()
	for _, p := range parts {
		if !given[p.Local] {
			r := incident.Record{Parts: []incident.Part{p}}
			out = append(out, r.Tell(i.node, known.Clocks))
		}
	}
	return out
}

// stories are what this membership knows.
func (m *member) stories() []incident.Story {
	if i := m.incidents.get(); i != nil {
		return i.stories()
	}
	return nil
}

// decisions are what this node decided around an incident.
func (m *member) decisions(s *incident.Story) ([]*splitbrain.Traced, error) {
	var out []*splitbrain.Traced
	for _, local := range s.Locals[m.o.Name] {
		list, err := m.traces.read(local)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// tellsPeople reports whether this node is the one that tells people what all
// nodes know: the leader, or one that has not known a leader for a while.
func (i *incidents) tellsPeople() (leads, alone bool) {
	leader := i.leader()
	switch {
	case leader != "":
		i.leaderless = time.Time{}
	case i.leaderless.IsZero():
		i.leaderless = time.Now()
	}
	return leader == i.node, !i.leaderless.IsZero() && time.Since(i.leaderless) >= aloneAfter
}

// tellRecords raises one alert for each incident of the cluster, on the leader.
func (i *incidents) tellRecords(ctx context.Context) {
	records, _ := i.machine.Records()
	clocks := i.view.Known().Clocks
	for _, r := range records {
		if r.Told && r.ToldClosed || r.ToldByReporter() {
			continue
		}
		story := r.Tell(i.node, clocks)
		closed := !story.Closed.IsZero()
		if id := observed.IncidentAlert + story.ID(); r.Told && i.told[id] == nil {
			// A leader before this one has told of it.
			due, _ := story.Reminders(time.Now())
			i.told[id] = &notice{reminds: due}
		}
		i.raise(&story, false)
		if r.Told && !closed {
			continue
		}
		cmd, err := incident.Told(r.Number, closed)
		if err == nil {
			err = i.commit(ctx, "note that people were told", cmd)
		}
		if err != nil {
			i.log.Debug("others may tell it again", "incident", r.Number, "err", err)
		}
	}
}

// endRecords ends the alerts that this node raised when it was the leader. People
// are told so by the one that leads now; see member.tells.
func (i *incidents) endRecords() {
	maps.DeleteFunc(i.told, func(_ string, n *notice) bool { return !n.raised })
	if len(i.told) == 0 {
		return
	}
	records, _ := i.machine.Records()
	clocks := i.view.Known().Clocks
	for _, r := range records {
		story := r.Tell(i.node, clocks)
		if i.told[observed.IncidentAlert+story.ID()] != nil && !story.Closed.IsZero() {
			i.raise(&story, false)
		}
	}
}

// tellOwn tells what this node has seen while it knows no leader, and the end of
// what it told.
func (i *incidents) tellOwn(alone bool) {
	i.mu.Lock()
	parts := i.tracker.Local()
	i.mu.Unlock()
	clocks := i.view.Known().Clocks
	for _, p := range parts {
		if !p.Told && !(alone && p.Closed.IsZero()) {
			continue
		}
		r := incident.Record{Parts: []incident.Part{p}}
		story := r.Tell(i.node, clocks)
		i.raise(&story, true)
		i.mu.Lock()
		i.tracker.SetTold(p.Local)
		i.mu.Unlock()
	}
}

// raise opens or ends the alert of an incident, and reminds of it.
func (i *incidents) raise(s *incident.Story, isolated bool) {
	a := s.Alert(i.node, isolated)
	due, after := s.Reminders(time.Now())
	n := i.told[a.ID]
	if n == nil {
		n = &notice{}
		i.told[a.ID] = n
		i.open(n, a)
	}
	switch {
	case !a.Resolved.IsZero():
		if !n.raised {
			i.open(n, a) // its end says what it was
		}
		i.view.Alert(a)
		delete(i.told, a.ID)
	case due > n.reminds:
		n.reminds = due
		a.Summary = fmt.Sprintf("still open after %v: %s", after, a.Summary)
		i.open(n, a)
	}
}

func (i *incidents) open(n *notice, a observed.Alert) {
	a.Resolved = time.Time{}
	n.raised = true
	i.view.Alert(a)
}
