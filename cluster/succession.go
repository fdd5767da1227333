package cluster

import (
	"context"
	"time"
)

// electorateLook is how often the leader looks whether the next step may be made.
const electorateLook = 250 * time.Millisecond

// Succession brings the electorate to Raft's voters, one step at a time, on the
// node that leads. All fields are required.
type Succession struct {
	Cluster *Cluster
	Machine *Electorates
	// Set is told the electorate, again and again.
	Set func(Electorate)
	// Reports says whether so many of the given voters have stored an epoch that the
	// others are no majority.
	Reports func(epoch uint64, voters []string) bool
	// Bound is the longest lease that may have been granted.
	Bound func() time.Duration
}

// Run follows the electorate until ctx is done.
func (s *Succession) Run(ctx context.Context) error {
	look := time.NewTicker(electorateLook)
	defer look.Stop()
	var reported time.Time // since when the voters before grant nothing more as such
	var epoch uint64
	for {
		changed := s.Machine.Changed()
		e, previous := s.Machine.Current()
		s.Set(e)
		if e.Epoch != epoch {
			epoch, reported = e.Epoch, time.Time{}
		}
		// What a voter has stored it keeps, also when it is no member any more and its
		// report is gone: the next step may be the one that takes it out.
		if reported.IsZero() && s.Reports(e.Epoch, previous) {
			reported = time.Now()
		}
		bound := s.Bound()
		// Leases by older electorates have run out a lease after that.
		if !reported.IsZero() && time.Since(reported) > bound+bound/10 {
			s.step(ctx, e)
		}
		select {
		case <-changed:
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// step makes the next step towards Raft's voters, as leader.
func (s *Succession) step(ctx context.Context, e Electorate) {
	st := s.Cluster.Status()
	if st.Leader != st.Name {
		return
	}
	var raft []string
	for _, v := range st.Voters {
		raft = append(raft, v.Name)
	}
	voters, ok := NextElectorate(e, raft)
	if !ok {
		return
	}
	cmd, err := ChangeElectorate(e.Epoch, voters)
	if err == nil {
		_, err = s.Cluster.Apply(ctx, "change the electorate", cmd)
	}
	if err != nil && ctx.Err() == nil {
		s.Cluster.o.Logger.Warn("the electorate is not changed; it is tried again", "from", e.Voters, "to", voters, "err", err)
	}
}
