package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/cluster"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func TestDoctorAsksAllMembersAtOnce(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2", "lb3")
	client := pb.NewDoctorServiceClient(l.nodes["lb1"].socket(t))
	e, err := client.Examine(t.Context(), &pb.ExamineRequest{})
	if err != nil || e.GetWorst() != pb.Diagnosis_SEVERITY_OK || !hasDiagnosis(e, "l2", "all 6 ways") || !hasDiagnosis(e, "api", "all 3 nodes") {
		t.Errorf("Examine = %v, %v", e, err)
	}
	l.deaf, l.deafFor = "lb2", 100
	e, err = client.Examine(t.Context(), &pb.ExamineRequest{})
	if err != nil || e.GetWorst() != pb.Diagnosis_SEVERITY_ERROR || !hasDiagnosis(e, "l2", "from lb1 to lb2") || !hasDiagnosis(e, "l2", "from lb3 to lb2") {
		t.Errorf("Examine with a deaf node = %v, %v", e, err)
	}
}

func TestDoctorLooksAtTheMachineAloneBeforeThereIsACluster(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1")
	l.state = cluster.Waiting
	e, err := pb.NewDoctorServiceClient(l.nodes["lb1"].socket(t)).Examine(t.Context(), &pb.ExamineRequest{})
	if err != nil || len(e.GetFindings()) != 1 || !hasDiagnosis(e, "gate", "no gate") || e.GetWorst() != pb.Diagnosis_SEVERITY_WARNING {
		t.Errorf("Examine = %v, %v", e, err)
	}
}

func hasDiagnosis(e *pb.Examination, check, words string) bool {
	return slices.ContainsFunc(e.GetFindings(), func(d *pb.Diagnosis) bool {
		return d.GetCheck() == check && strings.Contains(d.GetSummary(), words)
	})
}
