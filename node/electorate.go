package node

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/splitbrain"
)

// This file is the seam between cluster, which knows who votes and keeps what a
// voter must not forget, and splitbrain, which votes.

// voter keeps what this node must know as a voter after a crash.
type voter struct {
	log     *slog.Logger
	cluster *cluster.Cluster

	mu   sync.Mutex
	kept cluster.Voting // guarded by mu
	// Revisions beyond the last three that are kept still, because leases that
	// were granted under them may run; guarded by mu.
	superseded map[uint64]time.Time
}

// loadVoter reads what an earlier life knew, and returns the longest lease that it
// may have granted.
func loadVoter(log *slog.Logger, c *cluster.Cluster) (*voter, time.Duration) {
	v := &voter{log: log, cluster: c, superseded: make(map[uint64]time.Time)}
	kept, err := c.Voting()
	if err != nil {
		log.Error("what this node granted as a voter is not known: it grants no lease for a minute", "err", err)
		return v, splitbrain.MaxLease
	}
	v.kept = kept
	for _, l := range kept.Leases {
		v.superseded[l.Revision] = time.Now()
	}
	return v, v.bound()
}

// electorate is the newest that this node has reported.
func (v *voter) electorate() splitbrain.Electorate {
	v.mu.Lock()
	defer v.mu.Unlock()
	return splitbrain.Electorate(v.kept.Electorate)
}

// bound is the longest lease that may be granted. The caller holds mu, or is the
// only one.
func (v *voter) bound() time.Duration {
	var longest int64
	for _, l := range v.kept.Leases {
		longest = max(longest, l.Lease)
	}
	return time.Duration(longest)
}

// storeAgain is how long after a failure an electorate is stored again.
const storeAgain = time.Second

// store keeps an electorate, and tells the arbiter when that is done. It blocks as
// long as the disk does, and ends with ctx.
func (v *voter) store(ctx context.Context, e splitbrain.Electorate, a *splitbrain.Arbiter) {
	for ctx.Err() == nil {
		err := v.change(func(kept *cluster.Voting) {
			if e.Epoch > kept.Electorate.Epoch {
				kept.Electorate = cluster.Electorate(e)
			}
		})
		if err == nil {
			v.log.Info("electorate stored", "epoch", e.Epoch, "voters", e.Voters)
			a.ElectorateStored(e)
			return
		}
		v.log.Error("the electorate is not stored: this node votes by the one before", "epoch", e.Epoch, "err", err)
		select {
		case <-time.After(storeAgain):
		case <-ctx.Done():
		}
	}
}

// revision keeps the longest lease of a revision that runs now, and returns the
// one of the last three. What it cannot keep it does not grant.
func (v *voter) revision(number uint64, lease time.Duration) time.Duration {
	err := v.change(func(kept *cluster.Voting) { v.note(kept, number, lease) })
	if err != nil {
		v.log.Error("the longest lease is not stored: this node grants none that is longer than before", "rev", number, "err", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.bound()
}

// note adds a revision, and forgets those before the last three whose leases have
// run out. The caller holds mu.
func (v *voter) note(kept *cluster.Voting, number uint64, lease time.Duration) {
	now := time.Now()
	kept.Leases = slices.DeleteFunc(slices.Clone(kept.Leases), func(l cluster.RevisionLease) bool { return l.Revision == number })
	for _, l := range kept.Leases {
		if v.superseded[l.Revision].IsZero() {
			v.superseded[l.Revision] = now
		}
	}
	kept.Leases = append(kept.Leases, cluster.RevisionLease{Revision: number, Lease: int64(lease)})
	delete(v.superseded, number)
	for len(kept.Leases) > 3 && now.Sub(v.superseded[kept.Leases[0].Revision]) > splitbrain.MaxLease {
		delete(v.superseded, kept.Leases[0].Revision)
		kept.Leases = kept.Leases[1:]
	}
}

// change stores what f makes of it, and keeps it when that is done.
func (v *voter) change(f func(*cluster.Voting)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := v.kept
	f(&next)
	if err := v.cluster.SaveVoting(next); err != nil {
		return err
	}
	v.kept = next
	return nil
}

// longestLease is the longest that a document asks for on any member: a voter
// grants leases for units that it does not run itself.
func longestLease(text string, members []store.Member) time.Duration {
	var longest time.Duration
	doc := syntax.Parse("revision", text)
	for _, m := range members {
		if m.Role == store.RoleWitness {
			continue
		}
		cfg, findings := config.CompileWith(doc, config.Options{Node: m.Name})
		if findings.Err() != nil {
			continue // it does not run there
		}
		for _, u := range desired.For(cfg).Units {
			if u.SplitBrain.Policy == string(config.PolicyQuorum) {
				// A node that finds itself without a gate asks for so much.
				longest = max(longest, u.SplitBrain.Lease, config.LeaseWithoutGate)
			}
		}
	}
	return min(longest, splitbrain.MaxLease)
}

// electorateLook is how often the leader looks whether the next step may be made.
const electorateLook = 250 * time.Millisecond

// followElectorate gives the arbiter the electorate, and lets the leader bring it
// to Raft's voters, step by step. It ends with ctx.
func (m *member) followElectorate(ctx context.Context, machine *cluster.Electorates, a *splitbrain.Arbiter, v *voter) error {
	look := time.NewTicker(electorateLook)
	defer look.Stop()
	var reported time.Time // since when a majority of the voters before has the epoch
	var epoch uint64
	for {
		changed := machine.Changed()
		e, previous := machine.Current()
		a.SetElectorate(splitbrain.Electorate(e))
		if e.Epoch != epoch {
			epoch, reported = e.Epoch, time.Time{}
		}
		if !m.reportsEpoch(e.Epoch, previous) {
			reported = time.Time{}
		} else if reported.IsZero() {
			reported = time.Now()
		}
		v.mu.Lock()
		bound := v.bound()
		v.mu.Unlock()
		// Leases by older electorates have run out a lease after that.
		if !reported.IsZero() && time.Since(reported) > bound+bound/10 {
			m.stepElectorate(ctx, e)
		}
		select {
		case <-changed:
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// reportsEpoch reports whether a majority of the given voters has stored an epoch.
func (m *member) reportsEpoch(epoch uint64, voters []string) bool {
	peers := m.voices.get()
	n := 0
	if slices.Contains(voters, m.o.Name) && peers.Electorate.Epoch >= epoch {
		n++
	}
	for _, p := range peers.Members {
		if slices.Contains(voters, p.Name) && p.Epoch >= epoch {
			n++
		}
	}
	return len(voters) == 0 || n > len(voters)/2
}

// stepElectorate makes the next step towards Raft's voters, as leader.
func (m *member) stepElectorate(ctx context.Context, e cluster.Electorate) {
	st := m.cluster.Status()
	if st.Leader != m.o.Name {
		return
	}
	var raft []string
	for _, s := range st.Voters {
		raft = append(raft, s.Name)
	}
	voters, ok := cluster.NextElectorate(e, raft)
	if !ok {
		return
	}
	cmd, err := cluster.ChangeElectorate(e.Epoch, voters)
	if err == nil {
		_, err = m.cluster.Apply(ctx, "change the electorate", cmd)
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn("the electorate is not changed; it is tried again", "from", e.Voters, "to", voters, "err", err)
	}
}
