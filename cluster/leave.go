package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	haclusterv1 "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// Leave takes this node out of its cluster, deletes its keys, and returns the
// members that remain. The last member needs last, and is refused with
// ErrLastMember otherwise; any other with last is refused with ErrNotLastMember. A
// node that the others have removed only clears its own disk. Its errors are those
// of CanLeave, which leave everything as it was, and *store.UnknownOutcomeError.
func (c *Cluster) Leave(ctx context.Context, last bool) (remaining []store.Member, err error) {
	c.operating.Lock()
	defer c.operating.Unlock()
	s, err := c.current()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	remaining = slices.DeleteFunc(s.members(), func(m store.Member) bool { return m.ID == s.node.ID })
	state := c.Status().State
	switch {
	case state == Removed:
	case len(remaining) == 0 && !last:
		return nil, ErrLastMember
	case len(remaining) > 0 && last:
		return nil, ErrNotLastMember
	case len(remaining) == 0:
		// Nobody is left to be told.
	default:
		if err := s.leave(ctx); err != nil {
			return nil, s.explain("leave", err)
		}
	}
	c.setSession(nil, Waiting)
	s.stop(false)
	if err := c.dir.clear(); err != nil {
		return remaining, fmt.Errorf("left the cluster, but its data is still here: %w", err)
	}
	c.o.Logger.Info("left cluster", "cluster", s.node.ClusterName, "node", s.node.Name)
	return remaining, nil
}

// CanLeave says whether Leave would find the majorities that it needs, now and
// without this node, and changes nothing: a *NoMajorityError, or a *store.Refusal
// with CodeMajorityAtRisk. Whoever lets go of something before Leave asks it first.
func (c *Cluster) CanLeave(ctx context.Context) error {
	s, err := c.current()
	if err != nil {
		return err
	}
	if c.Status().State == Removed || len(s.members()) <= 1 || s.expelled() {
		return nil // nobody has to agree, or all have
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	if err := s.store.Sync(ctx); err != nil {
		return s.explain("leave", err)
	}
	return s.canRemove(ctx, s.node.ID)
}

// CodeMajorityAtRisk is the refusal of a removal after which the voters that answer
// would be no majority.
const CodeMajorityAtRisk store.Code = "majority-at-risk"

// askTime is how long a voter has to say that it is there. One that is off is given
// up sooner, and one that is busy must not be taken for it.
const askTime = 3 * time.Second

// canRemove asks the voters that would remain whether they are there. Without a
// majority of them the removal itself could not be committed, and would block every
// change until one of the missing returned.
func (s *session) canRemove(ctx context.Context, id string) error {
	servers, err := s.store.Servers()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(servers, func(server store.Server) bool { return server.ID == id && server.Voter }) {
		return nil
	}
	asked := time.Now()
	s.askVoters(ctx, servers, id)
	var remaining []Voter
	var missing []string
	for _, v := range s.voters() {
		if v.Name == nameOf(id) {
			continue
		}
		remaining = append(remaining, v)
		if !v.LastSeen.After(asked) {
			missing = append(missing, v.Name)
		}
	}
	if answer := len(remaining) - len(missing); len(remaining) == 0 || 2*answer > len(remaining) {
		return nil
	}
	return &store.Refusal{Code: CodeMajorityAtRisk, Message: fmt.Sprintf(
		"without %s, too few of the remaining voters would be there to change the configuration, or to let %s go (%s): nothing was changed; bring %s back, or let another voter join, first",
		nameOf(id), nameOf(id), seen(remaining, time.Now(), asked), strings.Join(missing, " or "))}
}

// askVoters pings the voters but the one that goes.
func (s *session) askVoters(ctx context.Context, servers []store.Server, going string) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var asking sync.WaitGroup
	for _, server := range servers {
		if m, ok := s.member(server.ID); ok && server.Voter && server.ID != going && server.ID != s.node.ID {
			asking.Go(func() { s.ping(ctx, m) })
		}
	}
	asking.Wait()
}

// leave hands leadership over and has another leader remove this node.
func (s *session) leave(ctx context.Context) error {
	remove := func() error { return s.remove(ctx, &haclusterv1.RemoveRequest{NodeId: s.node.ID}) }
	if s.expelled() {
		remove = func() error { return s.askToBeRemoved(ctx) }
	}
	err := remove()
	if isNotMember(err) {
		return nil // gone already: the answer to an earlier call was lost
	}
	if (errors.Is(err, store.ErrNoLeader) || errors.Is(err, store.ErrNotLeader)) && s.expelled() {
		return &store.UnknownOutcomeError{Err: err} // half of it is done
	}
	return err
}

// expelled reports whether a removal of this node that was broken off has taken it
// out of Raft's configuration. It is a member still, and no leader speaks to it:
// it may not have got that configuration itself.
func (s *session) expelled() bool {
	if !s.hasServer(s.node.ID) {
		return true
	}
	_, led := s.store.Leader()
	return !led && s.halfRemoved.Load()
}

// hasServer reports whether a node is in Raft's configuration, as far as this node
// can tell.
func (s *session) hasServer(id string) bool {
	servers, err := s.store.Servers()
	return err != nil || slices.ContainsFunc(servers, func(server store.Server) bool { return server.ID == id })
}

// askToBeRemoved has any voter pass on to the leader that this node wants to be
// removed.
func (s *session) askToBeRemoved(ctx context.Context) error {
	err := store.ErrNoLeader
	for _, v := range s.voters() {
		if v.Name == s.node.Name {
			continue
		}
		if err = s.askVoterToRemove(ctx, v); err == nil || isNotMember(err) {
			return err
		}
	}
	return err
}

func (s *session) askVoterToRemove(ctx context.Context, v Voter) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	voter, err := s.peers.client(ctx, v.Name, v.Addr.String())
	if err != nil {
		return err
	}
	_, err = voter.Remove(ctx, &haclusterv1.RemoveRequest{})
	return unlessRefused(fromWire(err))
}

// remove has the leader take a member out. When it cannot be told whether that was
// done, the error is a *store.UnknownOutcomeError; to ask again is safe.
func (s *session) remove(ctx context.Context, req *haclusterv1.RemoveRequest) error {
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	return s.onLeader(ctx, func(ctx context.Context) error {
		return s.removeHere(ctx, req)
	}, func(ctx context.Context, leader haclusterv1.PeerServiceClient) error {
		_, err := leader.Remove(ctx, req)
		return unlessRefused(fromWire(err))
	})
}

// unlessRefused makes every answer to a removal, but those that say that nothing was
// done, an unknown outcome.
func unlessRefused(err error) error {
	_, refused := errors.AsType[*store.Refusal](err)
	_, unknown := errors.AsType[*store.UnknownOutcomeError](err)
	if err == nil || refused || unknown || isNotMember(err) || errors.Is(err, store.ErrNotLeader) || errors.Is(err, store.ErrNoLeader) {
		return err
	}
	return &store.UnknownOutcomeError{Err: plain(err)}
}

// removeHere takes a member out, as leader. Removing what is gone succeeds.
func (s *session) removeHere(ctx context.Context, req *haclusterv1.RemoveRequest) error {
	if !s.store.Leads() {
		return store.ErrNotLeader
	}
	m, ok := s.store.Members().ByID(req.GetNodeId())
	if !ok {
		return nil
	}
	if req.GetUnlessItAnswers() {
		if err := s.refuseIfItAnswers(ctx, m); err != nil {
			return err
		}
	}
	if err := s.canRemove(ctx, m.ID); err != nil {
		return err
	}
	if m.ID == s.node.ID {
		// A leader cannot remove itself and see it through.
		if err := s.store.HandOver(ctx); err != nil {
			return err
		}
		if !s.store.Leads() {
			return store.ErrNotLeader // ask the next one
		}
	}
	servers, err := s.store.Servers()
	if err != nil {
		return err
	}
	if countOtherVoters(servers, m.ID) == 0 {
		return &store.Refusal{Code: store.CodeLastMember, Message: fmt.Sprintf(
			"%s is the last voter: nobody could commit anything without it: let another node join as voter first", m.Name)}
	}
	if err := s.store.RemoveServer(ctx, m.ID); err != nil {
		return unlessRefused(err)
	}
	if err := s.store.DropMember(ctx, m.ID, false); err != nil {
		return &store.UnknownOutcomeError{Err: err} // half of it is done
	}
	if req.GetUnlessItAnswers() {
		s.log.Info("dead node removed", "node", m.Name)
	} else {
		s.log.Info("node left", "node", m.Name)
	}
	if m.Joined {
		return nil
	}
	return s.store.RefundToken(ctx, m.Token, m.Name) // its join came to nothing
}

func countOtherVoters(servers []store.Server, id string) int {
	count := 0
	for _, server := range servers {
		if server.Voter && server.ID != id {
			count++
		}
	}
	return count
}
