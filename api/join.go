package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/internal/preflight"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// Join implements pb.LifecycleServiceServer.
func (l lifecycleService) Join(req *pb.JoinRequest, stream grpc.ServerStreamingServer[pb.JoinProgress]) error {
	if l.s.o.Cluster == nil {
		return errStandalone
	}
	if l.s.removed() {
		return errRemoved
	}
	if st := l.s.o.Cluster.Status(); st.State == cluster.Member {
		return fmt.Errorf("%w (cluster %q)", cluster.ErrAlreadyMember, st.ClusterName)
	}
	advertise, err := parseAdvertise(req.GetAdvertise())
	if err != nil {
		return err
	}
	var sendErr error
	send := func(p *pb.JoinProgress) {
		if sendErr == nil {
			sendErr = stream.Send(p)
		}
	}
	var findings []*pb.Diagnosis
	err = l.s.o.Cluster.Join(stream.Context(), cluster.JoinOptions{
		Token: req.GetToken(), Addrs: req.GetAddresses(), Advertise: advertise, Witness: req.GetWitness(),
		Progress: func(step cluster.JoinStep) { send(stepToProto(step)) },
		Examine: func(ctx context.Context, c cluster.Candidate) (string, error) {
			found, err := l.s.preflight(ctx, c)
			if err != nil {
				return "", err
			}
			findings = diagnoses(found)
			send(&pb.JoinProgress{Step: cluster.StepExamine, State: pb.StepState_STEP_STATE_RUNNING, Findings: findings})
			return admissible(found, req.GetAcceptFindings())
		},
	})
	if err != nil {
		return err
	}
	if sendErr != nil {
		return sendErr
	}
	return stream.Send(&pb.JoinProgress{Joined: l.s.info(), Hints: joinHints(l.s.o.Cluster.Members()), Findings: findings})
}

// admissible refuses a node for what may make two holders, and a witness for what
// would take its vote, and words the rest for the step.
func admissible(found []preflight.Finding, accept bool) (detail string, err error) {
	var well []string
	for _, f := range found {
		if f.Severity == preflight.OK && slices.Contains([]string{"api", "l2", "heartbeat", "vip", "clock"}, f.Check) {
			well = append(well, f.Summary)
		}
	}
	refusing := preflight.Refusing(found)
	if len(refusing) == 0 {
		return strings.Join(well, "; "), nil
	}
	consequence := "by which two machines may answer for one address"
	if !slices.ContainsFunc(refusing, func(f preflight.Finding) bool { return f.TwoHolders }) {
		consequence = "by which its vote would not count"
	}
	what := count(len(refusing), "finding") + " " + consequence
	if accept {
		return "accepted: " + what, nil
	}
	r := refused("%s: %s", what, refusing[0].Summary)
	r.remedy = "put it right and join again, or say --accept-findings"
	return "", r
}

// joinHints is what the operator should know of a cluster that has grown to
// these members.
func joinHints(members []store.Member) []string {
	if len(members) != 2 || !members[0].Role.Votes() || !members[1].Role.Votes() {
		return nil
	}
	return []string{"the cluster has two voters: when one fails, the configuration is read-only until it returns. " +
		"A third node changes that, or a witness (haclusterctl join --witness), and makes policy quorum possible"}
}

func stepToProto(step cluster.JoinStep) *pb.JoinProgress {
	out := &pb.JoinProgress{Step: step.Name, Detail: step.Detail, State: pb.StepState_STEP_STATE_RUNNING}
	switch {
	case step.Err != nil:
		out.State, out.Detail = pb.StepState_STEP_STATE_FAILED, step.Err.Error()
	case step.Done:
		out.State = pb.StepState_STEP_STATE_DONE
	}
	return out
}
