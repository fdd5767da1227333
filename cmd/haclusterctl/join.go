package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) joinCommand() *cobra.Command {
	req := &pb.JoinRequest{}
	cmd := &cobra.Command{
		Use:   "join [ADDRESS...] --token TOKEN",
		Short: "Make this node a member of a cluster",
		Long: `Join makes this node a member of the cluster that made TOKEN: take the whole
line that init or "token create" printed. The token names the cluster by its
fingerprint, so its secret goes to no other machine; it also knows addresses,
which are tried after the ones given.

With --witness it becomes a member that votes and holds nothing: it keeps the
majority, and policy quorum, of two nodes alive when one of them fails. One
machine can be the witness of many clusters: run a haclusterd for each, with a
--name, --data-dir, --run-dir and --listen of its own.

Before the node becomes a member, it tests the networks of the virtual addresses
together with all members, as doctor does: IP protocol 112 by multicast and
unicast both ways, virtual routers and addresses that others use, clocks, this
machine. What would let two machines answer for one address ends the join; the
rest is said. --accept-findings joins all the same.

Whatever fails, this machine is left as it was.`,
		Example: example("haclusterctl join 192.0.2.11:7112 --token hacl1.…", "haclusterctl join --token - < token-file", "haclusterctl join 192.0.2.11:7112 --token hacl1.… --advertise 192.0.2.12", "haclusterctl join 192.0.2.11:7112 --token hacl1.… --witness"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if req.GetToken() == "-" {
				text, err := a.readDocument("-")
				if err != nil {
					return err
				}
				req.Token = strings.TrimSpace(text)
			}
			if req.GetToken() == "" {
				return &exitError{code: exitUsage, text: "a token is needed", remedy: "haclusterctl token create, run on a member, prints the whole command"}
			}
			req.Addresses = args
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				stream, err := pb.NewLifecycleServiceClient(conn).Join(ctx, req)
				if err != nil {
					return err
				}
				return a.printJoin(stream)
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().StringVar(&req.Token, "token", "", "the token, or - to read it from standard input")
	cmd.Flags().StringVar(&req.Advertise, "advertise", "", "address[:port] at which the other nodes reach this one")
	cmd.Flags().BoolVar(&req.Witness, "witness", false, "vote, and hold no virtual address")
	cmd.Flags().BoolVar(&req.AcceptFindings, "accept-findings", false, "join although the test of the networks finds what may make two holders")
	return cmd
}

// printJoin follows a join to its end. With -o json only the outcome is printed.
func (a *app) printJoin(stream grpc.ServerStreamingClient[pb.JoinProgress]) error {
	last := &pb.JoinProgress{}
	var found []*pb.Diagnosis // printed below the step that has found it
	for {
		p, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if a.json() && len(found) > 0 {
				if err := a.printJSON(&pb.JoinOutcome{Findings: found}); err != nil {
					return err
				}
			}
			return err
		}
		if len(p.GetFindings()) > 0 {
			found = p.GetFindings()
		}
		switch {
		case p.GetJoined() != nil:
			last = p
		case !a.json():
			a.printStep(p)
			if p.GetState() != pb.StepState_STEP_STATE_RUNNING {
				a.printDiagnoses(worrying(found))
				found = nil
			}
		}
	}
	switch {
	case last.GetJoined() == nil:
		return &exitError{code: exitRefused, text: "the daemon ended the join without an outcome", remedy: "haclusterctl status"}
	case a.json():
		return a.printJSON(&pb.JoinOutcome{Joined: last.GetJoined(), Hints: last.GetHints(), Findings: last.GetFindings()})
	}
	joined := last.GetJoined()
	a.printf("%s\n", a.style(green, "This node, "+joined.GetNode()+", is "+partOf(joined)+" of cluster "+joined.GetCluster()+"."))
	for _, hint := range last.GetHints() {
		a.printf("note: %s\n", strings.Join(wrap(hint, a.width, len("note: ")), "\n      "))
	}
	return nil
}

// worrying are the findings that are more than a note.
func worrying(found []*pb.Diagnosis) []*pb.Diagnosis {
	return slices.DeleteFunc(slices.Clone(found), func(d *pb.Diagnosis) bool { return d.GetSeverity() < pb.Diagnosis_SEVERITY_WARNING })
}

// partOf is what a node is to its cluster.
func partOf(n *pb.InfoResponse) string {
	if n.GetRole() == "witness" {
		return "a witness"
	}
	return "a member"
}

// printStep prints how far a step is: when it ends, or on a terminal also when
// it begins, on a line that its end replaces.
func (a *app) printStep(p *pb.JoinProgress) {
	text := p.GetStep()
	if p.GetDetail() != "" {
		text += ": " + p.GetDetail()
	}
	clear := ""
	if a.terminal {
		clear = "\r\x1b[K"
	}
	switch p.GetState() {
	case pb.StepState_STEP_STATE_RUNNING:
		if a.terminal {
			a.printf("%s  … %s", clear, text)
		}
	case pb.StepState_STEP_STATE_DONE:
		a.printf("%s  %s %s\n", clear, a.style(green, "ok"), text)
	case pb.StepState_STEP_STATE_SKIPPED:
		a.printf("%s  %s %s\n", clear, a.style(dim, "--"), text)
	case pb.StepState_STEP_STATE_FAILED:
		a.printf("%s  %s %s\n", clear, a.style(red, "failed"), p.GetStep())
	}
}
