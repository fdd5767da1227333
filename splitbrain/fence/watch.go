package fence

import (
	"context"
	"reflect"
	"sync"
	"time"
)

// CheckEvery is how often each agent is checked.
const CheckEvery = 10 * time.Minute

// Verdict is the result of checking one agent.
type Verdict struct {
	Agent Agent
	Err   error // nil: it would work
	At    time.Time
}

// Watch checks agents: at once when they are new or changed, and every
// CheckEvery. It checks one after the other, so that a device that hangs costs
// one process.
type Watch struct {
	report func(Verdict)
	check  func(context.Context, *Agent) error
	wake   chan struct{} // size one: the agents are others than before

	mu     sync.Mutex
	agents []Agent // guarded by mu; replaced, never changed
}

// NewWatch returns a Watch without agents. Report is called by its one goroutine
// after each check.
func NewWatch(report func(Verdict)) *Watch {
	return &Watch{
		report: report,
		check:  func(ctx context.Context, a *Agent) error { return a.Check(ctx) },
		wake:   make(chan struct{}, 1),
	}
}

// SetAgents gives the agents to watch in place of those before.
func (w *Watch) SetAgents(agents []Agent) {
	w.mu.Lock()
	w.agents = agents
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it will look anyhow
	}
}

// Run checks until ctx is done.
func (w *Watch) Run(ctx context.Context) error {
	type entry struct {
		agent Agent
		next  time.Time
	}
	var known []entry
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w.mu.Lock()
		agents := w.agents
		w.mu.Unlock()
		next := make([]entry, 0, len(agents))
		for _, a := range agents {
			e := entry{agent: a} // due at once
			for _, k := range known {
				if reflect.DeepEqual(k.agent, a) {
					e = k
				}
			}
			next = append(next, e)
		}
		known = next
		due := time.Now().Add(CheckEvery)
		for i := range known {
			e := &known[i]
			if now := time.Now(); !now.Before(e.next) {
				err := w.check(ctx, &e.agent)
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				w.report(Verdict{Agent: e.agent, Err: err, At: now})
				e.next = now.Add(CheckEvery)
			}
			if e.next.Before(due) {
				due = e.next
			}
		}
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-w.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
