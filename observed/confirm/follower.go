package confirm

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/observed"
)

const (
	// lookEvery is how often a follower looks at the revisions while a wish stands.
	lookEvery = 500 * time.Millisecond
	// stepTime bounds one attempt to carry out a step. It is tried again.
	stepTime = 5 * time.Second
)

// Follower carries out on one node what a wish asks for.
type Follower struct {
	Node      string
	Log       *slog.Logger
	Machine   *Machine
	Revisions Revisions
	// Apply has a command carried out by the cluster.
	Apply func(ctx context.Context, operation string, cmd store.Command) ([]byte, error)
	// Propose commits a revision.
	Propose func(ctx context.Context, p store.Proposal) (store.Revision, error)
}

// Revisions is the history of the configuration; *store.Revisions is one.
type Revisions interface {
	Latest() (store.Revision, error)
	Get(number uint64) (store.Revision, error)
	ByRequest(requestID string) (store.Revision, bool)
}

// Run takes the revision of the wish that stands back at its end, until ctx is done.
func (f *Follower) Run(ctx context.Context) error {
	for {
		changed := f.Machine.Changed()
		var again <-chan time.Time // nil while nothing stands
		if _, standing := f.Machine.Standing(); standing {
			if err := f.step(ctx); err != nil {
				// Another node was first, or there is no majority.
				f.Log.Debug("what was not confirmed is not taken back yet", "err", err)
			}
			again = time.After(lookEvery)
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Waiting is what people are told of the wish that stands: nothing before its revision
// is there, and when that is not the present one any more.
func Waiting(m *Machine, revisions Revisions) *observed.Unconfirmed {
	s, standing := m.Standing()
	if !standing {
		return nil
	}
	latest, err := revisions.Latest()
	rev, made := revisions.ByRequest(s.ID)
	if err != nil || !made || rev.Number != latest.Number {
		return nil
	}
	return &observed.Unconfirmed{Revision: rev.Number, Base: s.Base, By: s.By, Until: s.Until}
}

// action is the next step towards the end of a wish.
type action int

const (
	wait   action = iota
	expire        // say that its time is over
	goBack        // commit the text of before
	drop          // it has come to its end
)

// next says what is to be done with a wish, by this node's clock. Latest is the present
// revision, and made is the wish's own, 0 while there is none.
func next(s Standing, now time.Time, latest, made uint64) action {
	due := s.Over || !now.Before(s.Until)
	switch {
	case latest > s.Base && latest != made:
		return drop // taken back, replaced, or refused because another edit came first
	case !due:
		return wait
	case made == 0:
		return drop
	case !s.Over:
		return expire
	}
	return goBack
}

func (f *Follower) step(ctx context.Context) error {
	s, standing := f.Machine.Standing()
	if !standing {
		return nil
	}
	latest, err := f.Revisions.Latest()
	if err != nil {
		return err
	}
	made, _ := f.Revisions.ByRequest(s.ID)
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	switch next(s, time.Now(), latest.Number, made.Number) {
	case expire:
		return f.apply(ctx, s.ID, over)
	case drop:
		return f.apply(ctx, s.ID, Drop)
	case goBack:
		return f.goBack(ctx, s, made)
	default:
		return nil
	}
}

func (f *Follower) apply(ctx context.Context, id string, make func(id, by string) (store.Command, error)) error {
	cmd, err := make(id, f.Node)
	if err != nil {
		return err
	}
	_, err = f.Apply(ctx, "end what waits to be confirmed", cmd)
	return err
}

// goBack commits the text of before as the next revision. All nodes may ask for it at
// the same time: it is one request.
func (f *Follower) goBack(ctx context.Context, s Standing, made store.Revision) error {
	before, err := f.Revisions.Get(s.Base)
	if err != nil {
		return err
	}
	rev, err := f.Propose(ctx, store.Proposal{
		Base: made.Number, Text: before.Text, Author: "hacluster", RequestID: "unconfirmed-" + s.ID,
		Message: fmt.Sprintf("back to revision %d: revision %d was not confirmed within %v", s.Base, made.Number, s.For),
	})
	if err == nil {
		f.Log.Warn("revision not confirmed in time, the one before is back", "rev", rev.Number, "unconfirmed", made.Number, "before", s.Base)
	}
	return err
}
