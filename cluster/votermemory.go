package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/internal/kclock"
)

// VoterMemory keeps what this node must know as a voter after a crash.
type VoterMemory struct {
	cluster *Cluster
	longest time.Duration // that any lease may last

	mu   sync.Mutex
	kept voting // guarded by mu
	// Revisions beyond the last three that are kept still, because leases that
	// were granted under them may run; guarded by mu.
	superseded map[uint64]time.Time
}

// VoterMemory reads what an earlier life of this member kept, and returns the longest
// lease that it may have granted. No lease lasts longer than longest, which is the
// answer when nothing can be read.
func (c *Cluster) VoterMemory(longest time.Duration) (*VoterMemory, time.Duration) {
	v := &VoterMemory{cluster: c, longest: longest, superseded: make(map[uint64]time.Time)}
	kept, err := c.voting()
	if err != nil {
		c.o.Logger.Error("what this node granted as a voter is not known: it grants no lease for a while", "for", longest, "err", err)
		return v, longest
	}
	v.kept = kept
	for _, l := range kept.Leases {
		v.superseded[l.Revision] = time.Now()
	}
	return v, v.bound()
}

// Electorate is the newest that this node has reported.
func (v *VoterMemory) Electorate() Electorate {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.kept.Electorate
}

// Bound is the longest lease that may be granted.
func (v *VoterMemory) Bound() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.bound()
}

// bound is Bound. The caller holds mu, or is the
// only one.
func (v *VoterMemory) bound() time.Duration {
	var longest int64
	for _, l := range v.kept.Leases {
		longest = max(longest, l.Lease)
	}
	return time.Duration(longest)
}

// storeAgain is how long after a failure an electorate is stored again.
const storeAgain = time.Second

// Store keeps an electorate, and reports whether that is done. It blocks as long as
// the disk does, and gives up only when ctx is done.
func (v *VoterMemory) Store(ctx context.Context, e Electorate) bool {
	for ctx.Err() == nil {
		err := v.change(func(kept *voting) {
			if e.Epoch > kept.Electorate.Epoch {
				kept.Electorate = e
			}
		})
		if err == nil {
			v.cluster.o.Logger.Info("electorate stored", "epoch", e.Epoch, "voters", e.Voters)
			return true
		}
		v.cluster.o.Logger.Error("the electorate is not stored: this node votes by the one before", "epoch", e.Epoch, "err", err)
		kclock.Sleep(ctx, storeAgain)
	}
	return false
}

// Revision keeps the longest lease of a revision that runs now, and returns the
// one of the last three. What it cannot keep it does not grant.
func (v *VoterMemory) Revision(number uint64, lease time.Duration) time.Duration {
	err := v.change(func(kept *voting) { v.note(kept, number, lease) })
	if err != nil {
		v.cluster.o.Logger.Error("the longest lease is not stored: this node grants none that is longer than before", "rev", number, "err", err)
	}
	return v.Bound()
}

// note adds a revision, and forgets those before the last three whose leases have
// run out. The caller holds mu.
func (v *VoterMemory) note(kept *voting, number uint64, lease time.Duration) {
	now := time.Now()
	kept.Leases = slices.DeleteFunc(slices.Clone(kept.Leases), func(l revisionLease) bool { return l.Revision == number })
	for _, l := range kept.Leases {
		if v.superseded[l.Revision].IsZero() {
			v.superseded[l.Revision] = now
		}
	}
	kept.Leases = append(kept.Leases, revisionLease{Revision: number, Lease: int64(lease)})
	delete(v.superseded, number)
	for len(kept.Leases) > 3 && now.Sub(v.superseded[kept.Leases[0].Revision]) > v.longest {
		delete(v.superseded, kept.Leases[0].Revision)
		kept.Leases = kept.Leases[1:]
	}
}

// change stores what f makes of it, and keeps it when that is done.
func (v *VoterMemory) change(f func(*voting)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := v.kept
	f(&next)
	if err := v.cluster.saveVoting(next); err != nil {
		return err
	}
	v.kept = next
	return nil
}

// voting is what a node must know of itself as a voter after it has lost its
// memory. It is kept beside the cached revision.
type voting struct {
	ClusterID string
	// Electorate is the newest that this node has reported.
	Electorate Electorate
	// Leases are the longest lease of each of the last revisions that it ran, the
	// newest last.
	Leases []revisionLease
}

// revisionLease is the longest lease that a revision asks for, in nanoseconds; 0:
// none of its units asks for one.
type revisionLease struct {
	Revision uint64
	Lease    int64
}

// voting reads what saveVoting wrote for this cluster; the zero value when there
// is nothing.
func (c *Cluster) voting() (voting, error) {
	s, err := c.current()
	if err != nil {
		return voting{}, err
	}
	data, err := os.ReadFile(c.dir.voting())
	if errors.Is(err, fs.ErrNotExist) {
		return voting{}, nil
	}
	if err != nil {
		return voting{}, err
	}
	var v voting
	if err := json.Unmarshal(data, &v); err != nil {
		return voting{}, fmt.Errorf("read %s: %w", c.dir.voting(), err)
	}
	if v.ClusterID != s.node.ClusterID {
		return voting{}, nil // of a cluster that this node has left
	}
	return v, nil
}

// saveVoting writes it. When it returns nil, the file survives a power loss.
func (c *Cluster) saveVoting(v voting) error {
	s, err := c.current()
	if err != nil {
		return err
	}
	v.ClusterID = s.node.ClusterID
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return pki.WriteFile(c.dir.voting(), append(data, '\n'))
}
