package alert

import (
	"context"
	"log/slog"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// A Deliverer brings what happened to somebody.
type Deliverer[T any] interface {
	// Deliver brings all of the group, which is never empty, or returns an error
	// and is called again with the same: somebody may hear of one twice.
	Deliver(ctx context.Context, group []T) error
}

const (
	// gather is how long what happens together is waited for.
	gather = time.Second
	// attempts is how often a delivery is tried. The waits between them double
	// from a second: half a minute in all.
	attempts = 6
	// attemptTimeout bounds one attempt.
	attemptTimeout = time.Minute
	// lastAttempt bounds the attempt that is made when ctx ends: it delays the
	// end of the daemon, whose addresses are gone by then.
	lastAttempt = 2 * time.Second
)

// Deliver brings what comes after the value of that number to a deliverer, in
// order, until ctx is done, and then makes one attempt more with the rest. It
// returns the number of the last value that it dealt with. It logs what it must
// give up.
func Deliver[T any](ctx context.Context, from Source[T], seq uint64, to Deliverer[T], log *slog.Logger) uint64 {
	for ctx.Err() == nil {
		group, next, _, more := from.take(seq)
		if len(group) == 0 {
			seq = next
			await(ctx, more)
			continue
		}
		if !kclock.Sleep(ctx, gather) {
			break
		}
		group, next, lost, _ := from.take(seq)
		if lost > 0 {
			log.Error("alerts not delivered: too many at once", "lost", lost)
		}
		err := try(ctx, to, group)
		if err != nil && ctx.Err() != nil {
			break
		}
		if err != nil {
			log.Error("alerts not delivered", "count", len(group), "first", from.name(group[0]), "err", err)
		}
		seq = next
	}
	group, next, _, _ := from.take(seq)
	if len(group) == 0 {
		return next
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastAttempt)
	defer cancel()
	if err := to.Deliver(last, group); err != nil {
		log.Error("alerts not delivered at the end", "count", len(group), "first", from.name(group[0]), "err", err)
	}
	return next
}

// try delivers with bounded repeats.
func try[T any](ctx context.Context, to Deliverer[T], group []T) error {
	var err error
	for i := range attempts {
		if i > 0 && !kclock.Sleep(ctx, time.Second<<(i-1)) {
			return err
		}
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		err = to.Deliver(attempt, group)
		cancel()
		if err == nil {
			return nil
		}
	}
	return err
}

// await waits for a channel, at the longest until ctx is done.
func await(ctx context.Context, ready <-chan struct{}) {
	select {
	case <-ready:
	case <-ctx.Done():
	}
}
