package cluster

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
)

func TestErrorsKeepTheirTypeBetweenNodes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, want := range []error{
		&store.Refusal{Code: store.CodeDuplicateNode, Message: "node a is already a member"},
		&store.UnknownCommandError{Command: "x.y v2", Known: 1},
		&pki.TokenRefusedError{ID: "t", Problem: pki.TokenUsed, At: at, By: "c"},
		&notMemberError{Node: "a", Applied: 7},
	} {
		// Twice, as when a member passes a call on to the leader.
		got := fromWire(toWire(fromWire(toWire(fmt.Errorf("wrapped: %w", want)))))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T: %s", want, diff)
		}
	}
	for _, want := range []error{store.ErrNotLeader, errBehind} {
		if got := fromWire(toWire(fmt.Errorf("wrapped: %w", want))); !errors.Is(got, want) {
			t.Errorf("%v becomes %v", want, got)
		}
	}
	if toWire(nil) != nil || fromWire(nil) != nil {
		t.Error("no error becomes one")
	}
	if got := plain(fromWire(toWire(errors.New("disk full")))); got.Error() != "disk full" {
		t.Errorf("plain = %q", got)
	}
}

func TestRemovalThatMayHaveHappenedIsNeverReportedAsUndone(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&store.UnknownOutcomeError{Err: fmt.Errorf("wrapped: %w", store.ErrNoLeader)},
		status.Error(codes.Unavailable, "connection reset"),
		status.Error(codes.DeadlineExceeded, "too late"),
		errors.New("leadership lost while committing log"),
	} {
		got := unlessRefused(fromWire(toWire(err)))
		if _, unknown := errors.AsType[*store.UnknownOutcomeError](got); !unknown || errors.Is(got, store.ErrNoLeader) {
			t.Errorf("%v becomes %T %v, want an unknown outcome", err, got, got)
		}
	}
	for _, err := range []error{
		&store.Refusal{Code: CodeMajorityAtRisk}, &notMemberError{Node: "a"}, store.ErrNotLeader,
	} {
		got := unlessRefused(fromWire(toWire(err)))
		if _, unknown := errors.AsType[*store.UnknownOutcomeError](got); unknown {
			t.Errorf("%v becomes %v, but nothing was done", err, got)
		}
	}
}
