package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/internal/kclock"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// How long nodes may take.
const (
	prepareTime    = 5 * time.Second        // to try a document
	silentPrepares = 500 * time.Millisecond // the same, for a node that is not heard any more
	unheardAnswers = 3 * time.Second        // the same, for one that was never heard: it may have joined just now
	runTime        = 15 * time.Second       // to run a revision after its commit
	proposeTime    = 10 * time.Second       // to commit, when the caller has gone
)

// proposal is a revision that is to be checked, committed and run.
type proposal struct {
	store.Proposal
	file              string // what findings call the text
	acceptUnsupported bool
	acceptRemovals    bool
	confirmWithin     time.Duration // 0: it stays by itself
	goesBack          bool          // while another revision waits to be confirmed, too
}

// apply checks a document for every member, lets every live one prepare it,
// commits it on its base, and reports until every live one runs it.
func (s *Server) apply(stream grpc.ServerStreamingServer[pb.ApplyProgress], p proposal) error {
	ctx := stream.Context()
	if err := s.member(); err != nil {
		return err
	}
	if p.RequestID == "" {
		p.RequestID = store.NewRequestID()
	}
	// The answer to a repeated request is the first one's.
	if rev, done := s.madeBy(p.RequestID); done {
		return s.awaitAll(stream, rev)
	}
	present, err := s.o.Revisions().Latest()
	if err == nil && present.Number == p.Base && present.Text == p.Text {
		present.Text = ""
		return sendResult(stream, &pb.ApplyResult{Revision: revisionToProto(present), Unchanged: true})
	}

	if !p.goesBack {
		if err := s.nothingWaits(); err != nil {
			return err
		}
	}
	members := configMembers(s.o.Cluster.Members())
	findings := checkDocument(p.file, p.Text, members)
	if err := acceptable(findings, p.acceptUnsupported); err != nil {
		return err
	}
	if !p.acceptRemovals {
		if err := compareCluster(present.Text, p.Text, members).refuse(); err != nil {
			return err
		}
	}
	if err := stream.Send(&pb.ApplyProgress{Step: &pb.ApplyProgress_Checked{
		Checked: &pb.ApplyChecked{Findings: findingsToProto(findings), Nodes: s.compiledFor()}}}); err != nil {
		return err
	}
	if err := s.prepareAll(stream, p); err != nil {
		return err
	}

	if err := stream.Send(&pb.ApplyProgress{Step: &pb.ApplyProgress_Proposing{
		Proposing: &pb.ApplyProposing{RequestId: p.RequestID}}}); err != nil {
		return err
	}
	// A caller that goes away now must not leave half an edit: the proposal
	// ends by itself, one way or the other.
	proposeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), proposeTime)
	defer cancel()
	if p.confirmWithin > 0 {
		if err := s.wish(proposeCtx, p); err != nil {
			return err
		}
	}
	rev, err := s.o.Cluster.Propose(proposeCtx, p.Proposal)
	if err != nil {
		if _, unknown := errors.AsType[*store.UnknownOutcomeError](err); p.confirmWithin > 0 && !unknown {
			s.unwish(proposeCtx, p.RequestID)
		}
		return err
	}
	return s.awaitAll(stream, rev)
}

// prepared is what one node says of a document that it tried.
type prepared struct {
	node     string
	off      bool // it is not heard, and did not answer
	findings config.Findings
	err      error // it could not be asked
	took     time.Duration
}

// prepare lets every live member try a document at the same time, and yields
// their answers in the order of their names.
func (s *Server) prepare(ctx context.Context, file, text string) iter.Seq[prepared] {
	return func(yield func(prepared) bool) {
		ctx, cancel := context.WithTimeout(ctx, prepareTime)
		defer cancel()
		nodes := s.compiledFor()
		answers := make([]chan prepared, len(nodes))
		for i, node := range nodes {
			answer := make(chan prepared, 1)
			answers[i] = answer
			go func() { // ends with its answer, or with ctx
				start := time.Now()
				p := s.prepareOn(ctx, node, file, text)
				p.node, p.took = node, time.Since(start)
				for i := range p.findings {
					p.findings[i].Node = node
				}
				answer <- p
			}()
		}
		for _, answer := range answers {
			if !yield(<-answer) {
				return
			}
		}
	}
}

func (s *Server) prepareOn(ctx context.Context, node, file, text string) prepared {
	if node == s.o.Node {
		return prepared{findings: s.o.Runner.Prepare(ctx, file, text)}
	}
	// A node that is not heard is asked, too, but not waited for long.
	heard, ever := s.heard(node)
	var options []grpc.CallOption
	if !heard {
		patience := silentPrepares
		if !ever {
			patience = unheardAnswers
			options = append(options, grpc.WaitForReady(true))
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	agent, err := s.agent(node)
	if err != nil {
		return prepared{err: err, off: !heard}
	}
	resp, err := agent.Prepare(ctx, &pb.PrepareRequest{File: file, Text: text}, options...)
	if err != nil {
		return prepared{err: err, off: !heard}
	}
	return prepared{findings: findingsFromProto(resp.GetFindings())}
}

// heard says whether a member is alive by this node's own view, and whether it
// was ever heard.
func (s *Server) heard(node string) (alive, ever bool) {
	snapshot, _ := s.o.Hub.Latest()
	n, ok := snapshot.Node(node)
	return ok && n.Alive, ok && !n.LastSeen.IsZero()
}

func (s *Server) isHeard(node string) bool {
	alive, _ := s.heard(node)
	return alive
}

// prepareAll stops an apply when a live node cannot run the document.
func (s *Server) prepareAll(stream grpc.ServerStreamingServer[pb.ApplyProgress], p proposal) error {
	var (
		refusing []string
		all      config.Findings
	)
	for answer := range s.prepare(stream.Context(), p.file, p.Text) {
		progress := &pb.ApplyNode{
			Node: answer.node, Took: durationToProto(answer.took), Step: pb.ApplyNode_STEP_PREPARED,
			Findings: findingsToProto(answer.findings),
		}
		err := acceptable(answer.findings, p.acceptUnsupported)
		switch {
		case answer.off:
			progress.Step, progress.Detail = pb.ApplyNode_STEP_OFF, "not heard; it follows when it returns"
		case answer.err != nil:
			progress.Step, progress.Detail = pb.ApplyNode_STEP_OFF, "its API does not answer: "+plain(answer.err)
		case err != nil:
			progress.Step, progress.Detail = pb.ApplyNode_STEP_REFUSED, err.Error()
			refusing = append(refusing, answer.node)
		}
		if progress.GetStep() == pb.ApplyNode_STEP_REFUSED {
			all = append(all, answer.findings...)
			progress.Findings = nil // they come with the refusal
		}
		if err := sendNode(stream, progress); err != nil {
			return err
		}
	}
	if len(refusing) > 0 {
		slices.Sort(refusing)
		return checkFailed(fmt.Sprintf("%s cannot run the document; nothing was changed", strings.Join(refusing, ", ")), all)
	}
	return nil
}

// plain is a gRPC error without its frame.
func plain(err error) string { return status.Convert(err).Message() }

// awaitAll reports until every live node runs the committed revision.
func (s *Server) awaitAll(stream grpc.ServerStreamingServer[pb.ApplyProgress], rev store.Revision) error {
	rev.Text = ""
	committed := time.Now()
	if err := stream.Send(&pb.ApplyProgress{Step: &pb.ApplyProgress_Committed{Committed: revisionToProto(rev)}}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stream.Context(), runTime)
	defer cancel()
	nodes := names(s.o.Cluster.Members())
	answers := make([]chan *pb.ApplyNode, len(nodes)) // in the order of the names
	var wg sync.WaitGroup
	for i, node := range nodes {
		answers[i] = make(chan *pb.ApplyNode, 1)
		wg.Go(func() { // ends with its answer, or with ctx
			progress := s.awaitOn(ctx, node, rev.Number)
			progress.Node, progress.Took = node, durationToProto(time.Since(committed))
			answers[i] <- progress
		})
	}
	defer wg.Wait()
	defer cancel() // before the wait above
	result := &pb.ApplyResult{Revision: revisionToProto(rev)}
	for _, answer := range answers {
		progress := <-answer
		switch progress.GetStep() {
		case pb.ApplyNode_STEP_RUNNING:
			result.Running = append(result.Running, progress.GetNode())
		case pb.ApplyNode_STEP_OFF:
			result.Off = append(result.Off, progress.GetNode())
		default:
			result.Failed = append(result.Failed, progress.GetNode())
		}
		if err := sendNode(stream, progress); err != nil {
			return err
		}
	}
	return sendResult(stream, result)
}

// awaitOn waits until a node runs the revision.
func (s *Server) awaitOn(ctx context.Context, node string, revision uint64) *pb.ApplyNode {
	if node == s.o.Node {
		running, err := s.o.Runner.Await(ctx, revision)
		return outcome(running, revision, err)
	}
	for {
		running, problem, err := s.askRunning(ctx, node, revision)
		switch {
		case err == nil && problem != "":
			return outcome(running, revision, errors.New(problem))
		case err == nil && running >= revision:
			return outcome(running, revision, nil)
		case !s.isHeard(node):
			return &pb.ApplyNode{Step: pb.ApplyNode_STEP_OFF, Detail: "not heard; it follows when it returns"}
		case err != nil && status.Code(err) == codes.Unimplemented:
			return outcome(0, revision, err)
		}
		// Its heartbeats tell too, when its API does not answer.
		if snapshot, _ := s.o.Hub.Latest(); err != nil {
			if n, ok := snapshot.Node(node); ok && n.Revision >= revision {
				return outcome(n.Revision, revision, nil)
			}
		}
		if !kclock.Sleep(ctx, 100*time.Millisecond) {
			if err == nil {
				err = fmt.Errorf("still runs revision %d after %s", running, runTime)
			}
			return outcome(running, revision, err)
		}
	}
}

func (s *Server) askRunning(ctx context.Context, node string, revision uint64) (running uint64, problem string, err error) {
	agent, err := s.agent(node)
	if err != nil {
		return 0, "", err
	}
	resp, err := agent.Await(ctx, &pb.AwaitRequest{Revision: revision, Timeout: durationToProto(2 * time.Second)})
	return resp.GetRunning(), resp.GetError(), err
}

func outcome(running, revision uint64, err error) *pb.ApplyNode {
	if err == nil && running >= revision {
		return &pb.ApplyNode{Step: pb.ApplyNode_STEP_RUNNING}
	}
	progress := &pb.ApplyNode{Step: pb.ApplyNode_STEP_FAILED, Detail: fmt.Sprintf("runs revision %d", running)}
	if err != nil {
		progress.Detail = plain(err)
	}
	return progress
}

func sendNode(stream grpc.ServerStreamingServer[pb.ApplyProgress], n *pb.ApplyNode) error {
	return stream.Send(&pb.ApplyProgress{Step: &pb.ApplyProgress_Node{Node: n}})
}

func sendResult(stream grpc.ServerStreamingServer[pb.ApplyProgress], r *pb.ApplyResult) error {
	return stream.Send(&pb.ApplyProgress{Step: &pb.ApplyProgress_Result{Result: r}})
}
