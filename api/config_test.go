package api

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func wantReason(t *testing.T, err error, want pb.ErrorReason) {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if detail, ok := d.(*pb.ErrorDetail); ok && detail.GetReason() == want {
			return
		}
	}
	t.Errorf("error = %v, want one with reason %s", err, want)
}

// drain reads an apply to its end.
func drain(stream grpc.ServerStreamingClient[pb.ApplyProgress]) (steps []string, result *pb.ApplyResult, err error) {
	for {
		p, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return steps, result, nil
		}
		if err != nil {
			return steps, result, err
		}
		switch step := p.GetStep().(type) {
		case *pb.ApplyProgress_Checked:
			steps = append(steps, "checked")
		case *pb.ApplyProgress_Node:
			steps = append(steps, step.Node.GetNode()+" "+strings.TrimPrefix(step.Node.GetStep().String(), "STEP_"))
		case *pb.ApplyProgress_Proposing:
			steps = append(steps, "proposing")
		case *pb.ApplyProgress_Committed:
			steps = append(steps, "committed")
		case *pb.ApplyProgress_Result:
			result = step.Result
		}
	}
}

func apply(t *testing.T, conn grpc.ClientConnInterface, req *pb.ApplyConfigRequest) ([]string, *pb.ApplyResult, error) {
	t.Helper()
	stream, err := pb.NewConfigServiceClient(conn).Apply(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return drain(stream)
}

var changed = strings.Replace(document, "priority 100", "priority 90", 1)

func TestApplyEndsWhenEveryLiveNodeRunsTheRevision(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	conn := l.nodes["lb1"].socket(t)
	steps, result, err := apply(t, conn, &pb.ApplyConfigRequest{RequestId: "r1", Base: 1, Text: changed, Message: "lower", OnBehalf: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if result.GetRevision().GetNumber() != 2 || result.GetRevision().GetAuthor() != "root (sudo: alice)" || !slices.Equal(result.GetRunning(), []string{"lb1", "lb2"}) {
		t.Errorf("result = %v", result)
	}
	if i := slices.Index(steps, "committed"); i < 0 || !slices.Contains(steps[:i], "lb2 PREPARED") || !slices.Contains(steps[i:], "lb2 RUNNING") {
		t.Errorf("steps = %v; want prepared, then committed, then running", steps)
	}

	// The same request again is answered with the same revision.
	_, again, err := apply(t, conn, &pb.ApplyConfigRequest{RequestId: "r1", Base: 1, Text: changed})
	if err != nil || again.GetRevision().GetNumber() != 2 || len(l.history) != 2 {
		t.Errorf("repeated: %v, %v, history %d; want revision 2 and no other", again, err, len(l.history))
	}
	// The present text changes nothing.
	_, same, err := apply(t, conn, &pb.ApplyConfigRequest{Base: 2, Text: changed})
	if err != nil || !same.GetUnchanged() || len(l.history) != 2 {
		t.Errorf("same text: %v, %v; want nothing changed", same, err)
	}
}

func TestApplyRefusesAndChangesNothing(t *testing.T) {
	tests := []struct {
		name    string
		text    string
		base    uint64
		arrange func(*lan)
		reason  pb.ErrorReason
		says    string
	}{{
		name: "a document with an error", text: strings.Replace(document, "51", "300", 1), base: 1,
		reason: pb.ErrorReason_ERROR_REASON_CHECK_FAILED, says: "the document has",
	}, {
		name: "a node that cannot run it", text: changed, base: 1,
		arrange: func(l *lan) {
			l.nodes["lb2"].refuse = config.Findings{{Severity: config.Error, Msg: "interface eth0 does not exist"}}
		},
		reason: pb.ErrorReason_ERROR_REASON_CHECK_FAILED, says: "lb2 cannot run the document",
	}, {
		name: "an edit of the same line by somebody else", text: changed, base: 1,
		arrange: func(l *lan) {
			theirs := strings.Replace(document, "priority 100", "priority 80", 1)
			l.history = append(l.history, store.Revision{Number: 2, Text: theirs, Author: "bob"})
		},
		reason: pb.ErrorReason_ERROR_REASON_CONFLICT, says: "bob committed revision 2 meanwhile",
	}, {
		name: "no majority", text: changed, base: 1,
		arrange: func(l *lan) { l.nodes["lb1"].propose = &cluster.NoMajorityError{Operation: "propose"} },
		reason:  pb.ErrorReason_ERROR_REASON_NO_MAJORITY, says: "no majority",
	}, {
		name: "an unknown outcome", text: changed, base: 1,
		arrange: func(l *lan) {
			l.nodes["lb1"].propose = &store.UnknownOutcomeError{RequestID: "r9", Err: errors.New("lost")}
		},
		reason: pb.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN, says: "r9",
	}, {
		name: "a node that is in no cluster", text: changed, base: 1,
		arrange: func(l *lan) { l.state = cluster.Waiting },
		reason:  pb.ErrorReason_ERROR_REASON_NOT_IN_CLUSTER, says: "init",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLAN(t, "lb1", "lb2")
			if tt.arrange != nil {
				tt.arrange(l)
			}
			before := len(l.history)
			_, _, err := apply(t, l.nodes["lb1"].socket(t), &pb.ApplyConfigRequest{Base: tt.base, Text: tt.text})
			wantReason(t, err, tt.reason)
			if !strings.Contains(status.Convert(err).Message(), tt.says) {
				t.Errorf("error = %v, want it to say %q", err, tt.says)
			}
			if len(l.history) != before {
				t.Error("a revision was committed")
			}
		})
	}
}

func TestConcurrentEditsOfDifferentPlacesAreMerged(t *testing.T) {
	l := newLAN(t, "lb1")
	theirs := strings.Replace(document, "192.0.2.100/24", "192.0.2.101/24", 1)
	l.history = append(l.history, store.Revision{Number: 2, Text: theirs, Author: "bob"})
	_, result, err := apply(t, l.nodes["lb1"].socket(t), &pb.ApplyConfigRequest{Base: 1, Text: changed})
	if err != nil || result.GetRevision().GetNumber() != 3 {
		t.Fatalf("apply = %v, %v; want revision 3", result, err)
	}
	if text := l.history[2].Text; !strings.Contains(text, "priority 90") || !strings.Contains(text, "192.0.2.101/24") {
		t.Errorf("merged text lacks one of the edits:\n%s", text)
	}
}

func TestNodesThatAreOffFollowAndLiveOnesThatFailAreNamed(t *testing.T) {
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.nodes["lb2"].stuck = errors.New("vi_1: no such interface")
	l.nodes["lb3"].off = true
	l.publish([]string{"lb1", "lb2", "lb3"})
	_, result, err := apply(t, l.nodes["lb1"].socket(t), &pb.ApplyConfigRequest{Base: 1, Text: changed})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(result.GetRunning(), []string{"lb1"}) || !slices.Equal(result.GetFailed(), []string{"lb2"}) || !slices.Equal(result.GetOff(), []string{"lb3"}) {
		t.Errorf("running %v, failed %v, off %v; want lb1, lb2, lb3", result.GetRunning(), result.GetFailed(), result.GetOff())
	}
}

func TestSetAndRollbackMakeRevisions(t *testing.T) {
	l := newLAN(t, "lb1")
	conn := l.nodes["lb1"].socket(t)
	client := pb.NewConfigServiceClient(conn)
	stream, err := client.Set(t.Context(), &pb.SetConfigRequest{Block: "vrrp_instance vi_1", Keyword: "priority", Value: "110", Node: "lb1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, result, err := drain(stream); err != nil || result.GetRevision().GetMessage() != "set vrrp_instance vi_1: priority 110 on lb1" {
		t.Fatalf("set = %v, %v", result, err)
	}
	if !strings.Contains(l.history[1].Text, "@lb1 priority 110") {
		t.Errorf("text = %s", l.history[1].Text)
	}
	late, err := client.Rollback(t.Context(), &pb.RollbackConfigRequest{Revision: 1, Base: 1})
	if err == nil {
		_, _, err = drain(late)
	}
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_CONFLICT)
	back, err := client.Rollback(t.Context(), &pb.RollbackConfigRequest{Base: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, result, err := drain(back); err != nil || result.GetRevision().GetNumber() != 3 || l.history[2].Text != document {
		t.Errorf("rollback = %v, %v", result, err)
	}
}

func TestAChangeThatTakesThingsAwayIsMadeOnlyOnPurpose(t *testing.T) {
	second := strings.NewReplacer("vi_1", "vi_2", "51", "52", "192.0.2.100", "192.0.2.101").Replace(document)
	const service = "virtual_server 192.0.2.100 80 {\n\tprotocol TCP\n\tlvs_method NAT\n\treal_server 192.0.2.7 80 {\n\t}\n}\n"
	tests := []struct{ name, old, text, says string }{
		{"one instance of two", document + second, document, "this takes vrrp_instance vi_2 (192.0.2.101/24) away from every node"},
		{"everything", document, "# nothing\n", "this takes vrrp_instance vi_1 (192.0.2.100/24) away from every node, and no virtual address is left"},
		{"an instance that stays on one node", document, "@lb1\n" + document, ""},
		{"a change of priority", document, changed, ""},
		{"one more instance", document, document + second, ""},
		{"the last virtual services", document + service, document, "this takes virtual_server 192.0.2.100 80 away from every node"},
		{"one virtual service of two", document + service + strings.Replace(service, "80", "443", 1), document + service, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := compareCluster(tt.old, tt.text, config.Members("lb1", "lb2")).refuse()
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || err.Error() != tt.says) {
				t.Errorf("refuse = %v, want %q", err, tt.says)
			}
		})
	}

	l := newLAN(t, "lb1", "lb2")
	l.history = append([]store.Revision{{Number: 1, Text: "# empty\n"}}, l.history...)
	l.history[1].Number = 2
	client := pb.NewConfigServiceClient(l.nodes["lb1"].socket(t))
	rollback := func(req *pb.RollbackConfigRequest) error {
		t.Helper()
		stream, err := client.Rollback(t.Context(), req)
		if err == nil {
			_, _, err = drain(stream)
		}
		return err
	}
	wantReason(t, rollback(&pb.RollbackConfigRequest{}), pb.ErrorReason_ERROR_REASON_REMOVES)
	if len(l.history) != 2 {
		t.Error("a revision was committed")
	}
	plan, err := client.Plan(t.Context(), &pb.PlanConfigRequest{Text: "# empty\n"})
	if err != nil || !plan.GetNoAddressLeft() || len(plan.GetRemovals()) != 1 || plan.GetRemovals()[0].GetInstance() != "vi_1" {
		t.Errorf("Plan = %v, %v; want it to tell of vi_1", plan, err)
	}
	if err := rollback(&pb.RollbackConfigRequest{AcceptRemovals: true}); err != nil || len(l.history) != 3 {
		t.Errorf("on purpose: %v, %d revisions; want 3", err, len(l.history))
	}
}

func TestSetOffersTheBlockThatABareNameMeans(t *testing.T) {
	l := newLAN(t, "lb1")
	stream, err := pb.NewConfigServiceClient(l.nodes["lb1"].socket(t)).Set(t.Context(), &pb.SetConfigRequest{Block: "vi_1", Keyword: "priority", Value: "110"})
	if err == nil {
		_, _, err = drain(stream)
	}
	for _, d := range status.Convert(err).Details() {
		if detail, ok := d.(*pb.ErrorDetail); ok && strings.Contains(detail.GetRemedy(), "'vrrp_instance vi_1'") {
			return
		}
	}
	t.Errorf("error = %v, want it to offer 'vrrp_instance vi_1'", err)
}

func TestDiffHidesSecrets(t *testing.T) {
	l := newLAN(t, "lb1")
	text := strings.Replace(document, "s3cret", "0ther", 1)
	resp, err := pb.NewConfigServiceClient(l.nodes["lb1"].socket(t)).Diff(t.Context(), &pb.DiffConfigRequest{WithText: true, Text: text, File: "new"})
	if err != nil || resp.GetDiff() == "" || strings.Contains(resp.GetDiff(), "s3cret") || strings.Contains(resp.GetDiff(), "0ther") {
		t.Errorf("Diff = %q, %v", resp.GetDiff(), err)
	}
}

func TestPlanNamesWhatChangesOnEachNode(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	text := strings.Replace(document, "@lb1 priority 120", "@lb1 priority 130", 1)
	resp, err := pb.NewConfigServiceClient(l.nodes["lb1"].socket(t)).Plan(t.Context(), &pb.PlanConfigRequest{Text: text, File: "new"})
	if err != nil || len(resp.GetNodes()) != 2 {
		t.Fatalf("Plan = %v, %v", resp, err)
	}
	if lb1, lb2 := resp.GetNodes()[0], resp.GetNodes()[1]; !slices.Equal(lb1.GetChanged(), []string{"vi_1"}) || len(lb2.GetChanged()) != 0 {
		t.Errorf("lb1 changes %v, lb2 %v; want vi_1 on lb1 only", lb1.GetChanged(), lb2.GetChanged())
	}
}
