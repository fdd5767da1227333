package stages

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

func TestPartsEndOneAfterTheOtherTheLastOneFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, cancel := context.WithCancelCause(t.Context())
		parts, ctx := New(stop)
		var ended []string
		for _, name := range []string{"socket", "cluster", "plane"} {
			parts.Start(ctx, func() { ended = append(ended, "before "+name) }, func(ctx context.Context) error {
				<-ctx.Done()
				ended = append(ended, name)
				return context.Cause(ctx)
			})
		}
		cause := errors.New("signal terminated")
		cancel(cause)
		<-ctx.Done()
		if err := parts.End(context.Cause(ctx)); err.Error() != cause.Error() {
			t.Errorf("end = %v, want the cause alone: nothing failed", err)
		}
		want := []string{"before plane", "plane", "before cluster", "cluster", "before socket", "socket"}
		if !slices.Equal(ended, want) {
			t.Errorf("ended %v, want %v", ended, want)
		}
	})
}

func TestAPartThatFailsEndsAllAndIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parts, ctx := New(t.Context())
		parts.Start(ctx, nil, func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
		parts.Start(ctx, nil, func(context.Context) error { return nil }) // nothing more to do
		broken := errors.New("socket closed")
		parts.Start(ctx, nil, func(context.Context) error { return broken })
		<-ctx.Done()
		if cause := context.Cause(ctx); cause != broken {
			t.Errorf("cause = %v, want %v", cause, broken)
		}
		// What ended because of it is no second failure.
		if err := parts.End(context.Cause(ctx)); err.Error() != broken.Error() {
			t.Errorf("end = %v, want the failure once", err)
		}
	})
}
