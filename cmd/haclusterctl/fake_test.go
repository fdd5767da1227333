package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// at is the fake's clock: a fixed moment and some seconds.
func at(seconds int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 11, 21, 10, 0, seconds, 0, time.UTC))
}

// daemon answers as haclusterd does, with what its scene says.
type daemon struct {
	pb.UnimplementedLifecycleServiceServer
	mu    sync.Mutex
	scene string
	text  string // of the present revision
	waits *pb.Unconfirmed

	restarted atomic.Bool
}

func (d *daemon) is(scene string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.scene == scene
}

// The services have methods of the same names, so each has a type.
type (
	tokens struct {
		pb.UnimplementedTokensServiceServer
		d *daemon
	}
	statuses struct {
		pb.UnimplementedStatusServiceServer
		d *daemon
	}
	nodes struct {
		pb.UnimplementedNodesServiceServer
		d *daemon
	}
	vips struct {
		pb.UnimplementedVipsServiceServer
		d *daemon
	}
	events struct {
		pb.UnimplementedEventsServiceServer
	}
	alerts struct {
		pb.UnimplementedAlertsServiceServer
		d *daemon
	}
	configs struct {
		pb.UnimplementedConfigServiceServer
		d *daemon
	}
	handovers struct {
		pb.UnimplementedHandoverServiceServer
	}
	incidents struct {
		pb.UnimplementedIncidentsServiceServer
		d *daemon
	}
	virtualServices struct {
		pb.UnimplementedServicesServiceServer
		d *daemon
	}
	doctors struct {
		pb.UnimplementedDoctorServiceServer
		d *daemon
	}
	disarms struct {
		pb.UnimplementedDisarmServiceServer
		d *daemon
	}
)

// start serves the fake on a unix socket until the returned function is called.
func (d *daemon) start(path string) (stop func(), err error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	g := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		if d.is("waiting") {
			return nil, refusal(codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_NOT_IN_CLUSTER,
				"this node is in no cluster: run `haclusterctl init` or `haclusterctl join`", "")
		}
		return handle(ctx, req)
	}))
	pb.RegisterLifecycleServiceServer(g, d)
	pb.RegisterTokensServiceServer(g, tokens{d: d})
	pb.RegisterStatusServiceServer(g, statuses{d: d})
	pb.RegisterNodesServiceServer(g, nodes{d: d})
	pb.RegisterVipsServiceServer(g, vips{d: d})
	pb.RegisterEventsServiceServer(g, events{})
	pb.RegisterAlertsServiceServer(g, alerts{d: d})
	pb.RegisterConfigServiceServer(g, configs{d: d})
	pb.RegisterHandoverServiceServer(g, handovers{})
	pb.RegisterDisarmServiceServer(g, disarms{d: d})
	pb.RegisterDoctorServiceServer(g, doctors{d: d})
	pb.RegisterIncidentsServiceServer(g, incidents{d: d})
	pb.RegisterServicesServiceServer(g, virtualServices{d: d})
	pb.RegisterWeightsServiceServer(g, weights{d: d})
	go g.Serve(l) // ends with stop
	return g.Stop, nil
}

func refusal(code codes.Code, reason pb.ErrorReason, text, remedy string) error {
	st, err := status.New(code, text).WithDetails(&pb.ErrorDetail{Reason: reason, Remedy: remedy, Findings: findingsOf(reason)})
	if err != nil {
		panic(err) // details of a known message always marshal
	}
	return st.Err()
}

func findingsOf(reason pb.ErrorReason) []*pb.Finding {
	if reason != pb.ErrorReason_ERROR_REASON_CHECK_FAILED {
		return nil
	}
	return []*pb.Finding{{
		Severity: pb.Finding_SEVERITY_ERROR, File: "new.conf", Line: 3, Column: 5,
		Message: "virtual_router_id 300 is out of range; use 1 to 255"}}
}

func (d *daemon) Info(context.Context, *pb.InfoRequest) (*pb.InfoResponse, error) {
	info := &pb.InfoResponse{Node: "lb01", Version: "9.9.9", Commit: "abc1234", Go: "go1.26", Mode: pb.InfoResponse_MODE_MEMBER, Started: at(0)}
	if d.restarted.Swap(false) {
		info.Version, info.Started = "9.9.10", at(9)
	}
	return info, nil
}

// Restart is followed by another start, unless no new one comes up.
func (d *daemon) Restart(context.Context, *pb.RestartRequest) (*pb.RestartResponse, error) {
	if d.is("old") {
		return nil, status.Error(codes.Unimplemented, "unknown method Restart")
	}
	d.restarted.Store(true)
	return &pb.RestartResponse{}, nil
}

func (d *daemon) Init(_ context.Context, req *pb.InitRequest) (*pb.InitResponse, error) {
	if !d.is("new") {
		return nil, refusal(codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_ALREADY_IN_CLUSTER,
			"this node is already in a cluster: run `haclusterctl leave` first (cluster \"web\")", "")
	}
	return &pb.InitResponse{
		Cluster: req.GetCluster(), ClusterId: "7f3a", Node: "lb01", Address: "192.0.2.11:7112",
		Token: &pb.Token{Id: "T1", Secret: "hacl1.abc", Role: "voter", Expires: at(3600), UsesLeft: -1}, Revision: &pb.Revision{Number: 1},
	}, nil
}

func (d *daemon) Join(req *pb.JoinRequest, stream grpc.ServerStreamingServer[pb.JoinProgress]) error {
	send := func(step string, state pb.StepState, detail string) {
		stream.Send(&pb.JoinProgress{Step: step, State: state, Detail: detail})
	}
	send("check token", pb.StepState_STEP_STATE_RUNNING, "")
	if req.GetToken() != "hacl1.abc" {
		send("check token", pb.StepState_STEP_STATE_FAILED, "damaged")
		return refusal(codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_REFUSED, "token is damaged: its checksum does not fit; copy the whole line again", "")
	}
	send("check token", pb.StepState_STEP_STATE_DONE, "")
	send("reach a member", pb.StepState_STEP_STATE_DONE, "192.0.2.11:7112")
	if d.is("deaf") {
		found := examined()
		stream.Send(&pb.JoinProgress{Step: "test the networks", State: pb.StepState_STEP_STATE_RUNNING, Findings: found})
		if !req.GetAcceptFindings() {
			send("test the networks", pb.StepState_STEP_STATE_FAILED, "deaf")
			return refusal(codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_REFUSED, "test the networks: one finding by which two machines may answer for one address", "put it right and join again, or say --accept-findings")
		}
		send("test the networks", pb.StepState_STEP_STATE_DONE, "accepted: one finding")
		return stream.Send(&pb.JoinProgress{Joined: &pb.InfoResponse{Node: "lb02", Cluster: "web"}, Findings: found})
	}
	return stream.Send(&pb.JoinProgress{Joined: &pb.InfoResponse{Node: "lb02", Cluster: "web"}})
}

func (d *daemon) Leave(_ context.Context, req *pb.LeaveRequest) (*pb.LeaveResponse, error) {
	return &pb.LeaveResponse{Cluster: "web", Remaining: []string{"lb02", "lb03"}, Warnings: []string{"two voters are left"}}, nil
}

func (d *daemon) Remove(_ context.Context, req *pb.RemoveMemberRequest) (*pb.RemoveMemberResponse, error) {
	if req.GetNode() != "lb03" {
		return nil, refusal(codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_REFUSED, req.GetNode()+" is alive: lb01 hears it by mesh; nothing was changed",
			"run haclusterctl leave on "+req.GetNode()+"; where that cannot be done, switch it off first")
	}
	return &pb.RemoveMemberResponse{Cluster: "web", Node: "lb03", Remaining: []string{"lb01", "lb02"}, Warnings: []string{"two voters are left"}}, nil
}

func (t tokens) Create(_ context.Context, req *pb.CreateTokenRequest) (*pb.CreateTokenResponse, error) {
	return &pb.CreateTokenResponse{Token: &pb.Token{Id: "T2", Secret: "hacl1.def", Role: req.GetRole(), Expires: at(3600)}, Addresses: []string{"192.0.2.11:7112", "192.0.2.12:7112"}}, nil
}

func (t tokens) List(context.Context, *pb.ListTokensRequest) (*pb.ListTokensResponse, error) {
	return &pb.ListTokensResponse{Tokens: []*pb.Token{{Id: "T1", Role: "voter", Created: at(0), Expires: at(3600), UsesLeft: -1, Creator: "root", UsedBy: []string{"lb02"}}}}, nil
}

func (t tokens) Revoke(_ context.Context, req *pb.RevokeTokenRequest) (*pb.RevokeTokenResponse, error) {
	if req.GetId() == "T2" {
		return &pb.RevokeTokenResponse{}, nil
	}
	return nil, refusal(codes.PermissionDenied, pb.ErrorReason_ERROR_REASON_PERMISSION, "only root may change the cluster", "use sudo")
}

// picture is a cluster of three: lb01 holds, lb03 is off.
func picture() *pb.ClusterStatus {
	unit := func(state pb.State) []*pb.Unit {
		return []*pb.Unit{{Name: "VI_1", State: state, Since: at(1), Reason: "master down timer expired", Tenure: 3, Priority: 120}}
	}
	return &pb.ClusterStatus{
		Verdict: pb.Verdict_VERDICT_AT_RISK, Reason: "lb03 is not heard", FailureTolerance: 1, EditFailureTolerance: 0, Next: "haclusterctl nodes", Time: at(30), Observer: "lb01",
		Cluster: &pb.Cluster{Name: "web", Id: "7f3a", Leader: "lb01", Voters: []string{"lb01", "lb02", "lb03"}, Majority: true, Revision: 12},
		Vips: []*pb.Vip{{
			Address: "192.0.2.100/24", Instance: "VI_1", Unit: "VI_1", Vrid: 51, Interface: "eth0", Verdict: pb.Verdict_VERDICT_SAFE, Reason: "held by lb01",
			Holders: []string{"lb01"}, Since: at(1), ChangeReason: "master down timer expired", Candidates: []*pb.Candidate{{Node: "lb02", State: pb.State_STATE_BACKUP, Priority: 110}}, FailureTolerance: 1,
		}},
		Nodes: []*pb.Node{
			{Name: "lb01", Address: "192.0.2.11:7112", Role: pb.Role_ROLE_VOTER, Leader: true, Alive: true, Version: "0.1.0", Revision: 12, RevisionTarget: 12, Units: unit(pb.State_STATE_MASTER)},
			{Name: "lb02", Address: "192.0.2.12:7112", Role: pb.Role_ROLE_VOTER, Alive: true, LastSeen: at(30), Version: "0.1.0", Revision: 12, RevisionTarget: 12, Units: unit(pb.State_STATE_BACKUP),
				Channels: []*pb.Channel{{Kind: "mesh", Alive: true, LastSeen: at(30), RoundTrip: durationpb.New(400 * time.Microsecond)}}},
			{Name: "lb03", Address: "192.0.2.13:7112", Role: pb.Role_ROLE_VOTER, LastSeen: at(3), Version: "0.1.0", Revision: 11, RevisionTarget: 12},
		},
		Links: []*pb.Link{{From: "lb01", To: "lb02", Channel: "mesh", Alive: true}, {From: "lb02", To: "lb01", Channel: "mesh", Alive: true}, {From: "lb02", To: "lb01", Channel: "vrrp", Alive: true}},
	}
}

func (s statuses) Get(context.Context, *pb.GetStatusRequest) (*pb.ClusterStatus, error) {
	st := picture()
	if s.d.is("violated") {
		st.Verdict, st.Reason = pb.Verdict_VERDICT_VIOLATED, "192.0.2.100: held by lb01 and lb02"
		st.Vips[0].Verdict, st.Vips[0].Reason, st.Vips[0].Holders = st.Verdict, "held by lb01 and lb02", []string{"lb01", "lb02"}
		st.Links = nil
		st.Alerts = []*pb.Alert{alert()}
	}
	if s.d.is("leased") {
		st.Verdict, st.Reason, st.Next = pb.Verdict_VERDICT_AT_RISK, "root disarmed the cluster", "haclusterctl alerts"
		st.Disarmed = &pb.Disarmed{By: "root (sudo: alice)", Reason: "switch sw1", Since: at(0), Until: at(1200)}
		st.Gaps = []string{"lb02: the kernel has no gate: a killed holder answers up to 2.05s longer"}
		st.Vips[0].Policy, st.Vips[0].Gate = "quorum", &pb.Gate{State: "open", Left: durationpb.New(1400 * time.Millisecond)}
		st.Vips[0].Lease = &pb.Lease{Held: true, Left: durationpb.New(1500 * time.Millisecond), Ballot: "7.lb01"}
		st.Nodes[1].StoreError = "the disk did not complete a write in time"
		st.Nodes[1].ClockAhead = durationpb.New(-40 * time.Millisecond)
		st.Links = []*pb.Link{
			{From: "lb01", To: "lb02", Channel: "mesh", Alive: true, LastSeen: at(29)},
			{From: "lb02", To: "lb01", Channel: "mesh", LastSeen: at(10)},
			{From: "lb02", To: "lb01", Channel: "vrrp", Alive: true},
			{From: "lb01", To: "lb02", Channel: "gossip", Alive: true}, {From: "lb01", To: "lb03", Channel: "gossip"},
		}
	}
	return st, nil
}

func (s statuses) Watch(_ *pb.WatchStatusRequest, stream grpc.ServerStreamingServer[pb.ClusterStatus]) error {
	stream.Send(picture())
	return stream.Send(picture()) // a new picture, and nothing new in it
}

func (n nodes) List(_ context.Context, req *pb.ListNodesRequest) (*pb.ListNodesResponse, error) {
	all := picture().GetNodes()
	if req.GetNode() == "" {
		return &pb.ListNodesResponse{Nodes: all}, nil
	}
	for _, n := range all {
		if n.GetName() == req.GetNode() {
			return &pb.ListNodesResponse{Nodes: []*pb.Node{n}}, nil
		}
	}
	return nil, refusal(codes.NotFound, pb.ErrorReason_ERROR_REASON_NOT_FOUND, "there is no node "+req.GetNode(), "haclusterctl nodes lists the members")
}

func (v vips) List(context.Context, *pb.ListVipsRequest) (*pb.ListVipsResponse, error) {
	return &pb.ListVipsResponse{Vips: picture().GetVips()}, nil
}

func (events) List(req *pb.ListEventsRequest, stream grpc.ServerStreamingServer[pb.Event]) error {
	if req.GetUnit() == "quiet" {
		return nil
	}
	if req.GetNode() == "nope" {
		return refusal(codes.NotFound, pb.ErrorReason_ERROR_REASON_NOT_FOUND, "there is no node nope; the nodes are lb01, lb02, lb03", "")
	}
	stream.Send(&pb.Event{Seq: 1, Time: at(0), Node: "lb01", Kind: "daemon", To: "started"})
	return stream.Send(&pb.Event{
		Seq: 2, Time: at(4), Node: "lb01", Kind: "state", Unit: "G1", Instance: "VI_1", From: "BACKUP", To: "MASTER",
		Reason: "master down timer expired", Evidence: []string{"no advert from 192.0.2.12 for 3.6 s"}})
}

func alert() *pb.Alert {
	return &pb.Alert{
		Id: "split_brain/lb01/VI_1/lb02", Code: "split_brain", Severity: pb.Alert_SEVERITY_CRITICAL, Node: "lb01", Unit: "VI_1",
		Summary: "lb01 and lb02 both hold VI_1", Evidence: []string{"mesh: record of lb02 claims MASTER, 0.1 s ago"},
		Action: "lb02 was told to let go", Next: "check the cable of eth0 on lb02", Since: at(5),
	}
}

func (a alerts) List(req *pb.ListAlertsRequest, stream grpc.ServerStreamingServer[pb.Alert]) error {
	if a.d.is("quiet") {
		return nil
	}
	if a.d.is("segment") {
		for _, pair := range [][2]string{{"lb01", "lb02"}, {"lb01", "lb03"}, {"lb02", "lb01"}} {
			stream.Send(&pb.Alert{
				Id: pair[0] + pair[1], Code: "vrrp_channel_lost", Severity: pb.Alert_SEVERITY_WARNING, Node: pair[0], Unit: "VI_1",
				Summary: "VI_1: adverts of " + pair[0] + " do not reach " + pair[1], Evidence: []string{"mesh: both are heard"},
				Next: "look at the switch", Since: at(5)})
		}
		return nil
	}
	if req.GetAll() {
		ended := alert()
		ended.Resolved = at(6)
		stream.Send(ended)
	}
	return stream.Send(alert())
}

func (c configs) revision() *pb.Revision {
	return &pb.Revision{Number: 12, Sha256: "0123456789abcdef0123", Author: "root (sudo: alice)", Time: at(0), Message: "new address"}
}

func (c configs) Show(context.Context, *pb.ShowConfigRequest) (*pb.ShowConfigResponse, error) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	return &pb.ShowConfigResponse{Revision: c.revision(), Text: c.d.text}, nil
}

func (c configs) Render(_ context.Context, req *pb.RenderConfigRequest) (*pb.RenderConfigResponse, error) {
	return &pb.RenderConfigResponse{Node: req.GetNode(), Text: "# for " + req.GetNode() + "\n"}, nil
}

func (c configs) Check(context.Context, *pb.CheckConfigRequest) (*pb.CheckConfigResponse, error) {
	resp := &pb.CheckConfigResponse{Nodes: []string{"lb01", "lb02", "lb03"}, Prepared: []string{"lb01", "lb02"}, Ok: true}
	if c.d.is("bad") {
		resp.Ok, resp.Findings = false, findingsOf(pb.ErrorReason_ERROR_REASON_CHECK_FAILED)
	}
	return resp, nil
}

func (c configs) Diff(_ context.Context, req *pb.DiffConfigRequest) (*pb.DiffConfigResponse, error) {
	return &pb.DiffConfigResponse{Diff: "--- revision 11\n+++ " + req.GetFile() + "\n@@ -1 +1 @@\n-priority 100\n+priority 90\n"}, nil
}

func (c configs) Plan(context.Context, *pb.PlanConfigRequest) (*pb.PlanConfigResponse, error) {
	if c.d.is("removes") {
		return &pb.PlanConfigResponse{
			Base: 12, Diff: "--- a\n+++ b\n", Nodes: []*pb.NodePlan{{Node: "lb01", Alive: true, Removed: []string{"VI_1"}}}, NoAddressLeft: true,
			Removals: []*pb.Removal{{Instance: "VI_1", Addresses: []string{"192.0.2.100/24"}}}}, nil
	}
	return &pb.PlanConfigResponse{Base: 12, Diff: "--- a\n+++ b\n", Nodes: []*pb.NodePlan{{Node: "lb01", Alive: true, Changed: []string{"VI_1"}}, {Node: "lb03", Added: []string{"VI_2"}}}}, nil
}

func (c configs) History(_ context.Context, req *pb.ConfigHistoryRequest) (*pb.ConfigHistoryResponse, error) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	return &pb.ConfigHistoryResponse{Current: 12, Unconfirmed: c.d.waits, Revisions: []*pb.Revision{
		c.revision(), {Number: 11, Sha256: "ff", Author: "root", Time: at(0), Message: "init"}}}, nil
}

func (c configs) Confirm(_ context.Context, req *pb.ConfirmConfigRequest) (*pb.ConfirmConfigResponse, error) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.d.waits == nil || req.GetRevision() != 0 && req.GetRevision() != 12 {
		return nil, refusal(codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_REFUSED, "no revision waits to be confirmed", "")
	}
	c.d.waits = nil
	return &pb.ConfirmConfigResponse{Revision: 12}, nil
}

func (c configs) Apply(req *pb.ApplyConfigRequest, stream grpc.ServerStreamingServer[pb.ApplyProgress]) error {
	c.d.mu.Lock()
	if d := req.GetConfirmWithin(); d != nil {
		c.d.waits = &pb.Unconfirmed{Revision: 12, Base: 11, By: "root", Until: at(int(d.AsDuration().Seconds()))}
	}
	c.d.text = req.GetText()
	c.d.mu.Unlock()
	return c.run(stream)
}

func (c configs) Set(req *pb.SetConfigRequest, stream grpc.ServerStreamingServer[pb.ApplyProgress]) error {
	c.d.mu.Lock()
	c.d.text = req.GetBlock() + " | " + req.GetKeyword() + " | " + req.GetValue() + " | " + req.GetNode() + "\n"
	c.d.mu.Unlock()
	return c.run(stream)
}

func (c configs) Rollback(req *pb.RollbackConfigRequest, stream grpc.ServerStreamingServer[pb.ApplyProgress]) error {
	if c.d.is("removes") && !req.GetAcceptRemovals() {
		return refusal(codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_REMOVES,
			"this takes vrrp_instance VI_1 (192.0.2.100/24) away from every node, and no virtual address is left", "nothing was changed; --yes does it all the same")
	}
	return c.run(stream)
}

// run plays an apply as the scene wants it.
func (c configs) run(stream grpc.ServerStreamingServer[pb.ApplyProgress]) error {
	if c.d.is("bad") {
		return refusal(codes.InvalidArgument, pb.ErrorReason_ERROR_REASON_CHECK_FAILED, "the document has one error", "")
	}
	if c.d.is("no-majority") {
		return refusal(codes.Unavailable, pb.ErrorReason_ERROR_REASON_NO_MAJORITY,
			"propose: no majority of the 3 voters (lb01 answers, lb02 last seen 40s ago, lb03 never seen): nothing was changed", "haclusterctl nodes shows who is not heard")
	}
	node := func(name string, step pb.ApplyNode_Step, detail string, took time.Duration) {
		stream.Send(&pb.ApplyProgress{Step: &pb.ApplyProgress_Node{Node: &pb.ApplyNode{Node: name, Step: step, Detail: detail, Took: durationpb.New(took)}}})
	}
	stream.Send(&pb.ApplyProgress{Step: &pb.ApplyProgress_Checked{Checked: &pb.ApplyChecked{Nodes: []string{"lb01", "lb02", "lb03"}}}})
	node("lb01", pb.ApplyNode_STEP_PREPARED, "", 2*time.Millisecond)
	node("lb02", pb.ApplyNode_STEP_PREPARED, "", 3*time.Millisecond)
	node("lb03", pb.ApplyNode_STEP_OFF, "not heard; it follows when it returns", 0)
	stream.Send(&pb.ApplyProgress{Step: &pb.ApplyProgress_Proposing{Proposing: &pb.ApplyProposing{RequestId: "R"}}})
	if c.d.is("lost") {
		return status.Error(codes.Unavailable, "the daemon ended")
	}
	rev := c.revision()
	stream.Send(&pb.ApplyProgress{Step: &pb.ApplyProgress_Committed{Committed: rev}})
	result := &pb.ApplyResult{Revision: rev, Running: []string{"lb01", "lb02"}, Off: []string{"lb03"}}
	node("lb01", pb.ApplyNode_STEP_RUNNING, "", 21*time.Millisecond)
	if c.d.is("stuck") {
		node("lb02", pb.ApplyNode_STEP_FAILED, "no interface eth7", time.Second)
		result.Running, result.Failed = []string{"lb01"}, []string{"lb02"}
	} else {
		node("lb02", pb.ApplyNode_STEP_RUNNING, "", 34*time.Millisecond)
	}
	return stream.Send(&pb.ApplyProgress{Step: &pb.ApplyProgress_Result{Result: result}})
}

func (handovers) Handover(_ context.Context, req *pb.HandoverRequest) (*pb.HandoverResponse, error) {
	return &pb.HandoverResponse{Unit: req.GetWhat(), From: "lb01", To: "lb02", Took: durationpb.New(140 * time.Millisecond)}, nil
}

func (d disarms) Disarm(_ context.Context, req *pb.DisarmRequest) (*pb.Disarmed, error) {
	if d.d.is("no-majority") {
		return nil, refusal(codes.Unavailable, pb.ErrorReason_ERROR_REASON_NO_MAJORITY, "disarm the cluster: no majority of the 3 voters", "haclusterctl nodes shows who is not heard")
	}
	return &pb.Disarmed{By: "root", Reason: req.GetReason(), Since: at(0), Until: at(int(req.GetFor().GetSeconds()))}, nil
}

func (d disarms) Arm(context.Context, *pb.ArmRequest) (*pb.ArmResponse, error) {
	if d.d.is("armed") {
		return nil, refusal(codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_REFUSED, "the cluster is armed: nothing to end", "")
	}
	return &pb.ArmResponse{}, nil
}

func incident() *pb.Incident {
	return &pb.Incident{
		Id: "12", Kind: "failover", Subject: "lb01", Units: []string{"VI_1", "VI_2", "VI_3"}, Summary: "lb02 (3) took 3 units over from lb01, at most 3.5s after its last sign",
		Opened: at(5), Closed: at(9), Dark: durationpb.New(3500 * time.Millisecond), Unanswered: durationpb.New(3600 * time.Millisecond), Reporters: []string{"lb02", "lb03"},
		Done: []string{"lb02: took over (VRRP): master down timer expired, last advert from 192.0.2.11 3.5s ago"},
		Lines: []*pb.IncidentLine{
			{Time: at(5), Node: "lb02", Channel: "mesh", Units: []string{"VI_1", "VI_2", "VI_3"}, Text: "last sign of lb01 as holder"},
			{Time: at(8), Node: "lb02", Channel: "vrrp", Units: []string{"VI_1", "VI_2"}, Text: "BACKUP → MASTER: master down timer expired"},
			{Time: at(8), Node: "lb03", Channel: "mesh", Units: []string{"VI_3"}, Text: "lb02 holds"},
		},
	}
}

func (i incidents) List(_ context.Context, req *pb.ListIncidentsRequest) (*pb.ListIncidentsResponse, error) {
	if i.d.is("quiet") {
		return &pb.ListIncidentsResponse{}, nil
	}
	open := &pb.Incident{Id: "lb01-3f-1", Kind: "split_brain", Subject: "lb01, lb02", Units: []string{"VI_1"}, Summary: "lb01 and lb02 held VI_1 together for 2.1s",
		Opened: at(20), DoubleHeld: durationpb.New(2100 * time.Millisecond), Reporters: []string{"lb01"}, Isolated: true}
	list := []*pb.Incident{open, incident()}
	if req.GetOpen() {
		list = list[:1]
	}
	return &pb.ListIncidentsResponse{Incidents: list}, nil
}

func (i incidents) Get(_ context.Context, req *pb.GetIncidentRequest) (*pb.Incident, error) {
	if req.GetId() != "12" {
		return nil, refusal(codes.NotFound, pb.ErrorReason_ERROR_REASON_NOT_FOUND, "there is no incident "+req.GetId(), "haclusterctl incident list shows those that are kept")
	}
	return incident(), nil
}

func (i incidents) Replay(context.Context, *pb.ReplayIncidentRequest) (*pb.ReplayIncidentResponse, error) {
	if i.d.is("quiet") {
		return &pb.ReplayIncidentResponse{Missing: []string{"lb01"}}, nil
	}
	return &pb.ReplayIncidentResponse{Decisions: []*pb.ReplayedDecision{
		{Time: at(5), Node: "lb02", Unit: "VI_1", State: "BACKUP", Was: []string{"hold until +2.2s: lb01 claimed MASTER"}, Now: []string{"hold until +2.2s: lb01 claimed MASTER"}, Same: true},
		{Time: at(8), Node: "lb02", Unit: "VI_1", State: "BACKUP", Was: []string{"take over after 0s: lb01 released the unit"}, Now: []string{"nothing"}},
	}}, nil
}

func (d doctors) Examine(context.Context, *pb.ExamineRequest) (*pb.Examination, error) {
	found := examined()
	if !d.d.is("deaf") {
		found = found[1:]
	}
	return &pb.Examination{Findings: found, Worst: found[0].GetSeverity()}, nil
}

// examined is what is found where lb02 is deaf.
func examined() []*pb.Diagnosis {
	return []*pb.Diagnosis{{
		Severity: pb.Diagnosis_SEVERITY_ERROR, Check: "l2", Node: "lb02", TwoHolders: true,
		Summary:  "IP protocol 112 does not pass from lb01 to lb02 on eth0 (vi_1)",
		Evidence: []string{"3 test datagrams from lb01 to lb02"}, Remedy: "let protocol 112 pass",
	}, {Severity: pb.Diagnosis_SEVERITY_OK, Check: "clock", Summary: "the clocks are within 2ms"}}
}
