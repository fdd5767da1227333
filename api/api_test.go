package api

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
	"github.com/hacluster/hacluster/vrrp"
)

// dialAs connects to a unix socket as another user. SO_PEERCRED is the word of
// the thread that connects, so one thread changes its user, and ends.
func dialAs(path string, uid int) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			done <- result{nil, errno}
			return
		}
		conn, err := func() (net.Conn, error) {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return nil, err
			}
			f := os.NewFile(uintptr(fd), path)
			defer f.Close()
			if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
				return nil, err
			}
			return net.FileConn(f)
		}()
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

const nobody = 65534

func TestWhoMayOpenTheSocketReadsAndOnlyRootWrites(t *testing.T) {
	needRoot(t)
	n := newLAN(t, "lb1").nodes["lb1"]
	path := n.serve(t)
	if _, err := dialAs(path, nobody); !errors.Is(err, unix.EACCES) {
		t.Errorf("connect as nobody: %v, want %v", err, unix.EACCES)
	}
	// Membership of the group is the file system's affair; let everybody in.
	for file, mode := range map[string]os.FileMode{path: 0o666, filepath.Dir(path): 0o755, filepath.Dir(filepath.Dir(path)): 0o755} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return dialAs(path, nobody) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if _, err := pb.NewStatusServiceClient(conn).Get(t.Context(), &pb.GetStatusRequest{}); err != nil {
		t.Errorf("a read: %v", err)
	}
	_, err = pb.NewLifecycleServiceClient(conn).Leave(t.Context(), &pb.LeaveRequest{})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_PERMISSION)
	stream, err := pb.NewConfigServiceClient(conn).Apply(t.Context(), &pb.ApplyConfigRequest{Force: true, Text: document})
	if err == nil {
		_, err = stream.Recv()
	}
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_PERMISSION)

	resp, err := pb.NewConfigServiceClient(conn).Show(t.Context(), &pb.ShowConfigRequest{})
	if err != nil || strings.Contains(resp.GetText(), "s3cret") || !strings.Contains(resp.GetText(), "auth_pass ***") {
		t.Errorf("Show for nobody = %q, %v; want the password hidden", resp.GetText(), err)
	}
	root, err := pb.NewConfigServiceClient(n.socket(t)).Show(t.Context(), &pb.ShowConfigRequest{})
	if err != nil || root.GetText() != document {
		t.Errorf("Show for root = %q, %v; want the document", root.GetText(), err)
	}
}

func TestEveryMethodIsAReadOnPurposeOrNeedsRoot(t *testing.T) {
	g := grpc.NewServer()
	for _, register := range []func(){
		func() { pb.RegisterLifecycleServiceServer(g, lifecycleService{}) }, func() { pb.RegisterTokensServiceServer(g, tokensService{}) },
		func() { pb.RegisterStatusServiceServer(g, statusService{}) }, func() { pb.RegisterNodesServiceServer(g, nodesService{}) },
		func() { pb.RegisterVipsServiceServer(g, vipsService{}) }, func() { pb.RegisterEventsServiceServer(g, eventsService{}) },
		func() { pb.RegisterAlertsServiceServer(g, alertsService{}) }, func() { pb.RegisterConfigServiceServer(g, configService{}) },
		func() { pb.RegisterHandoverServiceServer(g, handoverService{}) },
		func() { pb.RegisterDisarmServiceServer(g, disarmService{}) }, func() { pb.RegisterIncidentsServiceServer(g, incidentsService{}) },
		func() { pb.RegisterDoctorServiceServer(g, doctorService{}) },
	} {
		register()
	}
	var writes []string
	for name, info := range g.GetServiceInfo() {
		for _, m := range info.Methods {
			if !reads["/"+name+"/"+m.Name] {
				writes = append(writes, m.Name)
			}
		}
	}
	slices.Sort(writes)
	want := []string{"Apply", "Arm", "Create", "Disarm", "Examine", "Handover", "Init", "Join", "Leave", "Restart", "Revoke", "Rollback", "Set"}
	if !slices.Equal(writes, want) {
		t.Errorf("methods that need root = %v, want %v", writes, want)
	}
}

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
	back, err := client.Rollback(t.Context(), &pb.RollbackConfigRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, result, err := drain(back); err != nil || result.GetRevision().GetNumber() != 3 || l.history[2].Text != document {
		t.Errorf("rollback = %v, %v", result, err)
	}
}

func TestStatusIsMergedFromEveryNode(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	var header metadata.MD
	st, err := pb.NewStatusServiceClient(l.nodes["lb2"].socket(t)).Get(t.Context(), &pb.GetStatusRequest{}, grpc.Header(&header))
	if err != nil {
		t.Fatal(err)
	}
	if got := header.Get(versionHeader); !slices.Equal(got, []string{"1.0.0"}) {
		t.Errorf("header %s = %v, want the daemon's version", versionHeader, got)
	}
	if st.GetVerdict() != pb.Verdict_VERDICT_SAFE || len(st.GetVips()) != 1 || !slices.Equal(st.GetVips()[0].GetHolders(), []string{"lb1"}) {
		t.Errorf("status = %s %q, vips %v; want SAFE, held by lb1", st.GetVerdict(), st.GetReason(), st.GetVips())
	}
	if unit := st.GetNodes()[0].GetUnits()[0]; unit.GetReason() != "because" {
		t.Errorf("unit of lb1 as seen by lb2 = %v, want what lb1 says of itself", unit)
	}
}

func TestANodeInNoClusterTellsNothingOfAFormerOne(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	l.state = cluster.Waiting
	st, err := pb.NewStatusServiceClient(l.nodes["lb2"].socket(t)).Get(t.Context(), &pb.GetStatusRequest{})
	if err != nil || st.GetVerdict() != pb.Verdict_VERDICT_UNKNOWN || len(st.GetNodes()) != 1 || st.GetCluster().GetName() != "" {
		t.Errorf("status = %v, %v; want UNKNOWN and this node only", st, err)
	}
}

func TestEventsOfAllNodesComeInOneStream(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	at := time.Unix(2000, 0)
	l.nodes["lb1"].hub.Record(observed.Event{Node: "lb1", Time: at.Add(2 * time.Second), To: "second"})
	l.nodes["lb2"].hub.Record(observed.Event{Node: "lb2", Time: at.Add(1 * time.Second), To: "first"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := pb.NewEventsServiceClient(l.nodes["lb1"].socket(t)).List(ctx, &pb.ListEventsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	next := func() string {
		t.Helper()
		ev, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return ev.GetNode() + " " + ev.GetTo()
	}
	if a, b := next(), next(); a != "lb2 first" || b != "lb1 second" {
		t.Errorf("past = %q, %q; want it in order of time", a, b)
	}
	l.nodes["lb2"].hub.Record(observed.Event{Node: "lb2", To: "news"})
	if got := next(); got != "lb2 news" {
		t.Errorf("followed = %q, want the other node's news", got)
	}
	l.nodes["lb1"].hub.Record(observed.Event{Node: "lb1", To: "own"})
	if got := next(); got != "lb1 own" {
		t.Errorf("followed = %q, want the own news", got)
	}
}

func TestAlertsAreListedOnceWithTheirLastChange(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	open := observed.Alert{ID: "a", Summary: "x", Since: time.Unix(1, 0)}
	ended := open
	ended.Resolved = time.Unix(2, 0)
	l.nodes["lb2"].hub.Raise(open)
	l.nodes["lb2"].hub.Raise(ended)
	l.nodes["lb1"].hub.Raise(observed.Alert{ID: "b", Summary: "y", Since: time.Unix(3, 0)})
	client := pb.NewAlertsServiceClient(l.nodes["lb1"].socket(t))
	for all, want := range map[bool][]string{false: {"b"}, true: {"a", "b"}} {
		stream, err := client.List(t.Context(), &pb.ListAlertsRequest{All: all})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			alert, err := stream.Recv()
			if err != nil {
				break
			}
			got = append(got, alert.GetId())
		}
		if !slices.Equal(got, want) {
			t.Errorf("alerts (all %v) = %v, want %v", all, got, want)
		}
	}
}

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

func TestHandoverMovesTheUnit(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	client := pb.NewHandoverServiceClient(l.nodes["lb1"].socket(t))
	resp, err := client.Handover(t.Context(), &pb.HandoverRequest{What: "192.0.2.100"})
	if err != nil || resp.GetUnit() != "vi_1" || resp.GetFrom() != "lb1" || resp.GetTo() != "lb2" {
		t.Errorf("Handover = %v, %v; want vi_1 from lb1 to lb2", resp, err)
	}
	_, err = client.Handover(t.Context(), &pb.HandoverRequest{What: "nothing"})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_FOUND)
	_, err = client.Handover(t.Context(), &pb.HandoverRequest{What: "vi_1", To: "lb9"})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_FOUND)
}

func TestHandoverSaysWhyANodeCannotTakeIt(t *testing.T) {
	snapshot := func(change func(*observed.Node)) observed.Snapshot {
		l := newLAN(t, "lb1", "lb2", "lb3")
		s, _ := l.nodes["lb1"].hub.Latest()
		for i, state := range []vrrp.State{vrrp.Master, vrrp.Backup, vrrp.Backup} {
			s.Nodes[i].Units = []vrrp.UnitStatus{s.Nodes[0].Units[0]}
			s.Nodes[i].Units[0].State = state
		}
		change(&s.Nodes[1])
		return s
	}
	for want, change := range map[string]func(*observed.Node){
		"it was never heard":                 func(n *observed.Node) { n.Alive = false },
		"it was last heard 1m":               func(n *observed.Node) { n.Alive, n.LastSeen = false, time.Now().Add(-time.Minute) },
		"it is a witness, and holds nothing": func(n *observed.Node) { n.Role, n.Units = observed.RoleWitness, nil },
		"it is FAULT (eth0 is down)":         func(n *observed.Node) { n.Units[0].State, n.Units[0].Reason = vrrp.Fault, "eth0 is down" },
		"it does not run it; these can: lb3": func(n *observed.Node) { n.Units = nil },
	} {
		_, _, err := planHandover(snapshot(change), "vi_1", "lb2")
		if err == nil || !strings.Contains(err.Error(), "lb2 cannot take vi_1 over: "+want) {
			t.Errorf("error = %v, want it to say %q", err, want)
		}
	}
}

func TestAChangeThatTakesThingsAwayIsMadeOnlyOnPurpose(t *testing.T) {
	second := strings.NewReplacer("vi_1", "vi_2", "51", "52", "192.0.2.100", "192.0.2.101").Replace(document)
	tests := []struct{ name, old, text, says string }{
		{"one instance of two", document + second, document, "this takes vrrp_instance vi_2 (192.0.2.101/24) away from every node"},
		{"everything", document, "# nothing\n", "this takes vrrp_instance vi_1 (192.0.2.100/24) away from every node, and no virtual address is left"},
		{"an instance that stays on one node", document, "@lb1\n" + document, ""},
		{"a change of priority", document, changed, ""},
		{"one more instance", document, document + second, ""},
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

func TestEventsOfAnUnknownNodeAreAnErrorThatNamesTheNodes(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	stream, err := pb.NewEventsServiceClient(l.nodes["lb1"].socket(t)).List(t.Context(), &pb.ListEventsRequest{Node: "nope"})
	if err == nil {
		_, err = stream.Recv()
	}
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_FOUND)
	if !strings.Contains(err.Error(), "there is no node nope; the nodes are lb1, lb2") {
		t.Errorf("error = %v", err)
	}
}

func TestTokensThatCannotBeUsedAreNotListed(t *testing.T) {
	l := newLAN(t, "lb1")
	resp, err := pb.NewTokensServiceClient(l.nodes["lb1"].socket(t)).List(t.Context(), &pb.ListTokensRequest{})
	if err != nil || len(resp.GetTokens()) != 1 || resp.GetTokens()[0].GetId() != "T1" || resp.GetTokens()[0].GetUsesLeft() != 1 {
		t.Errorf("List = %v, %v; want T1 with one use left", resp, err)
	}
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

func TestListenRefusesASocketInUse(t *testing.T) {
	n := newLAN(t, "lb1").nodes["lb1"]
	if _, err := Listen(n.serve(t)); err == nil || !strings.Contains(err.Error(), "another daemon") {
		t.Errorf("Listen on a served socket: %v", err)
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
