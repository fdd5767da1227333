package api

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// firstDocument is the first revision of a cluster that is made without one.
const firstDocument = `# The cluster's one configuration, in keepalived's language.
# Lines that start with @NODE count on that node only.
`

type lifecycleService struct {
	pb.UnimplementedLifecycleServiceServer
	s *Server
}

// Info implements pb.LifecycleServiceServer.
func (l lifecycleService) Info(context.Context, *pb.InfoRequest) (*pb.InfoResponse, error) {
	return l.s.info(), nil
}

func (s *Server) info() *pb.InfoResponse {
	out := &pb.InfoResponse{
		Node: s.o.Node, Version: s.o.Version, Commit: s.o.Commit, Go: runtime.Version(),
		Started: timeToProto(s.o.Started), Mode: pb.InfoResponse_MODE_STANDALONE,
	}
	if s.o.Cluster == nil {
		return out
	}
	st := s.o.Cluster.Status()
	out.Cluster, out.ClusterId, out.Fingerprint, out.Role = st.ClusterName, st.ClusterID, st.Fingerprint, string(st.Role)
	if st.Advertise.IsValid() {
		out.Advertise = st.Advertise.String()
	}
	switch st.State {
	case cluster.Waiting, cluster.Joining:
		out.Mode = pb.InfoResponse_MODE_WAITING
	default:
		out.Mode = pb.InfoResponse_MODE_MEMBER
	}
	switch {
	case st.State == cluster.Removed:
		out.Problem = errRemoved.text
	case st.Err != nil:
		out.Problem = st.Err.Error()
	}
	return out
}

// Init implements pb.LifecycleServiceServer.
func (l lifecycleService) Init(ctx context.Context, req *pb.InitRequest) (*pb.InitResponse, error) {
	if l.s.o.Cluster == nil {
		return nil, errStandalone
	}
	if l.s.removed() {
		return nil, errRemoved
	}
	if st := l.s.o.Cluster.Status(); st.State != cluster.Waiting {
		return nil, fmt.Errorf("%w (cluster %q)", cluster.ErrAlreadyMember, st.ClusterName)
	}
	text, message := req.GetText(), "init"
	var findings config.Findings
	if text == "" {
		text = firstDocument // which is there to be filled
	} else {
		findings = checkDocument(req.GetFile(), text, []config.Member{{Name: l.s.o.Node, Role: config.RoleVoter}})
	}
	trial := l.s.o.Runner.Prepare(ctx, req.GetFile(), text)
	for i := range trial {
		trial[i].Node = l.s.o.Node
	}
	findings = append(findings, trial...)
	if err := acceptable(findings, req.GetAcceptUnsupported()); err != nil {
		return nil, err
	}
	advertise, err := parseAdvertise(req.GetAdvertise())
	if err != nil {
		return nil, err
	}
	rev, err := l.s.o.Cluster.Init(ctx, cluster.InitOptions{
		ClusterName: req.GetCluster(), Advertise: advertise, Text: text,
		Author: author(ctx, req.GetOnBehalf()), Message: message, RequestID: store.NewRequestID(),
	})
	if err != nil {
		return nil, err
	}
	st := l.s.o.Cluster.Status()
	resp := &pb.InitResponse{
		Cluster: st.ClusterName, ClusterId: st.ClusterID, Node: l.s.o.Node, Address: st.Advertise.String(),
		Findings: findingsToProto(findings), Revision: revisionToProto(rev),
	}
	secret, token, _, err := l.s.o.Cluster.CreateToken(ctx, cluster.TokenOptions{Uses: cluster.AnyUses, By: author(ctx, req.GetOnBehalf())})
	if err != nil {
		return nil, fmt.Errorf("the cluster is made, but a join token is not: %w; run haclusterctl token create", err)
	}
	resp.Token = tokenToProto(token)
	resp.Token.Secret = secret
	return resp, nil
}

// Leave implements pb.LifecycleServiceServer.
func (l lifecycleService) Leave(ctx context.Context, req *pb.LeaveRequest) (*pb.LeaveResponse, error) {
	if l.s.o.Cluster == nil {
		return nil, errStandalone
	}
	st := l.s.o.Cluster.Status()
	if st.State == cluster.Waiting {
		return nil, cluster.ErrNotMember
	}
	if st.State == cluster.Member {
		if err := l.s.fitsWithout(l.s.o.Node); err != nil {
			return nil, err
		}
	}
	remaining, err := l.s.o.Cluster.Leave(ctx, req.GetLast())
	if err != nil {
		return nil, err
	}
	return &pb.LeaveResponse{Cluster: st.ClusterName, Remaining: names(remaining), Warnings: warnOfFew(remaining)}, nil
}

// warnOfFew warns of members whose loss of one voter would cost them the majority.
func warnOfFew(remaining []store.Member) []string {
	voters := 0
	for _, m := range remaining {
		if m.Role.Votes() {
			voters++
		}
	}
	if voters != 2 {
		return nil
	}
	return []string{"two voters are left: when one of them fails, the configuration is read-only until it returns; add a third node or a witness"}
}

// Restart implements pb.LifecycleServiceServer.
func (l lifecycleService) Restart(context.Context, *pb.RestartRequest) (*pb.RestartResponse, error) {
	return &pb.RestartResponse{}, l.s.o.Restart()
}

// fitsWithout refuses to take away a member that the configuration needs: without
// its vote policy quorum may have too few.
func (s *Server) fitsWithout(node string) error {
	rev, err := s.o.Revisions().Latest()
	if err != nil {
		return nil // no revision needs nobody
	}
	all := s.documentMembers()
	rest := slices.DeleteFunc(slices.Clone(all), func(m config.Member) bool { return m.Name == node })
	if len(rest) == 0 || checkDocument("", rev.Text, all).Err() != nil {
		return nil
	}
	errs := checkDocument(revisionFile(rev), rev.Text, rest).Of(config.Error)
	if len(errs) == 0 {
		return nil
	}
	r := refused("the configuration does not fit the members that would be left: %s", errs[0])
	if more := len(errs) - 1; more > 0 {
		r.text += fmt.Sprintf("; and %s", count(more, "further finding"))
		r.findings = errs
	}
	r.remedy = "change it first, or add another node"
	return r
}

func parseAdvertise(text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap, nil
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(a, cluster.DefaultPort), nil
	}
	return netip.AddrPort{}, refused("advertise %q is no address; use ADDRESS or ADDRESS:PORT, for example 192.0.2.11:7112", text)
}

// author is who changes something, for the history.
func author(ctx context.Context, onBehalf string) string {
	name := "a member"
	if c, ok := callerOf(ctx); ok {
		name = c.name()
	}
	if onBehalf != "" && onBehalf != name {
		return fmt.Sprintf("%s (sudo: %s)", name, onBehalf)
	}
	return name
}

// acceptable refuses findings that a revision must not have.
func acceptable(findings config.Findings, acceptUnsupported bool) error {
	if errs := findings.Of(config.Error); len(errs) > 0 {
		return checkFailed(fmt.Sprintf("the document has %s", count(len(errs), "error")), findings)
	}
	if n := len(findings.Of(config.Unsupported)); n > 0 && !acceptUnsupported {
		r := checkFailed(fmt.Sprintf("the document has %s that hacluster does not implement and whose loss matters", count(n, "statement")), findings)
		r.remedy = "remove them, or say --accept-unsupported to run without them"
		return r
	}
	return nil
}

func count(n int, thing string) string {
	if n == 1 {
		return "one " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

type tokensService struct {
	pb.UnimplementedTokensServiceServer
	s *Server
}

// Create implements pb.TokensServiceServer.
func (t tokensService) Create(ctx context.Context, req *pb.CreateTokenRequest) (*pb.CreateTokenResponse, error) {
	if err := t.s.member(); err != nil {
		return nil, err
	}
	secret, token, addrs, err := t.s.o.Cluster.CreateToken(ctx, cluster.TokenOptions{
		Role: store.Role(req.GetRole()), TTL: time.Duration(req.GetTtlSeconds()) * time.Second,
		Uses: int(req.GetUses()), By: author(ctx, req.GetOnBehalf()),
	})
	if err != nil {
		return nil, err
	}
	resp := &pb.CreateTokenResponse{Token: tokenToProto(token), Addresses: addrs}
	resp.Token.Secret = secret
	return resp, nil
}

// List implements pb.TokensServiceServer.
func (t tokensService) List(ctx context.Context, _ *pb.ListTokensRequest) (*pb.ListTokensResponse, error) {
	if err := t.s.member(); err != nil {
		return nil, err
	}
	tokens, err := t.s.o.Cluster.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListTokensResponse{}
	now := time.Now()
	for _, token := range tokens {
		usedUp := token.Uses > 0 && len(token.UsedBy) >= token.Uses
		if token.Revoked.IsZero() && now.Before(token.Expires) && !usedUp {
			resp.Tokens = append(resp.Tokens, tokenToProto(token))
		}
	}
	return resp, nil
}

// Revoke implements pb.TokensServiceServer.
func (t tokensService) Revoke(ctx context.Context, req *pb.RevokeTokenRequest) (*pb.RevokeTokenResponse, error) {
	if err := t.s.member(); err != nil {
		return nil, err
	}
	return &pb.RevokeTokenResponse{}, t.s.o.Cluster.RevokeToken(ctx, req.GetId(), author(ctx, ""))
}

func tokenToProto(t store.Token) *pb.Token {
	left := int32(-1)
	if t.Uses > 0 {
		left = int32(max(t.Uses-len(t.UsedBy), 0))
	}
	return &pb.Token{
		Id: t.ID, Role: string(t.Role), Created: timeToProto(t.Created), Expires: timeToProto(t.Expires),
		UsesLeft: left, Creator: t.CreatedBy, UsedBy: t.UsedBy,
	}
}
