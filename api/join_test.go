package api

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/internal/preflight"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// joining makes lb3 join lb1 and lb2, and returns what the last step that was
// reported says, and what was found.
func joining(t *testing.T, l *lan, req *pb.JoinRequest) (detail string, found []*pb.Diagnosis, err error) {
	t.Helper()
	l.state, l.joins = cluster.Waiting, "lb3"
	req.Token = "good"
	stream, err := pb.NewLifecycleServiceClient(l.nodes["lb3"].socket(t)).Join(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return detail, found, nil
		case err != nil:
			return detail, found, err
		}
		if p.GetStep() == cluster.StepExamine && len(p.GetFindings()) == 0 {
			detail = p.GetDetail()
		}
		if len(p.GetFindings()) > 0 {
			found = p.GetFindings()
		}
	}
}

func TestJoinTestsTheNetworksWithAllMembersBefore(t *testing.T) {
	needRoot(t)
	detail, found, err := joining(t, newLAN(t, "lb1", "lb2", "lb3"), &pb.JoinRequest{})
	// Ways between members are the doctor's.
	if err != nil || !strings.Contains(detail, "on all 4 ways") || !strings.Contains(detail, "the clock is within") {
		t.Errorf("step %q (%v); want it to name 4 ways and the clock", detail, err)
	}
	if !slices.ContainsFunc(found, func(d *pb.Diagnosis) bool { return d.GetCheck() == "gate" && d.GetNode() == "lb3" }) ||
		slices.ContainsFunc(found, func(d *pb.Diagnosis) bool { return d.GetCheck() == "gate" && d.GetNode() != "lb3" }) {
		t.Errorf("of the machines lb3 alone is to be spoken of: %v", found)
	}
}

func TestJoinIsRefusedWhereTwoMayHoldUnlessTheFindingsAreAccepted(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.deaf, l.deafFor = "lb2", 100
	_, found, err := joining(t, l, &pb.JoinRequest{})
	if err == nil || !strings.Contains(err.Error(), "one finding by which two machines may answer") || !strings.Contains(err.Error(), "from lb3 to lb2") {
		t.Errorf("join of a deaf network: %v", err)
	}
	if len(found) == 0 || !found[0].GetTwoHolders() || found[0].GetRemedy() == "" {
		t.Errorf("findings %v; want the refusing one first, with its remedy", found)
	}
	detail, _, err := joining(t, l, &pb.JoinRequest{AcceptFindings: true})
	if err != nil || !strings.HasPrefix(detail, "accepted: one finding") {
		t.Errorf("accepted: %q, %v", detail, err)
	}
}

func TestJoinLooksTwiceBeforeItIsRefused(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.deaf, l.deafFor = "lb2", 3 // in the first round
	if detail, _, err := joining(t, l, &pb.JoinRequest{}); err != nil || !strings.Contains(detail, "on all 4 ways") {
		t.Errorf("join: %q, %v; want the second look to count", detail, err)
	}
}

func TestMemberThatIsOffDoesNotKeepOthersFromJoining(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.nodes["lb2"].off = true
	_, found, err := joining(t, l, &pb.JoinRequest{})
	if err != nil || len(found) == 0 || found[0].GetCheck() != "api" || found[0].GetNode() != "lb2" {
		t.Errorf("join: %v; findings %v; want it to say that lb2 was not examined", err, found)
	}
}

func TestNodeThatCannotRunTheConfigurationIsToldSo(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.history = append(l.history, store.Revision{Number: 2, Text: "?"})
	_, found, err := joining(t, l, &pb.JoinRequest{})
	if err != nil || len(found) != 1 || !strings.Contains(found[0].GetSummary(), "revision 2 would not run here") {
		t.Errorf("join: %v, findings %v", err, found)
	}
}

func TestWitnessTestsWhatItUses(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.deaf, l.deafFor, l.witness = "lb2", 100, "lb3" // to protocol 112
	detail, found, err := joining(t, l, &pb.JoinRequest{Witness: true})
	if want := "all 3 nodes answer by TCP; lb3 is reached by TCP from all members that were asked; the clock is within"; err != nil || !strings.HasPrefix(detail, want) {
		t.Errorf("step %q (%v), want %q", detail, err, want)
	}
	for _, d := range found {
		if !slices.Contains([]string{"api", "clock"}, d.GetCheck()) {
			t.Errorf("a witness is told of %v", d)
		}
	}
}

func TestWitnessIsRefusedWhereItsVoteWouldNotCount(t *testing.T) {
	found := []preflight.Finding{{Severity: preflight.Error, Check: "heartbeat", Summary: "none arrives", NoVote: true}}
	_, err := admissible(found, false)
	if want := "one finding by which its vote would not count: none arrives"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("refusal %v, want %q", err, want)
	}
	if detail, err := admissible(found, true); err != nil || detail != "accepted: one finding by which its vote would not count" {
		t.Errorf("accepted: %q, %v", detail, err)
	}
}
