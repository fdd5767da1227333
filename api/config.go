package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/observed/confirm"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

type configService struct {
	pb.UnimplementedConfigServiceServer
	s *Server
}

// revision returns a revision with its text; 0 is the present one. A
// standalone daemon has one, without number.
func (s *Server) revision(number uint64) (store.Revision, error) {
	if s.o.Cluster == nil && s.o.Standalone != nil {
		if number != 0 {
			return store.Revision{}, errStandalone
		}
		file, text := s.o.Standalone()
		return store.Revision{Text: text, Hash: store.HashText(text), Message: "file " + file}, nil
	}
	if err := s.member(); err != nil {
		return store.Revision{}, err
	}
	if number == 0 {
		return s.o.Revisions().Latest()
	}
	return s.o.Revisions().Get(number)
}

// Show implements pb.ConfigServiceServer.
func (c configService) Show(ctx context.Context, req *pb.ShowConfigRequest) (*pb.ShowConfigResponse, error) {
	rev, err := c.s.revision(req.GetRevision())
	if err != nil {
		return nil, err
	}
	text := rev.Text
	if !isRoot(ctx) {
		text = config.Redact(text)
	}
	return &pb.ShowConfigResponse{Revision: revisionToProto(rev), Text: text}, nil
}

// Render implements pb.ConfigServiceServer.
func (c configService) Render(ctx context.Context, req *pb.RenderConfigRequest) (*pb.RenderConfigResponse, error) {
	rev, err := c.s.revision(req.GetRevision())
	if err != nil {
		return nil, err
	}
	node := req.GetNode()
	if node == "" {
		node = c.s.o.Node
	}
	if list := c.s.compiledFor(); !slices.Contains(list, node) {
		return nil, notFound("", "there is no node %s; the nodes are %s", node, strings.Join(list, ", "))
	}
	text, err := config.Render(syntax.Parse(revisionFile(rev), rev.Text), node)
	if err != nil {
		return nil, err
	}
	if !isRoot(ctx) {
		text = config.Redact(text)
	}
	return &pb.RenderConfigResponse{Node: node, Revision: revisionToProto(rev), Text: text}, nil
}

// documentMembers are the members that a document is for; before there is a
// cluster, this node alone.
func (s *Server) documentMembers() []config.Member {
	if s.member() != nil {
		return config.Members(s.o.Node)
	}
	return configMembers(s.o.Cluster.Members())
}

// compiledFor are the names of the nodes that a document is compiled for.
func (s *Server) compiledFor() []string {
	var names []string
	for _, m := range s.documentMembers() {
		names = append(names, m.Name)
	}
	return names
}

func revisionFile(r store.Revision) string { return fmt.Sprintf("revision %d", r.Number) }

// Check implements pb.ConfigServiceServer.
func (c configService) Check(ctx context.Context, req *pb.CheckConfigRequest) (*pb.CheckConfigResponse, error) {
	resp := &pb.CheckConfigResponse{Nodes: c.s.compiledFor()}
	findings := checkDocument(req.GetFile(), req.GetText(), c.s.documentMembers())
	if findings.Err() == nil {
		var trials config.Findings
		for p := range c.s.prepare(ctx, req.GetFile(), req.GetText()) {
			if p.err == nil {
				resp.Prepared = append(resp.Prepared, p.node)
				trials = append(trials, p.findings...)
			}
		}
		slices.Sort(resp.Prepared)
		findings = append(findings, joinNodes(trials)...)
	}
	resp.Findings = findingsToProto(findings)
	resp.Ok = acceptable(findings, false) == nil
	return resp, nil
}

// Diff implements pb.ConfigServiceServer.
func (c configService) Diff(_ context.Context, req *pb.DiffConfigRequest) (*pb.DiffConfigResponse, error) {
	from, err := c.s.revision(req.GetFrom())
	if err != nil {
		return nil, err
	}
	resp := &pb.DiffConfigResponse{From: revisionToProto(from)}
	if req.GetWithText() {
		resp.Diff = config.Diff(revisionFile(from), from.Text, req.GetFile(), req.GetText())
		return resp, nil
	}
	to, err := c.s.revision(req.GetTo())
	if err != nil {
		return nil, err
	}
	resp.To = revisionToProto(to)
	resp.Diff = config.Diff(revisionFile(from), from.Text, revisionFile(to), to.Text)
	return resp, nil
}

// Plan implements pb.ConfigServiceServer.
func (c configService) Plan(_ context.Context, req *pb.PlanConfigRequest) (*pb.PlanConfigResponse, error) {
	base, err := c.s.revision(0)
	if err != nil {
		return nil, err
	}
	members := c.s.documentMembers()
	resp := &pb.PlanConfigResponse{
		Base:     base.Number,
		Findings: findingsToProto(checkDocument(req.GetFile(), req.GetText(), members)),
		Diff:     config.Diff(revisionFile(base), base.Text, req.GetFile(), req.GetText()),
	}
	gone := compareCluster(base.Text, req.GetText(), members)
	resp.Removals, resp.NoAddressLeft = gone.toProto(), gone.noAddressLeft
	snapshot, _ := c.s.o.Hub.Latest()
	for _, member := range members {
		name := member.Name
		n, known := snapshot.Node(name)
		changes := compareUnits(base.Text, req.GetText(), member)
		resp.Nodes = append(resp.Nodes, &pb.NodePlan{
			Node: name, Alive: known && n.Alive, Added: changes.added, Removed: changes.removed, Changed: changes.changed,
		})
	}
	return resp, nil
}

// History implements pb.ConfigServiceServer.
func (c configService) History(ctx context.Context, req *pb.ConfigHistoryRequest) (*pb.ConfigHistoryResponse, error) {
	if err := c.s.member(); err != nil {
		return nil, err
	}
	resp := &pb.ConfigHistoryResponse{}
	if latest, err := c.s.o.Revisions().Latest(); err == nil {
		resp.Current = latest.Number
	}
	resp.Unconfirmed = unconfirmedToProto(c.s.unconfirmed())
	if id := req.GetRequestId(); id != "" {
		// Whether a request was committed is asked after a failure: only a
		// linearizable answer is one.
		if err := c.s.sync(ctx); err != nil {
			return nil, err
		}
		rev, ok := c.s.o.Revisions().ByRequest(id)
		if !ok {
			return nil, notFound("", "no revision was made by request %s: nothing was changed by it", id)
		}
		resp.Revisions = []*pb.Revision{revisionToProto(rev)}
		return resp, nil
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = 20
	}
	for _, rev := range c.s.o.Revisions().History(limit) {
		resp.Revisions = append(resp.Revisions, revisionToProto(rev))
	}
	return resp, nil
}

// Apply implements pb.ConfigServiceServer.
func (c configService) Apply(req *pb.ApplyConfigRequest, stream grpc.ServerStreamingServer[pb.ApplyProgress]) error {
	if _, done := c.s.madeBy(req.GetRequestId()); done {
		// A repeated request: its text was merged then, if it had to be.
		return c.s.apply(stream, proposal{Proposal: store.Proposal{RequestID: req.GetRequestId()}})
	}
	present, err := c.s.presentRevision(stream.Context())
	if err != nil {
		return err
	}
	within := req.GetConfirmWithin().AsDuration()
	if within < 0 || within > confirm.Longest {
		return refused("to confirm within %v is out of range; use more than 0s, at most %v", within, confirm.Longest)
	}
	text := req.GetText()
	if base := req.GetBase(); base != present.Number && !req.GetForce() {
		if text, err = c.s.merge(base, text, present); err != nil {
			return err
		}
	}
	return c.s.apply(stream, proposal{
		Proposal: store.Proposal{
			Base: present.Number, Text: text, Message: req.GetMessage(), RequestID: req.GetRequestId(),
			Author: author(stream.Context(), req.GetOnBehalf()),
		},
		file: req.GetFile(), acceptUnsupported: req.GetAcceptUnsupported(), acceptRemovals: req.GetAcceptRemovals(), confirmWithin: within,
	})
}

// merge joins an edit of an older revision with what was committed since.
func (s *Server) merge(base uint64, text string, present store.Revision) (string, error) {
	old, err := s.o.Revisions().Get(base)
	if err != nil {
		return "", fmt.Errorf("apply on revision %d: %w", base, err)
	}
	merged, err := config.Merge3(old.Text, text, present.Text)
	if err != nil {
		return "", &refusal{
			code: codes.Aborted, reason: pb.ErrorReason_ERROR_REASON_CONFLICT,
			text:   fmt.Sprintf("%s committed revision %d meanwhile: %v", present.Author, present.Number, err),
			remedy: fmt.Sprintf("haclusterctl config diff %d %d shows their edit; edit again on top of it", base, present.Number),
		}
	}
	return merged, nil
}

// madeBy returns the revision that a request made.
func (s *Server) madeBy(requestID string) (store.Revision, bool) {
	if requestID == "" || s.member() != nil {
		return store.Revision{}, false
	}
	return s.o.Revisions().ByRequest(requestID)
}

// Set implements pb.ConfigServiceServer.
func (c configService) Set(req *pb.SetConfigRequest, stream grpc.ServerStreamingServer[pb.ApplyProgress]) error {
	present, err := c.s.presentRevision(stream.Context())
	if err != nil {
		return err
	}
	nodes := c.s.compiledFor()
	if node := req.GetNode(); node != "" && !slices.Contains(nodes, node) {
		return notFound("", "there is no node %s; the nodes are %s", node, strings.Join(nodes, ", "))
	}
	doc := syntax.Parse(revisionFile(present), present.Text)
	text, err := config.Set(doc, req.GetBlock(), req.GetKeyword(), req.GetValue(), req.GetNode())
	if err != nil {
		return withBlockMeant(err, doc, req.GetBlock(), nodes)
	}
	message := req.GetMessage()
	if message == "" {
		message = strings.TrimSpace(fmt.Sprintf("set %s: %s %s", req.GetBlock(), req.GetKeyword(), req.GetValue()))
		if req.GetNode() != "" {
			message += " on " + req.GetNode()
		}
	}
	return c.s.apply(stream, proposal{
		Proposal: store.Proposal{
			Base: present.Number, Text: text, Message: config.Redact(message), RequestID: req.GetRequestId(),
			Author: author(stream.Context(), req.GetOnBehalf()),
		},
		file: revisionFile(present) + " with this change", acceptUnsupported: req.GetAcceptUnsupported(), acceptRemovals: req.GetAcceptRemovals(),
	})
}

// Rollback implements pb.ConfigServiceServer.
func (c configService) Rollback(req *pb.RollbackConfigRequest, stream grpc.ServerStreamingServer[pb.ApplyProgress]) error {
	present, err := c.s.presentRevision(stream.Context())
	if err != nil {
		return err
	}
	if _, done := c.s.madeBy(req.GetRequestId()); req.GetBase() != 0 && req.GetBase() != present.Number && !done {
		return &refusal{
			code: codes.Aborted, reason: pb.ErrorReason_ERROR_REASON_CONFLICT,
			text:   fmt.Sprintf("%s committed revision %d meanwhile, and a rollback would undo that, too: nothing was changed", present.Author, present.Number),
			remedy: "haclusterctl config history, then rollback to the revision that you mean",
		}
	}
	number := req.GetRevision()
	if number == 0 {
		number = present.Number - 1
	}
	if number == 0 || number == present.Number {
		return refused("rollback: revision %d is the present one, and there is none before it to go back to", present.Number)
	}
	old, err := c.s.o.Revisions().Get(number)
	if err != nil {
		return err
	}
	message := req.GetMessage()
	if message == "" {
		message = fmt.Sprintf("rollback to revision %d", number)
	}
	return c.s.apply(stream, proposal{
		Proposal: store.Proposal{
			Base: present.Number, Text: old.Text, Message: message, RequestID: req.GetRequestId(),
			Author: author(stream.Context(), req.GetOnBehalf()),
		},
		// It ran before: what it leaves out was accepted then.
		file: revisionFile(old), acceptUnsupported: true, acceptRemovals: req.GetAcceptRemovals(), goesBack: true,
	})
}

// syncTime is how long a leader may take to answer. An election ends in less.
const syncTime = 3 * time.Second

// sync makes what is read next the newest that is committed.
func (s *Server) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	return s.o.Cluster.Sync(ctx)
}

// presentRevision is the newest one that is committed, not only the newest one
// that this node knows of.
func (s *Server) presentRevision(ctx context.Context) (store.Revision, error) {
	if err := s.member(); err != nil {
		return store.Revision{}, err
	}
	if err := s.sync(ctx); err != nil {
		return store.Revision{}, err
	}
	return s.o.Revisions().Latest()
}
