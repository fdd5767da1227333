package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// This file is who belongs to the cluster, as Raft would have it, and what each node
// knows of that: nodes join and leave while the others go on.

// roster is a list of members.
type roster struct {
	version int // counts changes
	names   []string
}

// enlist makes all nodes members that are there from the beginning.
func (w *world) enlist() {
	for _, n := range w.nodes[:w.config.nodes+w.config.witnesses] {
		w.roster.names = append(w.roster.names, n.name)
	}
	for _, n := range w.nodes {
		n.disk.roster = w.roster
	}
}

// belongs reports whether the node is a member, whoever knows it.
func (n *node) belongs() bool { return slices.Contains(n.w.roster.names, n.name) }

// knows reports whether the node takes another one for a member.
func (n *node) knows(o *node) bool { return slices.Contains(n.disk.roster.names, o.name) }

// others are the members that the node knows, beside itself.
func (n *node) others() []splitbrain.Member {
	var members []splitbrain.Member
	for _, name := range n.disk.roster.names {
		if name != n.name {
			members = append(members, splitbrain.Member{Name: name})
		}
	}
	return members
}

// enroll changes the list of members, and lets each of them hear of it in its own
// time; the deaf one takes seconds.
func (w *world) enroll(names []string, deaf *node) {
	w.roster = roster{w.roster.version + 1, names}
	now := w.roster
	w.logf("Raft: members %v", names)
	for _, n := range w.nodes {
		if !n.belongs() {
			continue
		}
		after := time.Duration(w.rng.Int64N(int64(300 * time.Millisecond)))
		if n == deaf {
			after = 2*time.Second + time.Duration(w.rng.Int64N(int64(3*time.Second)))
		}
		w.schedule(w.now.Add(after), nil, errand(func() { n.hearOf(now) }))
	}
}

// hearOf makes a node know of a list of members.
func (n *node) hearOf(r roster) {
	if r.version <= n.disk.roster.version {
		return
	}
	n.disk.roster = r
	n.w.check.relink()
	if n.up {
		n.receive(errand(func() { n.core.SetMembers(n.others()) }))
	}
}

// join lets a machine become a member, and in policy quorum soon a voter.
func (w *world) join(g, deaf *node) {
	if g.belongs() {
		return
	}
	w.enroll(append(slices.Clone(w.roster.names), g.name), deaf)
	g.disk.roster, g.disk.electorate = w.roster, w.ballot.now
	g.boot1()
	if w.policy == splitbrain.PolicyQuorum {
		w.promote(g, deaf, 30)
	}
}

// promote makes a member a voter as soon as the change before allows it.
func (w *world) promote(g, deaf *node, tries int) {
	w.schedule(w.now.Add(time.Second), nil, errand(func() {
		if !g.belongs() || slices.Contains(w.ballot.now.Voters, g.name) || tries == 0 {
			return
		}
		if !w.ballot.change(g.name, func(n *node) bool { return n != deaf }) {
			w.promote(g, deaf, tries-1)
		}
	}))
}

// leave takes a member away, if enough are left. One that is removed without its
// knowledge goes on; only policy quorum promises anything of that.
func (w *world) leave(a, deaf *node, knows bool) {
	serving := 0
	for _, n := range w.nodes {
		if n.belongs() && !n.witness {
			serving++
		}
	}
	if !a.belongs() || !a.witness && serving <= 2 {
		return
	}
	if slices.Contains(w.ballot.now.Voters, a.name) && w.policy == splitbrain.PolicyQuorum &&
		!w.ballot.change(a.name, func(n *node) bool { return n != deaf && (knows || n != a) }) {
		return
	}
	names := slices.DeleteFunc(slices.Clone(w.roster.names), func(name string) bool { return name == a.name })
	if knows || w.policy != splitbrain.PolicyQuorum {
		if a.running {
			a.stop()
		} else if a.up {
			a.crash()
		}
	}
	w.enroll(names, deaf)
	w.check.relink()
}

// movement puts joins and leaves into the schedule.
func (w *world) movement(rng *rand.Rand, at, span time.Duration) {
	a, deaf := w.two(rng)
	leaves, together, knows := rng.IntN(2) == 0, rng.IntN(2) == 0, rng.IntN(3) > 0
	if leaves || w.guests == 0 {
		w.at(at, func() { w.leave(a, deaf, knows) })
		return
	}
	for i, g := range w.nodes[len(w.nodes)-w.guests:] {
		at := at
		if !together {
			at += time.Duration(i) * span
		}
		w.at(at, func() { w.join(g, deaf) })
	}
}

// Two machines join at once, one of them a witness.
func TestTwoJoinsAtOnceMoveNothing(t *testing.T) {
	for name, change := range map[string]func(*config){"mesh": func(*config) {}, "quorum": quorum(3, 0)} {
		t.Run(name, func(t *testing.T) {
			w := steady(t, func(c *config) { change(c); c.guests = 2 })
			for _, g := range w.nodes[3:] {
				w.at(20*time.Second, func() { w.join(g, w.nodes[1]) })
			}
			w.run(60 * time.Second)
			w.want(t, "n1", 0, 0)
			if name == "quorum" && len(w.ballot.now.Voters) != 5 {
				t.Errorf("voters %v, want five", w.ballot.now.Voters)
			}
		})
	}
}

// The holder is removed while it is cut off, and never hears of it: the lease that it
// has binds the others, and it gets no other one.
func TestARemovedHolderThatNeverHearsOfItFallsSilent(t *testing.T) {
	w := steady(t, func(c *config) { quorum(4, 0)(c); c.lease = 6 * time.Second })
	for ch := range channels {
		w.cutOff(20*time.Second, w.nodes[0], ch)
	}
	w.at(20100*time.Millisecond, func() { w.leave(w.nodes[0], nil, false) })
	w.run(60 * time.Second)
	if w.holders() != "n2" || w.check.violation != "" || w.nodes[0].disk.roster.version != 0 {
		t.Errorf("%q holds, n1 knows of version %d, %s\n%s", w.holders(), w.nodes[0].disk.roster.version, w.check.violation, tail(w.trace.String(), 3000))
	}
}
