package api

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/internal/preflight"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// Examiner looks at this node.
type Examiner interface {
	// Plan says what this node runs, and what it found on its machine alone.
	Plan() preflight.Plan
	// PlanFor is Plan of a node that would run a document.
	PlanFor(file, text string) (preflight.Plan, error)
	// Examine tests the networks of a plan, together with all nodes that do so in
	// the same session at the same time.
	Examine(ctx context.Context, plan preflight.Plan) preflight.Report
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
		findings = d.s.o.Examiner.Plan().Findings
	} else {
		findings = preflight.Judge(d.s.examineAll(ctx))
	}
	return &pb.Examination{Worst: gravities[preflight.Worst(findings)], Findings: diagnoses(findings)}, nil
}

func diagnoses(findings []preflight.Finding) []*pb.Diagnosis {
	var out []*pb.Diagnosis
	for _, f := range findings {
		out = append(out, &pb.Diagnosis{
			Severity: gravities[f.Severity], Check: f.Check, Node: f.Node, Summary: f.Summary,
			Evidence: f.Evidence, Remedy: f.Remedy, TwoHolders: f.TwoHolders,
		})
	}
	return out
}

var gravities = map[preflight.Severity]pb.Diagnosis_Severity{
	preflight.OK: pb.Diagnosis_SEVERITY_OK, preflight.Note: pb.Diagnosis_SEVERITY_NOTE,
	preflight.Warning: pb.Diagnosis_SEVERITY_WARNING, preflight.Error: pb.Diagnosis_SEVERITY_ERROR,
}

// examineAll lets every member examine at the same time.
func (s *Server) examineAll(ctx context.Context) []preflight.Asked {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	req := &pb.ExamineNodeRequest{Session: rand.Uint64()}
	nodes := []store.Member{{Name: s.o.Node}}
	if s.o.Cluster != nil {
		nodes = s.o.Cluster.Members()
	}
	return each(nodes, func(a *preflight.Asked) error {
		if a.Name == s.o.Node {
			plan := s.o.Examiner.Plan()
			plan.Session = req.GetSession()
			r := s.o.Examiner.Examine(ctx, plan)
			a.Report = &r
			return nil
		}
		var options []grpc.CallOption
		if alive, _ := s.heard(a.Name); alive {
			options = append(options, grpc.WaitForReady(true)) // its connection may not stand yet
		}
		return ask(ctx, s.o.Cluster.Conn, a, req, options...)
	})
}
