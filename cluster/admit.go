package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
	haclusterv1 "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// The names of the secrets that the members share.
const (
	secretCACert     = "ca.crt"
	secretCAKey      = "ca.key"
	secretGossipKeys = "gossip.keys" // JSON list of keys, the one in use first
)

// admitWait is how long a machine waits while others are let in.
const admitWait = 5 * time.Second

// admit answers a machine that shows a token. A member that does not lead passes
// the request on, once.
func (s *session) admit(ctx context.Context, req *haclusterv1.AdmitRequest) (*haclusterv1.AdmitResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	select {
	case s.admits <- struct{}{}: // a few at a time; the others wait for their turn
		defer func() { <-s.admits }()
	case <-time.After(admitWait):
		return nil, status.Error(codes.ResourceExhausted, "too many machines join at this moment: try again")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if _, _, passedOn := caller(ctx); passedOn {
		return s.admitHere(ctx, req)
	}
	var answer *haclusterv1.AdmitResponse
	err := s.onLeader(ctx, func(ctx context.Context) (err error) {
		answer, err = s.admitHere(ctx, req)
		return err
	}, func(ctx context.Context, leader haclusterv1.PeerServiceClient) (err error) {
		answer, err = leader.Admit(ctx, req)
		return err
	})
	return answer, err
}

// admitHere lets a machine in, as leader: it uses the token, enters the member,
// replicates to it without giving it a vote, and signs its certificate.
func (s *session) admitHere(ctx context.Context, req *haclusterv1.AdmitRequest) (*haclusterv1.AdmitResponse, error) {
	if !s.store.Leads() {
		return nil, store.ErrNotLeader
	}
	m, err := memberFrom(req)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	wish := store.Role(req.GetRole())
	if wish != "" && wish != store.RoleWitness {
		return nil, status.Errorf(codes.InvalidArgument, "role %q cannot be asked for: it is the token's", wish)
	}
	role, err := s.redeem(ctx, req)
	if err != nil {
		return nil, err
	}
	m.Role, m.Token = role, req.GetTokenId()
	var answer *haclusterv1.AdmitResponse
	if wish != "" && !m.Role.Votes() {
		err = status.Errorf(codes.PermissionDenied, "token %s is for a %s: a witness votes; use one made with --role witness", req.GetTokenId(), role)
	} else {
		m.Role = cmp.Or(wish, role)
		answer, err = s.enter(ctx, m, req.GetCsr())
	}
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if refundErr := s.store.RefundToken(undo, req.GetTokenId(), m.Name); refundErr != nil {
			return nil, errors.Join(err, refundErr)
		}
		if !s.store.Leads() {
			return nil, fmt.Errorf("%w: %w", store.ErrNotLeader, err) // undone: the next leader begins anew
		}
		return nil, err
	}
	s.log.Info("node admitted", "node", m.Name, "addr", m.Addr.String(), "role", string(m.Role), "token", req.GetTokenId())
	return answer, nil
}

// memberFrom checks what the machine says of itself.
func memberFrom(req *haclusterv1.AdmitRequest) (store.Member, error) {
	if err := pki.CheckNodeName(req.GetName()); err != nil {
		return store.Member{}, err
	}
	addr, err := usableAddr(req.GetAddress())
	if err != nil {
		return store.Member{}, fmt.Errorf("address of node %s: %w", req.GetName(), err)
	}
	gossip, err := usableAddr(req.GetGossipAddress())
	if err != nil {
		return store.Member{}, fmt.Errorf("gossip address of node %s: %w", req.GetName(), err)
	}
	var heartbeats []netip.AddrPort
	for _, text := range req.GetHeartbeatAddresses() {
		heartbeat, err := usableAddr(text)
		if err != nil {
			return store.Member{}, fmt.Errorf("heartbeat address of node %s: %w", req.GetName(), err)
		}
		heartbeats = append(heartbeats, heartbeat)
	}
	key, err := pki.KeyIDOfRequest(req.GetCsr())
	if err != nil {
		return store.Member{}, fmt.Errorf("certificate request of node %s: %w", req.GetName(), err)
	}
	return store.Member{
		ID:             pki.NewNodeID(req.GetName()),
		Name:           req.GetName(),
		Addr:           addr,
		GossipAddr:     gossip,
		HeartbeatAddrs: heartbeats,
		KeyID:          key[:],
		Version:        req.GetVersion(),
		Added:          time.Now().UTC(),
	}, nil
}

// usableAddr reads an address that other nodes can send to.
func usableAddr(text string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip := addr.Addr().Unmap()
	if ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" || addr.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%s is no address that others can send to; use one without zone, and a port", text)
	}
	return netip.AddrPortFrom(ip, addr.Port()), nil
}

// redeem uses the token and returns the role that it gives.
func (s *session) redeem(ctx context.Context, req *haclusterv1.AdmitRequest) (store.Role, error) {
	hash, err := pki.HashSecret(req.GetTokenId(), req.GetTokenSecret())
	if err != nil {
		return "", status.Error(codes.InvalidArgument, err.Error())
	}
	// Who guesses shall neither be quick nor fill the log. A leader that has just
	// been elected gets the time to learn of a new token.
	if !s.store.Tokens().Known(req.GetTokenId(), hash[:]) {
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		if !s.store.Tokens().Known(req.GetTokenId(), hash[:]) {
			return "", &pki.TokenRefusedError{ID: req.GetTokenId(), Problem: pki.TokenUnknown}
		}
	}
	token, err := s.store.RedeemToken(ctx, req.GetTokenId(), hash[:], req.GetName(), time.Now())
	if err != nil {
		return "", tokenError(req.GetTokenId(), err)
	}
	return token.Role, nil
}

// tokenError turns the state's refusal of a token into the error that the joining
// machine prints.
func tokenError(id string, err error) error {
	refusal, ok := errors.AsType[*store.Refusal](err)
	if !ok {
		return err
	}
	var token store.Token
	if len(refusal.Detail) > 0 {
		if jsonErr := json.Unmarshal(refusal.Detail, &token); jsonErr != nil {
			return err
		}
	}
	refused := &pki.TokenRefusedError{ID: id}
	switch refusal.Code {
	case store.CodeTokenUnknown:
		refused.Problem = pki.TokenUnknown
	case store.CodeTokenExpired:
		refused.Problem, refused.At = pki.TokenExpired, token.Expires
	case store.CodeTokenRevoked:
		refused.Problem, refused.At, refused.By = pki.TokenRevoked, token.Revoked, token.RevokedBy
	case store.CodeTokenUsed:
		refused.Problem, refused.At = pki.TokenUsed, token.LastUsed
		if n := len(token.UsedBy); n > 0 {
			refused.By = token.UsedBy[n-1]
		}
	default:
		return err
	}
	return refused
}

// enter makes the machine a member without a vote.
func (s *session) enter(ctx context.Context, m store.Member, csr []byte) (*haclusterv1.AdmitResponse, error) {
	cert, err := s.sign(m.Name, csr)
	if err != nil {
		return nil, err
	}
	if err := s.store.PutMember(ctx, m); err != nil {
		return nil, err
	}
	if err := s.replicateTo(ctx, m); err != nil {
		return nil, errors.Join(err, s.store.DropMember(ctx, m.ID, false))
	}
	caCert, _ := s.store.Secrets().Get(secretCACert)
	return &haclusterv1.AdmitResponse{
		ClusterId: s.node.ClusterID, ClusterName: s.node.ClusterName,
		NodeId: m.ID, Certificate: cert, Authority: caCert, Role: string(m.Role),
		CatchUp: s.store.Applied(),
	}, nil
}

// replicateTo enters a new member into Raft's configuration, in the place of what a
// join under this name or at this address left there that was never finished.
func (s *session) replicateTo(ctx context.Context, m store.Member) error {
	servers, err := s.store.Servers()
	if err != nil {
		return err
	}
	addr := m.Addr.String()
	for _, server := range servers {
		if _, known := s.store.Members().ByID(server.ID); known || nameOf(server.ID) != m.Name && server.Addr != addr {
			continue
		}
		if err := s.store.RemoveServer(ctx, server.ID); err != nil {
			return err
		}
	}
	return s.store.AddServer(ctx, store.Server{ID: m.ID, Addr: addr})
}

// sign makes a certificate with the authority in the state.
func (s *session) sign(node string, csr []byte) ([]byte, error) {
	certPEM, _ := s.store.Secrets().Get(secretCACert)
	keyPEM, _ := s.store.Secrets().Get(secretCAKey)
	ca, err := pki.ParseCA(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the cluster's authority: %w", err)
	}
	return ca.Sign(csr, node, time.Now())
}

// signFor renews a member's certificate, for the key that it has.
func (s *session) signFor(m store.Member, csr []byte) ([]byte, error) {
	key, err := pki.KeyIDOfRequest(csr)
	if err != nil {
		return nil, err
	}
	if string(key[:]) != string(m.KeyID) {
		return nil, status.Errorf(codes.PermissionDenied, "the request of %s is for another key than the one it was admitted with", m.Name)
	}
	return s.sign(m.Name, csr)
}

// maxLag is how many commands a node may be behind when it is promoted.
const maxLag = 64

// promoteMember makes a member that has caught up a full one, as leader.
func (s *session) promoteMember(ctx context.Context, m store.Member, applied uint64) error {
	if !s.store.Leads() {
		return store.ErrNotLeader
	}
	if applied+maxLag < s.store.Applied() {
		return errBehind
	}
	if m.Role.Votes() {
		err := s.store.AddServer(ctx, store.Server{ID: m.ID, Addr: m.Addr.String(), Voter: true})
		if err != nil && !s.store.Leads() {
			// It may have been done; to do it again, at the next leader, changes nothing.
			return fmt.Errorf("%w: %w", store.ErrNotLeader, err)
		}
		if err != nil {
			return err
		}
	}
	if m.Joined {
		return nil
	}
	m.Joined = true
	if err := s.store.PutMember(ctx, m); err != nil {
		return err
	}
	s.log.Info("node joined", "node", m.Name, "role", string(m.Role))
	return nil
}

// promote asks the leader to promote this node.
func (s *session) promote(ctx context.Context) error {
	return s.onLeader(ctx, func(ctx context.Context) error {
		m, ok := s.store.Members().ByID(s.node.ID)
		if !ok {
			return ErrNotMember
		}
		return s.promoteMember(ctx, m, s.store.Applied())
	}, func(ctx context.Context, leader haclusterv1.PeerServiceClient) error {
		_, err := leader.Promote(ctx, &haclusterv1.PromoteRequest{Applied: s.store.Applied()})
		return err
	})
}
