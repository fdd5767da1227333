package run

import (
	"context"
	"log/slog"
	"sync"
)

// Queue runs commands in the order given for each key. Each is run once as long
// as the process lives; one that fails is logged, not repeated.
type Queue struct {
	log    *slog.Logger
	run    func(context.Context, Command) Result
	ctx    context.Context // of everything that runs; ended by Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	waiting map[string][]Command // by key; present while a goroutine works on it
	closed  bool
}

// NewQueue returns an empty queue.
func NewQueue(log *slog.Logger) *Queue {
	ctx, cancel := context.WithCancel(context.Background())
	return &Queue{log: log, run: Run, ctx: ctx, cancel: cancel, waiting: map[string][]Command{}}
}

// queueWarning is the length of a queue at which a warning is logged, and again
// at each doubling: something hangs, and nothing may be dropped.
const queueWarning = 16

// Put adds a command and returns at once.
func (q *Queue) Put(key string, c Command) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	list, running := q.waiting[key]
	list = append(list, c)
	q.waiting[key] = list
	if n := len(list); n >= queueWarning && n&(n-1) == 0 {
		q.log.Warn("scripts wait for one that does not end", "instance", key, "waiting", n)
	}
	if !running {
		q.wg.Go(func() { q.work(key) })
	}
}

// work runs what waits under a key until nothing does.
func (q *Queue) work(key string) {
	for {
		q.mu.Lock()
		list := q.waiting[key]
		if len(list) == 0 || q.ctx.Err() != nil {
			delete(q.waiting, key)
			q.mu.Unlock()
			if len(list) > 0 {
				q.log.Warn("scripts not run: no time is left", "instance", key, "scripts", len(list))
			}
			return
		}
		c := list[0]
		q.waiting[key] = list[1:]
		q.mu.Unlock()

		r := q.run(q.ctx, c)
		attrs := []any{"instance", key, "script", c.Argv, "result", r.String(), "took", r.Took}
		if r.Output != "" {
			attrs = append(attrs, "output", r.Output)
		}
		if r.OK() {
			q.log.Debug("script ended", attrs...)
		} else {
			q.log.Warn("script failed", attrs...)
		}
	}
}

// Close waits until all is run, or ends what runs when ctx is done, drops the
// rest, and returns the context's error. Put does nothing afterwards.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	defer q.cancel()
	idle := make(chan struct{})
	go func() {
		q.wg.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		q.cancel()
		<-idle
		return context.Cause(ctx)
	}
}
