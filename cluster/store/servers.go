package store

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Leader returns the node that leads as far as this one knows. It knows none while
// its disk has failed.
func (s *Store) Leader() (Server, bool) {
	select {
	case <-s.disk().failed:
		return Server{}, false
	default:
	}
	addr, id := s.raft().LeaderWithID()
	return Server{ID: string(id), Addr: string(addr), Voter: true}, id != ""
}

// Leads says whether this node takes itself for the leader. Somebody else may be
// it already; ReadIndex asks.
func (s *Store) Leads() bool { return s.raft().State() == raft.Leader }

// Term returns the current term.
func (s *Store) Term() uint64 { return s.raft().CurrentTerm() }

// LeaderContact returns when this node last heard from a leader; the zero time
// when it never has. The leader hears from itself now.
func (s *Store) LeaderContact() time.Time {
	if s.Leads() {
		return time.Now()
	}
	return s.raft().LastContact()
}

// Servers returns the nodes that Raft replicates to, this one among them.
func (s *Store) Servers() ([]Server, error) {
	future := s.raft().GetConfiguration()
	if err := future.Error(); err != nil {
		return nil, err
	}
	var list []Server
	for _, server := range future.Configuration().Servers {
		list = append(list, Server{ID: string(server.ID), Addr: string(server.Address), Voter: server.Suffrage == raft.Voter})
	}
	return list, nil
}

// AddServer has the leader replicate to a node, without a vote as long as
// server.Voter is false. A node gets its vote by a second call, when it has caught
// up: an empty voter would hold up every commit. Only on the leader.
func (s *Store) AddServer(ctx context.Context, server Server) error {
	id, addr := raft.ServerID(server.ID), raft.ServerAddress(server.Addr)
	var future raft.IndexFuture
	if server.Voter {
		future = s.raft().AddVoter(id, addr, 0, remaining(ctx))
	} else {
		future = s.raft().AddNonvoter(id, addr, 0, remaining(ctx))
	}
	if err := waitFuture(ctx, future); err != nil {
		return fmt.Errorf("add %s to raft: %w", server.ID, notLeader(err))
	}
	return nil
}

// RemoveServer has the leader stop replicating to a node and counting its vote.
// Removing what is gone succeeds. Only on the leader.
func (s *Store) RemoveServer(ctx context.Context, id string) error {
	if err := waitFuture(ctx, s.raft().RemoveServer(raft.ServerID(id), 0, remaining(ctx))); err != nil {
		return fmt.Errorf("remove %s from raft: %w", id, notLeader(err))
	}
	return nil
}

// HandOver gives leadership to another voter, if this node leads and there is one.
func (s *Store) HandOver(ctx context.Context) error {
	if !s.Leads() {
		return nil
	}
	servers, err := s.Servers()
	if err != nil {
		return err
	}
	others := 0
	for _, server := range servers {
		if server.Voter && server.ID != s.self.ID {
			others++
		}
	}
	if others == 0 {
		return nil
	}
	if err := waitFuture(ctx, s.raft().LeadershipTransfer()); err != nil {
		return fmt.Errorf("hand leadership over: %w", err)
	}
	return nil
}

// remaining returns the time that ctx leaves, at most ten seconds.
func remaining(ctx context.Context) time.Duration {
	const most = 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		return max(min(time.Until(deadline), most), time.Millisecond)
	}
	return most
}
