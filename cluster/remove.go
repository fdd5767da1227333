package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	haclusterv1 "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// CodeAnswers is the refusal to remove a member that answers: it can leave by itself.
const CodeAnswers store.Code = "member-answers"

// Remove takes another member, which has died, out of the cluster, and returns those
// that remain. When that member comes back it learns that it was removed, lets go of
// all it held, and is refused by the others until it has left and joined anew. The
// errors leave everything as it was: *NoMajorityError, or a *store.Refusal with
// store.CodeNoSuchNode, CodeAnswers, CodeMajorityAtRisk or store.CodeLastMember; but
// *store.UnknownOutcomeError, after which to ask again is safe.
func (c *Cluster) Remove(ctx context.Context, name string) (remaining []store.Member, err error) {
	s, err := c.current()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	operation := "remove " + name
	if err := s.store.Sync(ctx); err != nil {
		return nil, s.explain(operation, err)
	}
	m, ok := s.store.Members().ByName(name)
	switch {
	case !ok:
		return nil, &store.Refusal{Code: store.CodeNoSuchNode, Message: "there is no member " + name}
	case m.ID == s.node.ID:
		return nil, &store.Refusal{Code: CodeAnswers, Message: "a node does not remove itself: it leaves"}
	}
	if err := s.remove(ctx, &haclusterv1.RemoveRequest{NodeId: m.ID, UnlessItAnswers: true}); err != nil {
		return nil, s.explain(operation, err)
	}
	return slices.DeleteFunc(s.members(), func(o store.Member) bool { return o.ID == m.ID }), nil
}

// AwaitConfirmation waits until a member has said that this node is one of them, or
// that it was removed, and for d at most: after it Status says so. Who has nobody to
// ask does not wait.
func (c *Cluster) AwaitConfirmation(ctx context.Context, d time.Duration) {
	s, err := c.current()
	if err != nil || len(s.members()) <= 1 {
		return
	}
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-s.confirmed:
	case <-s.removed:
	case <-limit.C:
	case <-ctx.Done():
	}
	c.checkHealth()
}

// refuseIfItAnswers refuses to remove a member that answers a ping. Whatever is wrong
// with it, it would go on for a moment as if it were a member.
func (s *session) refuseIfItAnswers(ctx context.Context, m store.Member) error {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	s.ping(ctx, m)
	if !s.peers.lastSeen(m.Name).After(asked) {
		return nil
	}
	return &store.Refusal{Code: CodeAnswers, Message: fmt.Sprintf(
		"%s is alive: %s hears it on tcp %s; nothing was changed", m.Name, s.node.Name, m.Addr)}
}
