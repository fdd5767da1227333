package alert

import (
	"context"
	"log/slog"
	"time"
)

// A Deliverer brings changes of alerts to somebody.
type Deliverer interface {
	// Deliver brings all of them, or returns an error and is called again with
	// the same: somebody may hear of one twice.
	Deliver(ctx context.Context, changes []Alert) error
}

const (
	// gather is how long what happens together is waited for.
	gather = time.Second
	// attempts is how often a delivery is tried. The waits between them double
	// from a second: half a minute in all.
	attempts = 6
	// attemptTimeout bounds one attempt.
	attemptTimeout = time.Minute
)

// Deliver brings each change of the hub from now on to a deliverer, in order,
// until ctx is done. It logs what it must give up.
func Deliver(ctx context.Context, h *Hub, to Deliverer, log *slog.Logger) error {
	seq := h.Last()
	for {
		changes, _, next := h.After(seq)
		if len(changes) == 0 && !await(ctx, next) {
			return context.Cause(ctx)
		}
		if !sleep(ctx, gather) {
			return context.Cause(ctx)
		}
		changes, lost, _ := h.After(seq)
		if lost > 0 {
			log.Error("alerts not delivered: too many at once", "alerts", lost)
		}
		alerts := make([]Alert, len(changes))
		for i, c := range changes {
			alerts[i], seq = c.Alert, c.Seq
		}
		if err := try(ctx, to, alerts); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			log.Error("alerts not delivered", "alerts", len(alerts), "first", alerts[0].ID, "err", err)
		}
	}
}

// try delivers with bounded repeats.
func try(ctx context.Context, to Deliverer, alerts []Alert) error {
	var err error
	for i := range attempts {
		if i > 0 && !sleep(ctx, time.Second<<(i-1)) {
			return err
		}
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		err = to.Deliver(attempt, alerts)
		cancel()
		if err == nil {
			return nil
		}
	}
	return err
}

// await waits for a channel, and reports false when ctx is done first.
func await(ctx context.Context, ready <-chan struct{}) bool {
	select {
	case <-ready:
		return true
	case <-ctx.Done():
		return false
	}
}

// sleep waits for a time, and reports false when ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
