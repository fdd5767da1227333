package directors

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

// Options are what a Follower works with. All are required; the functions but Look and
// Ask must not block.
type Options struct {
	Node string
	// Look is what this node sees, also of those that are asked for.
	Look func(ctx context.Context, asked map[director.ServerKey]bool) (director.Sight, error)
	// Peers are the other members with the facts of their heartbeats.
	Peers func() splitbrain.PeerView
	// Changed is told that Word is another one.
	Changed func()
	// Ask asks another member why it sees a real server down.
	Ask   func(ctx context.Context, node, service string, server netip.AddrPort) (reason string, err error)
	Alert func(observed.Alert)
	// Hear takes how many others are sure of the servers that this node does not see up.
	Hear func(map[director.ServerKey]director.Others)
}

// Follower compares what this node sees with what the others see.
type Follower struct {
	o    Options
	word atomic.Pointer[string]

	// Of Run's goroutine.
	tracker tracker
	open    map[director.ServerKey]observed.Alert
	heard   map[director.ServerKey]director.Others // given to Hear last
}

// New returns a Follower that has seen nothing.
func New(o Options) *Follower {
	f := &Follower{o: o, open: make(map[director.ServerKey]observed.Alert)}
	f.word.Store(new(string))
	return f
}

// Word is what the heartbeats shall say for this node, for observed.Facts.
func (f *Follower) Word() string { return *f.word.Load() }

const (
	// HeardFor is how long a word of another director counts after it was heard.
	HeardFor = 3 * time.Second
	// every is the time between two looks.
	every = 500 * time.Millisecond
	// answers bounds the wait for what this node sees, and for what another one is asked.
	answers = time.Second
)

// Run compares until ctx is done.
func (f *Follower) Run(ctx context.Context) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f.look(ctx, time.Now())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look compares once.
func (f *Follower) look(ctx context.Context, now time.Time) {
	words, asked := f.words(now), make(map[director.ServerKey]bool)
	for _, w := range words {
		for _, s := range w.servers {
			asked[s.key()] = true
		}
	}
	bounded, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	sight, err := f.o.Look(bounded, asked)
	if err != nil && !errors.Is(err, director.ErrNotRunning) {
		return // the director is busy: what was said stands for now
	}
	own := wordOf(sight)
	if said := own.encode(); said != f.Word() {
		f.word.Store(&said)
		f.o.Changed()
	}
	others := make(map[string]*word)
	for name, w := range words {
		if w.set == own.set {
			others[name] = &w
		}
	}
	f.hear(sight.NotUp, others)
	f.tell(ctx, now, f.tracker.step(now, f.o.Node, sight.Servers, others))
}

// words are those of the other directors that count.
func (f *Follower) words(now time.Time) map[string]word {
	words := make(map[string]word)
	for _, m := range f.o.Peers().Members {
		if m.Leaving || !m.Fresh && now.Sub(m.At) > HeardFor { // heartbeats may be further apart
			continue
		}
		if w, ok := parse(observed.DecodeFacts(m.Facts).Sees); ok {
			words[m.Name] = w
		}
	}
	return words
}

// hear gives what others see of servers that this node does not see up, if that is
// something else than before.
func (f *Follower) hear(notUp []director.Glimpse, others map[string]*word) {
	heard := make(map[director.ServerKey]director.Others)
	for _, s := range notUp {
		var o director.Others
		for _, w := range others {
			switch w.of(s.Key) {
			case director.SeesDown:
				o.Down++
				o.Heard++
			case director.SeesUp:
				o.Heard++
			}
		}
		if o.Heard > 0 {
			heard[s.Key] = o
		}
	}
	if !maps.Equal(heard, f.heard) {
		f.heard = heard
		f.o.Hear(heard)
	}
}

// tell opens alerts about quarrels that last, and ends those that are over. No more
// than mostSaid stand at once.
func (f *Follower) tell(ctx context.Context, now time.Time, quarrels []quarrel) {
	for key, a := range f.open {
		if !slices.ContainsFunc(quarrels, func(q quarrel) bool { return q.Key == key }) {
			delete(f.open, key)
			a.Resolved = now
			f.o.Alert(a)
		}
	}
	for i := range quarrels {
		q := &quarrels[i]
		was, open := f.open[q.Key]
		if !open && (!q.lasting(now) || len(f.open) >= mostSaid) {
			continue
		}
		a := observed.PartialFailure(q.Service, q.Server, q.down, q.up, q.since)
		if open && a.Summary == was.Summary && a.Node == was.Node {
			continue
		}
		reasons, all := f.reasons(ctx, q)
		if !all && !open && now.Sub(q.since) < q.Settles+2*travel {
			continue // who does not answer is asked again for a while
		}
		a.Evidence = append(reasons, "seen up by "+observed.And(q.up))
		f.open[q.Key] = a
		f.o.Alert(a)
	}
}

// reasons are why a server is seen down, by those who see it so; all says whether they
// have answered.
func (f *Follower) reasons(ctx context.Context, q *quarrel) (out []string, all bool) {
	ctx, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	out = make([]string, len(q.down))
	var (
		wg     sync.WaitGroup
		silent atomic.Bool
	)
	for i, name := range q.down {
		if name == f.o.Node {
			out[i] = name + " sees it down: " + q.Reason
			continue
		}
		wg.Go(func() { // ends with the answer, or with its time
			reason, err := f.o.Ask(ctx, name, q.Service, q.Server)
			if err != nil {
				reason = "it could not be asked why: " + err.Error()
				silent.Store(true)
			}
			out[i] = name + " sees it down: " + reason
		})
	}
	wg.Wait()
	return out, !silent.Load()
}
