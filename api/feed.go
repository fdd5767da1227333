package api

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/internal/kclock"
)

// feed is a log that every member keeps of its own (events, changes of
// alerts), to be read as one.
type feed[T any] struct {
	local  func(after uint64) (list []*T, more <-chan struct{})
	remote func(ctx context.Context, conn grpc.ClientConnInterface, after uint64, follow bool) (grpc.ServerStreamingClient[T], error)
	seq    func(*T) uint64
	order  func(a, b *T) int
	match  func(*T) bool
}

// past collects what all members keep, in order, and the number of each one's
// last entry. A member that does not answer in time is left out.
func (f *feed[T]) past(ctx context.Context, s *Server, others []string) (list []*T, last map[string]uint64) {
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	last = make(map[string]uint64)
	add := func(node string, entry *T) {
		mu.Lock()
		defer mu.Unlock()
		last[node] = f.seq(entry)
		if f.match(entry) {
			list = append(list, entry)
		}
	}
	for _, node := range others {
		wg.Go(func() { // ends with the other's answer, or with its time
			ctx, cancel := context.WithTimeout(ctx, aliveAnswers)
			defer cancel()
			f.pull(ctx, s, node, 0, false, func(entry *T) error { add(node, entry); return nil })
		})
	}
	own, _ := f.local(0)
	for _, entry := range own {
		add(s.o.Node, entry)
	}
	wg.Wait()
	slices.SortStableFunc(list, f.order)
	return list, last
}

// pull reads another member's entries until the stream ends.
func (f *feed[T]) pull(ctx context.Context, s *Server, node string, after uint64, follow bool, each func(*T) error) {
	conn, err := s.o.Cluster.Conn(node)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := f.remote(ctx, conn, after, follow)
	for err == nil {
		var entry *T
		if entry, err = stream.Recv(); err == nil {
			err = each(entry)
		}
	}
}

// follow sends what comes after last, from all members, until ctx is done. It
// asks a member that is gone once a second whether it is back.
func (f *feed[T]) follow(ctx context.Context, s *Server, others []string, last map[string]uint64, send func(*T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	news := make(chan *T) // filled by the goroutines below, which wait for the reader
	for _, node := range others {
		after := last[node]
		go func() { // owns after; ends with ctx
			for ctx.Err() == nil {
				f.pull(ctx, s, node, after, true, func(entry *T) error {
					after = f.seq(entry)
					select {
					case news <- entry:
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				kclock.Sleep(ctx, time.Second)
			}
		}()
	}
	after := last[s.o.Node]
	for {
		own, more := f.local(after)
		for _, entry := range own {
			after = f.seq(entry)
			if err := f.sendMatching(entry, send); err != nil {
				return err
			}
		}
		select {
		case <-more:
		case entry := <-news:
			if err := f.sendMatching(entry, send); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (f *feed[T]) sendMatching(entry *T, send func(*T) error) error {
	if !f.match(entry) {
		return nil
	}
	err := send(entry)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
