package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// prepareLeadership makes each leadership ready to answer reads, as soon as it
// begins. It ends with the store.
func (s *Store) prepareLeadership() {
	for {
		select {
		case leads := <-s.raft.LeaderCh():
			if !leads {
				s.log.Info("lost leadership", "node", s.self.ID)
				continue
			}
			s.log.Info("became leader", "node", s.self.ID, "term", s.raft.CurrentTerm())
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if err := s.makeReady(ctx); err != nil {
				// The next read tries again.
				s.log.Debug("leadership not ready", "err", err)
			}
			cancel()
		case <-s.disk.failed:
			return
		case <-s.closing:
			return
		}
	}
}

// makeReady brings the local state up to all that leaders before this one have
// acknowledged: a barrier of our own term commits what they left in the log
// (section 6.4 of the Raft dissertation, "read-only queries").
func (s *Store) makeReady(ctx context.Context) error {
	term := s.raft.CurrentTerm()
	s.mu.Lock()
	ready := s.readyTerm == term
	s.mu.Unlock()
	if ready {
		return nil
	}
	if err := waitFuture(ctx, s.raft.Barrier(time.Second)); err != nil {
		return notLeader(err)
	}
	if s.raft.CurrentTerm() != term {
		return ErrNotLeader
	}
	s.mu.Lock()
	s.readyTerm = term
	s.mu.Unlock()
	return nil
}

// ReadIndex returns the index of a command such that a state which has it has all
// that was acknowledged before the call. Only the leader can tell; it proves that
// it still is one by a round to a majority.
func (s *Store) ReadIndex(ctx context.Context) (uint64, error) {
	if s.raft.State() != raft.Leader {
		return 0, ErrNotLeader
	}
	if err := s.makeReady(ctx); err != nil {
		return 0, err
	}
	term := s.raft.CurrentTerm()
	// The index is taken first: the proof must be younger than what it proves.
	index, _, halted := s.fsm.position()
	if halted != nil {
		return 0, halted
	}
	if err := waitFuture(ctx, s.raft.VerifyLeader()); err != nil {
		if errors.Is(err, raft.ErrLeadershipLost) {
			return 0, fmt.Errorf("%w: %w", ErrNotLeader, err)
		}
		return 0, notLeader(err)
	}
	if s.raft.CurrentTerm() != term {
		return 0, ErrNotLeader
	}
	return index, nil
}

// Sync makes the reads after it linearizable: they see all that was acknowledged
// anywhere before the call. It tries until ctx is done; ErrNoLeader then says that
// no leader could prove itself.
func (s *Store) Sync(ctx context.Context) error {
	for {
		index, err := s.readIndexOnce(ctx)
		if err == nil {
			return s.wait(ctx, index)
		}
		select {
		case <-time.After(retryPause):
		case <-s.closing:
			return ErrClosed
		case <-s.disk.failed:
			return s.disk.err
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
		case <-s.disk.failed:
			return s.disk.err
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
