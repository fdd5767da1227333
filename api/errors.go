package api

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// refusal is an error that carries what a client needs to choose its words and
// exit status.
type refusal struct {
	code     codes.Code
	reason   pb.ErrorReason
	text     string
	remedy   string
	findings config.Findings
}

func (e *refusal) Error() string { return e.text }

func refused(format string, args ...any) *refusal {
	return &refusal{code: codes.FailedPrecondition, reason: pb.ErrorReason_ERROR_REASON_REFUSED, text: fmt.Sprintf(format, args...)}
}

func notFound(remedy, format string, args ...any) *refusal {
	return &refusal{code: codes.NotFound, reason: pb.ErrorReason_ERROR_REASON_NOT_FOUND, text: fmt.Sprintf(format, args...), remedy: remedy}
}

var (
	errNotRoot = &refusal{
		code: codes.PermissionDenied, reason: pb.ErrorReason_ERROR_REASON_PERMISSION,
		text: "only root may change the cluster", remedy: "use sudo",
	}
	errStandalone = &refusal{
		code: codes.FailedPrecondition, reason: pb.ErrorReason_ERROR_REASON_NOT_IN_CLUSTER,
		text:   "this daemon runs standalone: it has no cluster",
		remedy: "edit its file and reload the daemon; to make a cluster, start haclusterd without --standalone and run haclusterctl init --config FILE",
	}
	errRemoved = &refusal{
		code: codes.FailedPrecondition, reason: pb.ErrorReason_ERROR_REASON_NOT_IN_CLUSTER,
		text: "the other members removed this node", remedy: "haclusterctl leave clears its data; then it can join again",
	}
)

// checkFailed refuses a document for what was found in it.
func checkFailed(text string, findings config.Findings) *refusal {
	return &refusal{code: codes.InvalidArgument, reason: pb.ErrorReason_ERROR_REASON_CHECK_FAILED, text: text, findings: findings}
}

// toStatus turns an error into a gRPC status with an ErrorDetail.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err // of gRPC already
	}
	code, detail := codes.Unknown, &pb.ErrorDetail{}
	text := err.Error()
	if r, ok := errors.AsType[*refusal](err); ok {
		code, detail.Reason, detail.Remedy = r.code, r.reason, r.remedy
		detail.Findings = findingsToProto(r.findings)
	} else if c, ok := errors.AsType[*store.ConflictError](err); ok {
		code, detail.Reason = codes.Aborted, pb.ErrorReason_ERROR_REASON_CONFLICT
		detail.Remedy = fmt.Sprintf("look at haclusterctl config diff %d %d, then edit again", c.Base, c.Current)
	} else if _, ok := errors.AsType[*cluster.NoMajorityError](err); ok {
		code, detail.Reason = codes.Unavailable, pb.ErrorReason_ERROR_REASON_NO_MAJORITY
		detail.Remedy = "haclusterctl nodes shows who is not heard"
	} else if u, ok := errors.AsType[*store.UnknownOutcomeError](err); ok {
		code, detail.Reason, detail.RequestId = codes.Unknown, pb.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN, u.RequestID
		detail.Remedy = "haclusterctl config history --request " + u.RequestID
		if u.RequestID == "" { // a leave or a removal
			detail.Remedy = "haclusterctl nodes on another node shows whether it was done; doing it again is safe"
		}
	} else {
		code, detail.Reason, detail.Remedy = plainError(err)
	}
	st, detailErr := status.New(code, text).WithDetails(detail)
	if detailErr != nil {
		return status.Error(code, text)
	}
	return st.Err()
}

// plainError sorts the errors that are told apart by identity.
func plainError(err error) (codes.Code, pb.ErrorReason, string) {
	switch {
	case errors.Is(err, cluster.ErrNotMember):
		return codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_NOT_IN_CLUSTER, ""
	case errors.Is(err, cluster.ErrAlreadyMember):
		return codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_ALREADY_IN_CLUSTER, ""
	case errors.Is(err, store.ErrNoRevision):
		return codes.NotFound, pb.ErrorReason_ERROR_REASON_NOT_FOUND, "haclusterctl config history lists what there is"
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded, pb.ErrorReason_ERROR_REASON_REFUSED, ""
	case errors.Is(err, context.Canceled):
		return codes.Canceled, pb.ErrorReason_ERROR_REASON_REFUSED, ""
	}
	return codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_REFUSED, ""
}
