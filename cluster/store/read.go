package store

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// watchLeadership logs who leads, when that changes. It ends with the replica or the
// store.
func (s *Store) watchLeadership(r *replica) {
	// Raft drops observations while the channel is full; the reader only logs.
	observed := make(chan raft.Observation, 8)
	observer := raft.NewObserver(observed, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	r.raft.RegisterObserver(observer)
	defer r.raft.DeregisterObserver(observer)
	for {
		select {
		case o := <-observed:
			switch leader := o.Data.(raft.LeaderObservation).LeaderID; leader {
			case "":
				s.log.Warn("no leader", "term", r.raft.CurrentTerm())
			default:
				s.log.Info("leader changed", "node", string(leader), "term", r.raft.CurrentTerm())
			}
		case <-r.disk.failed:
			return
		case <-s.closing:
			return
		}
	}
}

// ReadIndex returns the index of a command such that a state which has it has all
// that was acknowledged before the call. Only the leader can tell.
//
// It proves that it leads with a barrier, a log entry of its own, and not with
// Raft's VerifyLeader, although that needs no disk: VerifyLeader counts every
// heartbeat answer that comes in after it was called, also the answer to one sent
// long before. A leader that was stopped for ten seconds finds such answers in its
// sockets, and would confirm a leadership that it lost meanwhile. A barrier of this
// term also commits what older leaders left (Raft dissertation, section 6.4).
func (s *Store) ReadIndex(ctx context.Context) (uint64, error) {
	if s.raft().State() != raft.Leader {
		return 0, ErrNotLeader
	}
	if err := waitFuture(ctx, s.raft().Barrier(time.Second)); err != nil {
		return 0, notLeader(err)
	}
	index, _, halted := s.fsm.position()
	return index, halted
}

// Sync makes the reads after it linearizable: they see all that was acknowledged
// anywhere before the call. It tries until ctx is done; ErrNoLeader then says that
// no leader could prove itself.
func (s *Store) Sync(ctx context.Context) error {
	for {
		d := s.disk()
		index, err := s.readIndexOnce(ctx)
		if err == nil {
			return s.wait(ctx, index)
		}
		if halted := s.fsm.haltReason(); halted != nil {
			return halted
		}
		select {
		case <-time.After(retryPause):
		case <-s.closing:
			return ErrClosed
		case <-d.failed:
			return d.err
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNoLeader, err)
		}
	}
}

func (s *Store) readIndexOnce(ctx context.Context) (uint64, error) {
	leader, ok := s.Leader()
	switch {
	case !ok:
		return 0, ErrNoLeader
	case leader.ID == s.self.ID:
		return s.ReadIndex(ctx)
	case s.forward == nil:
		return 0, ErrNotLeader
	default:
		return s.forward.ReadIndex(ctx, leader)
	}
}

// wait waits until the local state has the command with that index.
func (s *Store) wait(ctx context.Context, index uint64) error {
	for {
		d := s.disk()
		applied, moved, halted := s.fsm.position()
		switch {
		case applied >= index:
			return nil
		case halted != nil:
			return halted
		}
		select {
		case <-moved:
		case <-s.closing:
			return ErrClosed
		case <-d.failed:
			return d.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// WaitApplied waits until the local state has the command with that index, as
// returned by Applied on another node.
func (s *Store) WaitApplied(ctx context.Context, index uint64) error { return s.wait(ctx, index) }

// Applied returns the index of the last command in the local state.
func (s *Store) Applied() uint64 {
	applied, _, _ := s.fsm.position()
	return applied
}
