package cluster

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
