package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/hacluster/hacluster/cluster/store"
)

// Leave takes this node out of its cluster, deletes its keys, and returns the
// members that remain. The last member needs last, and is refused with
// ErrLastMember otherwise. A node that the others have removed only clears its
// own disk.
func (c *Cluster) Leave(ctx context.Context, last bool) (remaining []store.Member, err error) {
	c.operating.Lock()
	defer c.operating.Unlock()
	s, err := c.current()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	remaining = slices.DeleteFunc(s.store.Members().List(), func(m store.Member) bool { return m.ID == s.node.ID })
	state := c.Status().State
	switch {
	case state == Removed:
	case len(remaining) == 0 && !last:
		return nil, ErrLastMember
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

// leave hands leadership over and has another leader remove this node.
func (s *session) leave(ctx context.Context) error {
	err := s.remove(ctx, s.node.ID)
	if isNotMember(err) {
		return nil // gone already: the answer to an earlier call was lost
	}
	return err
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
