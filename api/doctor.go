package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/internal/preflight"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// Examiner looks at this node.
type Examiner interface {
	// Examine tests this node's networks, together with all nodes that do so in
	// the same session at the same time.
	Examine(ctx context.Context, session uint64) preflight.Report
	// Machine looks at this machine alone, before it is a member.
	Machine() []preflight.Finding
}

// examineTime bounds the examination of one node.
const examineTime = 10 * time.Second

type doctorService struct {
	pb.UnimplementedDoctorServiceServer
	s *Server
}

// Examine implements pb.DoctorServiceServer.
func (d doctorService) Examine(ctx context.Context, _ *pb.ExamineRequest) (*pb.Examination, error) {
	var findings []preflight.Finding
	if d.s.o.Cluster != nil && d.s.member() != nil {
		findings = d.s.o.Examiner.Machine()
	} else {
		findings = preflight.Judge(d.s.examineAll(ctx))
	}
	out := &pb.Examination{Worst: gravities[preflight.Worst(findings)]}
	for _, f := range findings {
		out.Findings = append(out.Findings, &pb.Diagnosis{
			Severity: gravities[f.Severity], Check: f.Check, Node: f.Node, Summary: f.Summary, Evidence: f.Evidence, Remedy: f.Remedy,
		})
	}
	return out, nil
}

var gravities = map[preflight.Severity]pb.Diagnosis_Severity{
	preflight.OK: pb.Diagnosis_SEVERITY_OK, preflight.Note: pb.Diagnosis_SEVERITY_NOTE,
	preflight.Warning: pb.Diagnosis_SEVERITY_WARNING, preflight.Error: pb.Diagnosis_SEVERITY_ERROR,
}

// examineAll lets every member examine at the same time.
func (s *Server) examineAll(ctx context.Context) []preflight.Asked {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	session := rand.Uint64()
	nodes := []string{s.o.Node}
	if s.o.Cluster != nil {
		nodes = names(s.o.Cluster.Members())
	}
	asked := make([]preflight.Asked, len(nodes))
	var wg sync.WaitGroup
	for i, node := range nodes {
		asked[i].Name = node
		wg.Go(func() { // ends with its answer, or with ctx
			if node == s.o.Node {
				r := s.o.Examiner.Examine(ctx, session)
				asked[i].Report = &r
				return
			}
			if err := s.examineOn(ctx, session, &asked[i]); err != nil {
				asked[i].Err = plain(err)
			}
		})
	}
	wg.Wait()
	return asked
}

func (s *Server) examineOn(ctx context.Context, session uint64, a *preflight.Asked) error {
	agent, err := s.agent(a.Name)
	if err != nil {
		return err
	}
	var options []grpc.CallOption
	if alive, _ := s.heard(a.Name); alive {
		options = append(options, grpc.WaitForReady(true)) // its connection may not stand yet
	}
	resp, err := agent.Examine(ctx, &pb.ExamineNodeRequest{Session: session}, options...)
	if err != nil {
		return err
	}
	here := time.Now()
	r := &preflight.Report{}
	if err := json.Unmarshal(resp.GetReport(), r); err != nil {
		return fmt.Errorf("report of %s: %w", a.Name, err)
	}
	// The answer leaves at once, so the way back is all that the difference errs by.
	a.Report, a.Offset = r, r.At.Sub(here)
	return nil
}

// Examine implements pb.AgentServiceServer.
func (a agentService) Examine(ctx context.Context, req *pb.ExamineNodeRequest) (*pb.ExamineNodeResponse, error) {
	report, err := json.Marshal(a.s.o.Examiner.Examine(ctx, req.GetSession()))
	if err != nil {
		return nil, err
	}
	return &pb.ExamineNodeResponse{Report: report}, nil
}
