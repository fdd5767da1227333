package node

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// How often the members' clocks are compared, and how long one may take to answer.
// Nothing depends on the result but the order in which people are shown what
// several nodes saw.
const (
	compareEvery  = 30 * time.Second
	clockPatience = 2 * time.Second
)

// compareClocks asks the members for the time, until ctx is done.
func (m *member) compareClocks(ctx context.Context) error {
	// The others may not answer yet just after the start.
	next := time.NewTimer(2 * time.Second)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		m.askClocks(ctx)
		next.Reset(compareEvery)
	}
}

// askClocks asks each member once. What was known of one that does not answer
// stays.
func (m *member) askClocks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		clocks = make(map[string]time.Duration)
	)
	for _, mem := range m.cluster.Members() {
		if mem.Name == m.o.Name {
			continue
		}
		wg.Go(func() { // ends with the answer, or with ctx
			conn, err := m.cluster.Conn(mem.Name)
			if err != nil {
				return
			}
			asked := time.Now()
			answer, err := pb.NewAgentServiceClient(conn).Clock(ctx, &pb.ClockRequest{})
			if err != nil {
				return
			}
			middle := asked.Add(time.Since(asked) / 2)
			mu.Lock()
			defer mu.Unlock()
			clocks[mem.Name] = answer.GetNow().AsTime().Sub(middle.Round(0))
		})
	}
	wg.Wait()
	m.view.Update(func(in *observed.Input) {
		known := maps.Clone(in.Clocks)
		if known == nil {
			known = make(map[string]time.Duration)
		}
		maps.Copy(known, clocks)
		in.Clocks = known
	})
}
