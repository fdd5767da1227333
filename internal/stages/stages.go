package stages

import (
	"context"
	"errors"
)

// Stages runs parts of a program that must end one after the other: the first
// one added ends last. When one of them fails, all end.
type Stages struct {
	failed context.CancelCauseFunc // of the context that they all end with
	parts  []stage
}

type stage struct {
	cancel context.CancelCauseFunc
	before func() // called before it is told to end, may be nil
	done   <-chan struct{}
	err    *error
}

// New returns Stages without parts, and a context that ends with ctx or when one fails.
func New(ctx context.Context) (*Stages, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Stages{failed: cancel}, ctx
}

// Start runs one more part. One that returns nil has nothing more to do. It is
// told to end by its own context only, so that what it needs still works meanwhile.
// Before, which may be nil, is called by End first.
func (s *Stages) Start(ctx context.Context, before func(), run func(context.Context) error) {
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	done := make(chan struct{})
	result := new(error)
	s.parts = append(s.parts, stage{cancel: cancel, before: before, done: done, err: result})
	go func() {
		defer close(done)
		if *result = run(own); *result != nil {
			s.failed(*result)
		}
	}()
}

// End ends all parts with the given cause, the last one added first, and
// returns the cause and what else went wrong.
func (s *Stages) End(cause error) error {
	errs := []error{cause}
	for i := len(s.parts) - 1; i >= 0; i-- {
		p := s.parts[i]
		if p.before != nil {
			p.before()
		}
		p.cancel(cause)
		<-p.done
		if err := *p.err; err != nil && !errors.Is(err, cause) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
