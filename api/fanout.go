package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// How long a member may take to answer a question that a person waits for: one
// that is heard, and one that is not, whose API may answer all the same.
const (
	aliveAnswers  = 700 * time.Millisecond
	silentAnswers = 200 * time.Millisecond
)

// merged asks every other member what it knows of itself and puts it into this
// node's picture. Of a member that does not answer, the picture keeps what its
// heartbeats claim.
func (s *Server) merged(ctx context.Context) observed.Snapshot {
	s.refresh(ctx)
	snapshot, _ := s.o.Hub.Latest()
	if s.waiting() {
		return alone(snapshot)
	}
	if s.removed() {
		snapshot = alone(snapshot)
		snapshot.Removed = true
		return snapshot
	}
	snapshot.Nodes = slices.Clone(snapshot.Nodes)
	if s.member() != nil {
		return snapshot
	}
	snapshot.Unconfirmed = s.unconfirmed()
	var (
		wg      sync.WaitGroup
		reports = make([]*pb.ClusterStatus, len(snapshot.Nodes))
		took    = make([]time.Duration, len(snapshot.Nodes))
	)
	for i, n := range snapshot.Nodes {
		if n.Name == s.o.Node {
			continue
		}
		wg.Go(func() { // ends with its answer, or with its time
			patience := silentAnswers
			if n.Alive {
				patience = aliveAnswers
			}
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			start := time.Now()
			if agent, err := s.agent(n.Name); err == nil {
				if report, err := agent.Observe(ctx, &pb.ObserveRequest{}); err == nil {
					reports[i], took[i] = report, time.Since(start)
				}
			}
		})
	}
	wg.Wait()
	for i, report := range reports {
		if report != nil {
			snapshot.Cluster.Revision = max(snapshot.Cluster.Revision, report.GetCluster().GetRevision())
			mergeReport(&snapshot, &snapshot.Nodes[i], report, took[i])
		}
		// A node may run a revision that this one's picture does not have yet.
		snapshot.Cluster.Revision = max(snapshot.Cluster.Revision, snapshot.Nodes[i].Revision)
	}
	return snapshot
}

func (s *Server) refresh(ctx context.Context) {
	if s.o.Refresh != nil {
		s.o.Refresh(ctx)
	}
}

// alone is the picture without what was known of a cluster that this node has
// left, was removed from, or has not joined yet.
func alone(s observed.Snapshot) observed.Snapshot {
	out := observed.Snapshot{Time: s.Time, Observer: s.Observer}
	if self, ok := s.Node(s.Observer); ok {
		out.Nodes = []observed.Node{{
			Name: self.Name, Address: self.Address, Alive: true, Started: self.Started, Version: self.Version, Units: self.Units,
		}}
	}
	return out
}

func (s *Server) agent(node string) (pb.AgentServiceClient, error) {
	conn, err := s.o.Cluster.Conn(node)
	if err != nil {
		return nil, err
	}
	return pb.NewAgentServiceClient(conn), nil
}

// mergeReport replaces what is guessed of a node by what it says of itself.
func mergeReport(s *observed.Snapshot, n *observed.Node, report *pb.ClusterStatus, took time.Duration) {
	now := time.Now()
	n.Alive, n.Silent, n.LastSeen, n.Lapsed = true, false, now, nil // it speaks for itself
	n.Channels = append(slices.Clone(n.Channels), observed.Channel{Kind: observed.API, Alive: true, LastSeen: now, RoundTrip: took})
	for _, theirs := range report.GetNodes() {
		if theirs.GetName() != n.Name {
			continue
		}
		n.Version, n.Started = theirs.GetVersion(), timeFromProto(theirs.GetStarted())
		n.Revision, n.RevisionError = theirs.GetRevision(), theirs.GetRevisionError()
		n.StoreError, n.Gaps = theirs.GetStoreError(), theirs.GetGaps()
		n.Units, n.Leases = nil, make(map[string]observed.Lease)
		for _, u := range theirs.GetUnits() {
			n.Units = append(n.Units, unitFromProto(u))
			if l := u.GetLease(); l != nil {
				n.Leases[u.GetName()] = leaseFromProto(l)
			}
		}
	}
	s.Links = slices.DeleteFunc(slices.Clone(s.Links), func(l observed.Link) bool { return l.From == n.Name })
	for _, l := range report.GetLinks() {
		if l.GetFrom() == n.Name {
			s.Links = append(s.Links, linkFromProto(l))
		}
	}
	for _, theirs := range report.GetAlerts() {
		if !slices.ContainsFunc(s.Alerts, func(a observed.Alert) bool { return a.ID == theirs.GetId() }) {
			s.Alerts = append(s.Alerts, alertFromProto(theirs))
		}
	}
	slices.SortStableFunc(s.Alerts, func(a, b observed.Alert) int { return b.Since.Compare(a.Since) })
}

// agentService answers the other members. The TLS port lets nobody else call.
type agentService struct {
	pb.UnimplementedAgentServiceServer
	s *Server
}

// Observe implements pb.AgentServiceServer.
func (a agentService) Observe(ctx context.Context, _ *pb.ObserveRequest) (*pb.ClusterStatus, error) {
	a.s.refresh(ctx)
	snapshot, _ := a.s.o.Hub.Latest()
	return statusToProto(snapshot), nil
}

// Prepare implements pb.AgentServiceServer.
func (a agentService) Prepare(ctx context.Context, req *pb.PrepareRequest) (*pb.PrepareResponse, error) {
	return &pb.PrepareResponse{Findings: findingsToProto(a.s.o.Runner.Prepare(ctx, req.GetFile(), req.GetText()))}, nil
}

// Clock implements pb.AgentServiceServer.
func (a agentService) Clock(context.Context, *pb.ClockRequest) (*pb.ClockResponse, error) {
	return &pb.ClockResponse{Now: timestamppb.Now()}, nil
}

// Await implements pb.AgentServiceServer.
func (a agentService) Await(ctx context.Context, req *pb.AwaitRequest) (*pb.AwaitResponse, error) {
	if d := req.GetTimeout().AsDuration(); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	running, err := a.s.o.Runner.Await(ctx, req.GetRevision())
	resp := &pb.AwaitResponse{Running: running}
	if err != nil && ctx.Err() == nil {
		resp.Error = err.Error()
	}
	return resp, nil
}
