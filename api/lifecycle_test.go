package api

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func TestInitGivesATokenAndRefusesAMember(t *testing.T) {
	l := newLAN(t, "lb1")
	client := pb.NewLifecycleServiceClient(l.nodes["lb1"].socket(t))
	_, err := client.Init(t.Context(), &pb.InitRequest{Cluster: "web"})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_ALREADY_IN_CLUSTER)
	l.state = cluster.Waiting
	_, err = client.Init(t.Context(), &pb.InitRequest{Cluster: "web", Text: "vrrp_instance {", File: "x.conf"})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_CHECK_FAILED)
	resp, err := client.Init(t.Context(), &pb.InitRequest{Cluster: "web"})
	if err != nil || resp.GetToken().GetSecret() != "hacl1.secret" || resp.GetAddress() != "192.0.2.1:7112" || resp.GetRevision().GetNumber() != 1 {
		t.Errorf("Init = %v, %v", resp, err)
	}
}

func TestJoinStreamsItsStepsAndLeaveWarnsOfTwoVoters(t *testing.T) {
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.state = cluster.Waiting
	client := pb.NewLifecycleServiceClient(l.nodes["lb1"].socket(t))
	stream, err := client.Join(t.Context(), &pb.JoinRequest{Token: "good"})
	if err != nil {
		t.Fatal(err)
	}
	var steps []*pb.JoinProgress
	for {
		p, err := stream.Recv()
		if err != nil {
			break
		}
		steps = append(steps, p)
	}
	if len(steps) != 5 || steps[1].GetState() != pb.StepState_STEP_STATE_DONE || steps[4].GetJoined().GetNode() != "lb1" {
		t.Errorf("steps = %v", steps)
	}
	stream, err = client.Join(t.Context(), &pb.JoinRequest{Token: "bad"})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if !strings.Contains(err.Error(), "checksum") {
		t.Errorf("join with a bad token: %v", err)
	}
	l.state = cluster.Member
	left, err := client.Leave(t.Context(), &pb.LeaveRequest{})
	if err != nil || len(left.GetWarnings()) != 1 || len(left.GetRemaining()) != 2 {
		t.Errorf("Leave = %v, %v; want a warning of two voters", left, err)
	}
}

func TestTokensThatCannotBeUsedAreNotListed(t *testing.T) {
	l := newLAN(t, "lb1")
	resp, err := pb.NewTokensServiceClient(l.nodes["lb1"].socket(t)).List(t.Context(), &pb.ListTokensRequest{})
	if err != nil || len(resp.GetTokens()) != 1 || resp.GetTokens()[0].GetId() != "T1" || resp.GetTokens()[0].GetUsesLeft() != 1 {
		t.Errorf("List = %v, %v; want T1 with one use left", resp, err)
	}
}

func TestAStandaloneDaemonSaysThatItHasNoCluster(t *testing.T) {
	s := New(Options{Node: "lb1", Hub: observed.NewHub(), Standalone: func() (string, string) { return "k.conf", document }})
	n := &node{server: s}
	conn := n.socket(t)
	_, err := pb.NewTokensServiceClient(conn).List(t.Context(), &pb.ListTokensRequest{})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_IN_CLUSTER)
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("code = %s", status.Code(err))
	}
	resp, err := pb.NewConfigServiceClient(conn).Show(t.Context(), &pb.ShowConfigRequest{})
	if err != nil || resp.GetText() != document {
		t.Errorf("Show = %v, %v; want the file's text", resp, err)
	}
}
