package sim

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// lease is L of the revision that the node runs.
func (n *node) lease() time.Duration { return n.disk.leases[len(n.disk.leases)-1] }

// leaseBound is the longest of the last three.
func (n *node) leaseBound() time.Duration {
	return slices.Max(n.disk.leases[max(0, len(n.disk.leases)-3):])
}

// revise makes a node run another revision: with another L, priority or number of
// addresses. What is durable comes first.
func (n *node) revise(lease time.Duration, priority vrrp.Priority, addresses int) {
	n.disk.leases = append(n.disk.leases, lease)
	n.priority = priority
	n.w.addresses[n.index] = addresses
	if !n.up {
		return
	}
	f := func() {
		n.w.logf("%s runs a revision with L %v, priority %d, %d addresses", n.name, lease, priority, addresses)
		n.core.SetLeaseBound(n.leaseBound())
		if !n.witness {
			n.event(vrrp.Respec{Spec: n.spec()})
		}
	}
	n.receive(errand(f))
}

// electorate is who votes, as Raft would have it.
type electorate struct {
	w       *world
	now     splitbrain.Electorate
	settled time.Time // when those of the one before that had not reported it were no majority; zero: not yet
	before  splitbrain.Electorate
}

func (e *electorate) init(w *world) {
	e.w = w
	e.now = splitbrain.Electorate{Epoch: 1}
	e.now.Voters = slices.Clone(w.roster.names)
	e.settled = epoch
	for _, n := range w.nodes {
		n.disk.electorate = e.now
		w.addresses = append(w.addresses, 1)
	}
}

// elect stores an electorate, which takes a disk its time.
func (n *node) elect(e *splitbrain.Electorate) {
	if e == nil {
		return
	}
	w := n.w
	stored := *e
	w.schedule(w.now.Add(time.Duration(w.rng.Int64N(int64(50*time.Millisecond)))), n, errand(func() {
		n.disk.electorate = stored
		n.core.ElectorateStored(stored)
		w.logf("%s: electorate %d: %v", n.name, stored.Epoch, stored.Voters)
		w.ballot.report()
	}))
}

// report notes when so many voters of the electorate before have stored the present
// one that the others are no majority.
func (e *electorate) report() {
	if !e.settled.IsZero() {
		return
	}
	n := 0
	for _, name := range e.before.Voters {
		for _, m := range e.w.nodes {
			if m.name == name && m.disk.electorate.Epoch >= e.now.Epoch {
				n++
			}
		}
	}
	if len(e.before.Voters)-n < e.before.Majority() {
		e.settled = e.w.now
	}
}

// change adds or removes one voter, unless the change before has not settled for
// the longest lease (R6e), and reports whether it did. Only some nodes hear of it by
// Raft.
func (e *electorate) change(name string, hear func(*node) bool) bool {
	w := e.w
	longest := time.Duration(0)
	for _, n := range w.nodes {
		longest = max(longest, n.leaseBound())
	}
	if e.settled.IsZero() || w.now.Sub(e.settled) < longest+longest/10 {
		return false
	}
	next := splitbrain.Electorate{Epoch: e.now.Epoch + 1, Voters: slices.Clone(e.now.Voters)}
	if i := slices.Index(next.Voters, name); i >= 0 {
		next.Voters = slices.Delete(next.Voters, i, i+1)
	} else {
		next.Voters = append(next.Voters, name)
	}
	if len(next.Voters) < 3 {
		return false
	}
	w.logf("Raft: electorate %d: %v", next.Epoch, next.Voters)
	e.before, e.now, e.settled = e.now, next, time.Time{}
	for _, n := range w.nodes {
		if n.up && n.belongs() && hear(n) {
			n.receive(errand(func() { n.core.SetElectorate(next) }))
		}
	}
	return true
}
