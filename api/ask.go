package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster/store"
)

// question is something that each node knows of itself.
type question[T any] struct {
	own   func(ctx context.Context) T // this node's answer
	other func(ctx context.Context, node string, conn grpc.ClientConnInterface, options ...grpc.CallOption) (T, error)
	none  func(node, why string) T // stands for the answer of a node that gave none
}

// askEach asks this node and all other members at once, but for witnesses, which hold
// nothing. Who is heard may take so long; who is not, silentAnswers.
func askEach[T any](ctx context.Context, s *Server, patience time.Duration, q question[T]) []T {
	nodes := []string{s.o.Node}
	if s.member() == nil {
		nodes = names(slices.DeleteFunc(slices.Clone(s.o.Cluster.Members()), func(m store.Member) bool { return m.Role == store.RoleWitness }))
	}
	answers := make([]T, len(nodes))
	var wg sync.WaitGroup
	for i, node := range nodes {
		wg.Go(func() { // ends with the answer, or with its time
			if node == s.o.Node {
				answers[i] = q.own(ctx)
			} else {
				answers[i] = askOne(ctx, s, node, patience, q)
			}
		})
	}
	wg.Wait()
	return answers
}

// askOne asks another member.
func askOne[T any](ctx context.Context, s *Server, node string, patience time.Duration, q question[T]) T {
	var options []grpc.CallOption
	if s.isHeard(node) {
		options = append(options, grpc.WaitForReady(true)) // its connection may not stand yet
	} else {
		patience = silentAnswers
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.o.Cluster.Conn(node)
	if err != nil {
		return q.none(node, err.Error())
	}
	answer, err := q.other(ctx, node, conn, options...)
	switch {
	case err == nil:
		return answer
	case status.Code(err) == codes.Unimplemented:
		return q.none(node, "its version cannot tell")
	case !s.isHeard(node):
		return q.none(node, "it is not heard")
	case status.Code(err) == codes.DeadlineExceeded:
		return q.none(node, "no answer within "+patience.String())
	default:
		return q.none(node, plain(err))
	}
}
