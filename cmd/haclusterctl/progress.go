package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// progress shows how far an apply is: on a terminal as a table that is drawn
// anew, otherwise as lines.
type progress struct {
	a         *app
	nodes     []*pb.ApplyNode // the latest of each, by name
	drawn     int             // lines of the table on the terminal
	proposing bool
	committed bool
}

// showProgress follows an apply to its end and returns its exit status.
func (a *app) showProgress(stream grpc.ServerStreamingClient[pb.ApplyProgress], requestID string) error {
	p := progress{a: a}
	for {
		message, err := stream.Recv()
		if err != nil {
			return p.broken(err, requestID)
		}
		if result := message.GetResult(); result != nil {
			return p.finish(result)
		}
		p.update(message)
	}
}

func (p *progress) update(message *pb.ApplyProgress) {
	switch step := message.GetStep().(type) {
	case *pb.ApplyProgress_Checked:
		p.a.printFindings(step.Checked.GetFindings())
		p.line("checked for %s", strings.Join(step.Checked.GetNodes(), ", "))
	case *pb.ApplyProgress_Node:
		if len(step.Node.GetFindings()) > 0 {
			p.a.printFindings(step.Node.GetFindings())
			p.drawn = 0 // they stand below the table
		}
		p.node(step.Node)
	case *pb.ApplyProgress_Proposing:
		p.proposing = true
	case *pb.ApplyProgress_Committed:
		p.committed = true
		p.line("revision %d committed", step.Committed.GetNumber())
	}
}

// line prints a line that stays. With -o json only the result is printed.
func (p *progress) line(format string, args ...any) {
	if p.a.json() {
		return
	}
	p.a.printf(format+"\n", args...)
	p.drawn = 0 // the table, if there is one, stays above it
}

func (p *progress) node(n *pb.ApplyNode) {
	i, found := slices.BinarySearchFunc(p.nodes, n.GetNode(), func(have *pb.ApplyNode, name string) int { return strings.Compare(have.GetNode(), name) })
	if found {
		p.nodes[i] = n
	} else {
		p.nodes = slices.Insert(p.nodes, i, n)
	}
	switch {
	case p.a.json():
	case !p.a.terminal:
		p.a.printf("%s\n", p.row(n))
	default:
		if p.drawn > 0 {
			p.a.printf("\x1b[%dA", p.drawn)
		}
		for _, n := range p.nodes {
			p.a.printf("\x1b[K%s\n", p.row(n))
		}
		p.drawn = len(p.nodes)
	}
}

func (p *progress) row(n *pb.ApplyNode) string {
	text, shade := "", noStyle
	switch n.GetStep() {
	case pb.ApplyNode_STEP_PREPARING:
		text = "preparing"
	case pb.ApplyNode_STEP_PREPARED:
		text = "prepared"
	case pb.ApplyNode_STEP_REFUSED:
		text, shade = "refuses", red
	case pb.ApplyNode_STEP_RUNNING:
		text, shade = "running", green
	case pb.ApplyNode_STEP_FAILED:
		text, shade = "does not run it", red
	case pb.ApplyNode_STEP_OFF:
		text, shade = "off", yellow
	}
	width := 0
	for _, n := range p.nodes {
		width = max(width, len(n.GetNode()))
	}
	row := fmt.Sprintf("  %-*s  %s", width, n.GetNode(), p.a.style(shade, text))
	switch {
	case n.GetDetail() != "":
		row += ": " + n.GetDetail()
	case n.GetTook().AsDuration() >= time.Millisecond:
		row += " after " + age(n.GetTook().AsDuration())
	}
	return row
}

func (p *progress) finish(r *pb.ApplyResult) error {
	number := r.GetRevision().GetNumber()
	switch {
	case p.a.json():
		if err := p.a.printJSON(r); err != nil {
			return err
		}
	case r.GetUnchanged():
		p.line("nothing differs from revision %d: nothing was changed", number)
	case len(r.GetFailed()) == 0:
		text := fmt.Sprintf("revision %d runs on %s", number, strings.Join(r.GetRunning(), ", "))
		if len(r.GetOff()) > 0 {
			text += "; " + strings.Join(r.GetOff(), ", ") + " will follow"
		}
		p.line("%s", p.a.style(green, text))
	}
	if len(r.GetFailed()) > 0 {
		return &exitError{
			code:   exitNotEvery,
			text:   fmt.Sprintf("revision %d is committed, but not every live node runs it: %s", number, p.why(r.GetFailed())),
			remedy: fmt.Sprintf("haclusterctl config rollback %d goes back", number-1),
		}
	}
	return nil
}

// why says of each node what it said last.
func (p *progress) why(nodes []string) string {
	var words []string
	for _, name := range nodes {
		var word strings.Builder
		word.WriteString(name)
		for _, n := range p.nodes {
			if n.GetNode() == name && n.GetDetail() != "" {
				word.WriteString(" (" + n.GetDetail() + ")")
			}
		}
		words = append(words, word.String())
	}
	return strings.Join(words, ", ")
}

// broken words a stream that ended without a result: before the proposal
// nothing changed, after the commit it stands, and between nobody knows.
func (p *progress) broken(err error, requestID string) error {
	code := status.Code(err)
	lost := errors.Is(err, io.EOF) || code == codes.Unavailable || code == codes.Canceled || code == codes.DeadlineExceeded
	lost = lost && detailOf(err).GetReason() == pb.ErrorReason_ERROR_REASON_UNSPECIFIED
	switch {
	case p.committed:
		return &exitError{
			code: exitNotEvery, text: "the revision is committed, but it is not known whether every node runs it: " + p.a.explain(err).Error(),
			remedy: "haclusterctl nodes",
		}
	case p.proposing && lost:
		return &exitError{
			code: exitUncertain, text: "outcome unknown (request " + requestID + "): " + p.a.explain(err).Error(),
			remedy: "haclusterctl config history --request " + requestID + " tells whether it was committed",
		}
	case errors.Is(err, io.EOF):
		return &exitError{code: exitRefused, text: "the daemon ended the call without a result; nothing was changed"}
	}
	return err
}
