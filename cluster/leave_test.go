package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/cluster/store"
)

func TestLeaveIsRefusedWhenTheVotersThatRemainAreNoMajority(t *testing.T) {
	t.Parallel()
	askEither(t, func(t *testing.T, leaving, staying, off *node) {
		off.end()

		for what, leave := range map[string]func() error{
			"CanLeave": func() error { return leaving.CanLeave(t.Context()) },
			"Leave":    func() error { _, err := leaving.Leave(t.Context(), false); return err },
		} {
			err := leave()
			refusal, ok := errors.AsType[*store.Refusal](err)
			if !ok || refusal.Code != CodeMajorityAtRisk {
				t.Fatalf("%s = %v, want a refusal for the majority", what, err)
			}
			for _, want := range []string{"bring " + off.o.Name, staying.o.Name + " answers", "nothing was changed"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q does not say %q", what, err, want)
				}
			}
		}
		// All is as it was, and works.
		for _, n := range []*node{leaving, staying} {
			if st := n.Status(); st.State != Member || len(st.Voters) != 3 || len(n.Members()) != 3 {
				t.Errorf("%s: state %s, %d voters, %d members", n.o.Name, st.State, len(st.Voters), len(n.Members()))
			}
		}
		if _, err := leaving.Propose(t.Context(), store.Proposal{Base: 1, Text: "after\n"}); err != nil {
			t.Error(err)
		}

		off.start()
		mayLeave(t, leaving)
		if _, err := staying.Propose(t.Context(), store.Proposal{Base: 2, Text: "without\n"}); err != nil {
			t.Error(err)
		}
	})
}

// mayLeave has a node leave. On a busy machine a voter may fall silent for a moment,
// or the leader step down under way: then one asks again.
func mayLeave(t *testing.T, leaving *node) (remaining []store.Member) {
	t.Helper()
	eventually(t, "the node may leave", func() bool {
		var err error
		if remaining, err = leaving.Leave(t.Context(), false); err != nil {
			t.Log(err)
		}
		return err == nil
	})
	return remaining
}

// The leader that removed the node lost its place before it had told the members: no
// leader speaks to the node any more, which may not even know why.
func TestANodeThatWasHalfRemovedMayLeave(t *testing.T) {
	t.Parallel()
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("off meanwhile %v", off), func(t *testing.T) {
			t.Parallel()
			nodes := threeNodes(t)
			leader, others := leaderOf(t, nodes...)
			leaving := others[0]
			s, err := leaving.current()
			if err != nil {
				t.Fatal(err)
			}
			if off {
				leaving.end()
			}
			eventually(t, "a leader takes the node out of Raft and no further", func() bool {
				for _, n := range []*node{leader, others[1]} {
					if half, err := n.current(); err == nil && half.store.RemoveServer(t.Context(), s.node.ID) == nil {
						return true
					}
				}
				return false
			})
			if off {
				leaving.start()
				if s, err = leaving.current(); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "the node is out of Raft and hears no leader", func() bool {
				_, led := s.store.Leader()
				return s.expelled() && !led
			})
			if err := leaving.CanLeave(t.Context()); err != nil {
				t.Errorf("CanLeave = %v, want nil", err)
			}
			mayLeave(t, leaving)
			eventually(t, "the others know of two members", func() bool {
				return len(leader.Members()) == 2 && len(others[1].Members()) == 2
			})
		})
	}
}

func TestLeaveWithoutAPresentMajoritySaysThatNothingChanged(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	nodes[1].end()
	nodes[2].end()
	if _, ok := errors.AsType[*NoMajorityError](nodes[0].CanLeave(t.Context())); !ok {
		t.Error("CanLeave without a majority is no NoMajorityError")
	}
	if st := nodes[0].Status(); len(st.Voters) != 3 {
		t.Errorf("%d voters afterwards, want 3", len(st.Voters))
	}
}

func TestOneOfTwoMayLeave(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "a"), newNode(t, "b")
	a.initCluster("x\n")
	if err := a.CanLeave(t.Context()); err != nil {
		t.Errorf("CanLeave of the only member = %v, want that nobody has to agree", err)
	}
	if err := b.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{})}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing stands against it", func() bool { return a.CanLeave(t.Context()) == nil })
	mayLeave(t, a)
	if _, err := b.Propose(t.Context(), store.Proposal{Base: 1, Text: "alone\n"}); err != nil {
		t.Error(err)
	}
}

// askEither tells a story of three nodes with the leader as the one that is asked, and
// with a follower.
func askEither(t *testing.T, story func(t *testing.T, asked, other, third *node)) {
	for _, who := range []string{"the leader", "a follower"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			leader, others := leaderOf(t, threeNodes(t)...)
			if who == "the leader" {
				story(t, leader, others[0], others[1])
			} else {
				story(t, others[0], leader, others[1])
			}
		})
	}
}
