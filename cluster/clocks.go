package cluster

import (
	"context"
	"maps"
	"sync"
	"time"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// How often the members' clocks are compared, and how long one may take to answer.
// Nothing depends on the result but the order in which people are shown what
// several nodes saw.
const (
	compareEvery  = 30 * time.Second
	clockPatience = 2 * time.Second
)

// CompareClocks asks the members for the time, and tells each time how far the
// clock of each is ahead of this node's, until ctx is done. What was known of one
// that does not answer stays. Nobody changes the map that is told.
func (c *Cluster) CompareClocks(ctx context.Context, tell func(map[string]time.Duration)) error {
	known := make(map[string]time.Duration)
	// The others may not answer yet just after the start.
	next := time.NewTimer(2 * time.Second)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		maps.Copy(known, c.askClocks(ctx))
		tell(maps.Clone(known))
		next.Reset(compareEvery)
	}
}

// askClocks asks each member once.
func (c *Cluster) askClocks(ctx context.Context) map[string]time.Duration {
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		clocks = make(map[string]time.Duration)
	)
	for _, mem := range c.Members() {
		if mem.Name == c.o.Name {
			continue
		}
		wg.Go(func() { // ends with the answer, or with ctx
			conn, err := c.Conn(mem.Name)
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
	return clocks
}
