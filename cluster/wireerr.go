package cluster

import (
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
	haclusterv1 "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// errBehind says that a node has not caught up enough to be promoted.
var errBehind = errors.New("the node has not caught up yet")

// notMemberError says that a node is no member according to a state that has the
// commands up to Applied. An older state than the node's own proves nothing.
type notMemberError struct {
	Node    string
	Applied uint64
}

func (e *notMemberError) Error() string {
	return e.Node + " is not a member of this cluster (any more)"
}

// isNotMember recognises guard's refusal of a node that is no member.
func isNotMember(err error) bool {
	_, ok := errors.AsType[*notMemberError](err)
	return ok
}

// toWire makes an error that keeps its type on the way to another node.
func toWire(err error) error {
	if err == nil {
		return nil
	}
	// Whatever it comes from, this one must not be read as "nothing was done".
	if open, ok := errors.AsType[*store.UnknownOutcomeError](err); ok {
		return status.Error(codes.Unknown, open.Unwrap().Error())
	}
	var kind haclusterv1.PeerError_Kind
	var detail any
	code := codes.FailedPrecondition
	refusal, isRefusal := errors.AsType[*store.Refusal](err)
	token, isToken := errors.AsType[*pki.TokenRefusedError](err)
	stranger, isStranger := errors.AsType[*notMemberError](err)
	unknown, isUnknown := errors.AsType[*store.UnknownCommandError](err)
	switch {
	case errors.Is(err, store.ErrNotLeader), errors.Is(err, store.ErrNoLeader):
		kind, code = haclusterv1.PeerError_KIND_NOT_LEADER, codes.Unavailable
	case isRefusal:
		kind, detail = haclusterv1.PeerError_KIND_REFUSED, refusal
	case isToken:
		kind, detail, code = haclusterv1.PeerError_KIND_TOKEN, token, codes.PermissionDenied
	case isStranger:
		kind, detail, code = haclusterv1.PeerError_KIND_NOT_MEMBER, stranger, codes.PermissionDenied
	case isUnknown:
		kind, detail, code = haclusterv1.PeerError_KIND_UNKNOWN_COMMAND, unknown, codes.Unimplemented
	case errors.Is(err, errBehind):
		kind = haclusterv1.PeerError_KIND_BEHIND
	default:
		if _, ok := status.FromError(err); ok {
			return err
		}
		return status.Error(codes.Unknown, err.Error())
	}
	wire := &haclusterv1.PeerError{Kind: kind}
	if detail != nil {
		data, jsonErr := json.Marshal(detail)
		if jsonErr != nil {
			return status.Error(codes.Internal, jsonErr.Error())
		}
		wire.Detail = data
	}
	st, detailErr := status.New(code, err.Error()).WithDetails(wire)
	if detailErr != nil {
		return status.Error(codes.Internal, detailErr.Error())
	}
	return st.Err()
}

// fromWire gives back the error that toWire was given, as far as it has a type.
func fromWire(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, detail := range st.Details() {
		wire, ok := detail.(*haclusterv1.PeerError)
		if !ok {
			continue
		}
		switch wire.Kind {
		case haclusterv1.PeerError_KIND_NOT_LEADER:
			return fmt.Errorf("%w: %s", store.ErrNotLeader, st.Message())
		case haclusterv1.PeerError_KIND_REFUSED:
			return typed(wire, &store.Refusal{}, err)
		case haclusterv1.PeerError_KIND_TOKEN:
			return typed(wire, &pki.TokenRefusedError{}, err)
		case haclusterv1.PeerError_KIND_UNKNOWN_COMMAND:
			return typed(wire, &store.UnknownCommandError{}, err)
		case haclusterv1.PeerError_KIND_NOT_MEMBER:
			return typed(wire, &notMemberError{}, err)
		case haclusterv1.PeerError_KIND_BEHIND:
			return errBehind
		}
	}
	return err
}

// typed reads an error from its wire form; when that fails, the plain one must do.
func typed(wire *haclusterv1.PeerError, into, plain error) error {
	if json.Unmarshal(wire.Detail, into) != nil {
		return plain
	}
	return into
}

// plain drops gRPC's words around an error that an operator is to read.
func plain(err error) error {
	if st, ok := status.FromError(err); ok && err != nil {
		return errors.New(st.Message())
	}
	return err
}
