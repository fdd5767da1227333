package cluster

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster/store"
	haclusterv1 "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// guard lets a call pass when its certificate is a member's. While this node knows
// no members yet it has to believe the cluster's authority alone: it is joining,
// and those who call are the ones who let it in.
func (s *session) guard(ctx context.Context, method string) error {
	if method == haclusterv1.PeerService_Admit_FullMethodName {
		return nil
	}
	node, key, ok := caller(ctx)
	if !ok {
		return status.Error(codes.Unauthenticated, "this call needs the certificate of a member")
	}
	applied := s.store.Applied() // before the members: a refusal must not claim a later state than theirs
	members := s.members()
	if len(members) == 0 {
		return nil
	}
	known := slices.ContainsFunc(members, func(m store.Member) bool {
		return m.Name == node && string(m.KeyID) == string(key[:])
	})
	if !known {
		return toWire(&notMemberError{Node: node, Applied: applied})
	}
	s.peers.heard(node)
	return nil
}

// admitCall is guard, once the caller of Open is ready.
func (s *session) admitCall(ctx context.Context, method string) error {
	if s.o.Ready != nil {
		select {
		case <-s.o.Ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return s.guard(ctx, method)
}

func (s *session) guardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := s.admitCall(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (s *session) guardStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := s.admitCall(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(srv, stream)
}

// peerService translates the calls of other members; what they mean is the
// session's.
type peerService struct {
	haclusterv1.UnimplementedPeerServiceServer
	session *session
}

// Apply implements haclusterv1.PeerServiceServer, as do all the methods below.
func (p peerService) Apply(ctx context.Context, req *haclusterv1.PeerApplyRequest) (*haclusterv1.PeerApplyResponse, error) {
	reply, err := p.session.store.ApplyEncoded(ctx, req.GetCommand())
	if err != nil {
		return nil, toWire(err)
	}
	return &haclusterv1.PeerApplyResponse{Reply: reply}, nil
}

func (p peerService) ReadIndex(ctx context.Context, _ *haclusterv1.PeerReadIndexRequest) (*haclusterv1.PeerReadIndexResponse, error) {
	index, err := p.session.store.ReadIndex(ctx)
	if err != nil {
		return nil, toWire(err)
	}
	return &haclusterv1.PeerReadIndexResponse{Index: index}, nil
}

func (p peerService) Ping(ctx context.Context, _ *haclusterv1.PeerPingRequest) (*haclusterv1.PeerPingResponse, error) {
	answer := &haclusterv1.PeerPingResponse{
		Node: p.session.node.Name, Version: p.session.version, Applied: p.session.store.Applied(),
	}
	if list := p.session.store.Revisions().History(1); len(list) > 0 {
		answer.Revision = list[0].Number
	}
	if m, err := p.callingMember(ctx); err == nil {
		answer.HalfRemoved = !p.session.hasServer(m.ID)
	}
	return answer, nil
}

func (p peerService) Admit(ctx context.Context, req *haclusterv1.AdmitRequest) (*haclusterv1.AdmitResponse, error) {
	answer, err := p.session.admit(ctx, req)
	return answer, toWire(err)
}

func (p peerService) Promote(ctx context.Context, req *haclusterv1.PromoteRequest) (*haclusterv1.PromoteResponse, error) {
	m, err := p.callingMember(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.session.promoteMember(ctx, m, req.GetApplied()); err != nil {
		return nil, toWire(err)
	}
	return &haclusterv1.PromoteResponse{}, nil
}

func (p peerService) Remove(ctx context.Context, req *haclusterv1.RemoveRequest) (*haclusterv1.RemoveResponse, error) {
	if req.GetNodeId() != "" { // a member passes it on
		return &haclusterv1.RemoveResponse{}, toWire(p.session.removeHere(ctx, req))
	}
	m, err := p.callingMember(ctx)
	if err != nil {
		return nil, err
	}
	return &haclusterv1.RemoveResponse{}, toWire(p.session.remove(ctx, &haclusterv1.RemoveRequest{NodeId: m.ID}))
}

func (p peerService) Renew(ctx context.Context, req *haclusterv1.RenewRequest) (*haclusterv1.RenewResponse, error) {
	m, err := p.callingMember(ctx)
	if err != nil {
		return nil, err
	}
	cert, err := p.session.signFor(m, req.GetCsr())
	if err != nil {
		return nil, toWire(err)
	}
	return &haclusterv1.RenewResponse{Certificate: cert}, nil
}

// callingMember returns the member that made the call. A leader that has just been
// elected may not know a new member yet; the caller asks again.
func (p peerService) callingMember(ctx context.Context) (store.Member, error) {
	node, _, _ := caller(ctx) // guard has checked it
	m, ok := p.session.store.Members().ByName(node)
	if !ok {
		return store.Member{}, toWire(store.ErrNotLeader)
	}
	return m, nil
}
