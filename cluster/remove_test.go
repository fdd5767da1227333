package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
)

// mayRemove has a node remove a dead one. On a busy machine a voter may fall silent
// for a moment, or the leader step down under way: then one asks again.
func mayRemove(t *testing.T, asked *node, dead string) {
	t.Helper()
	eventually(t, dead+" is removed", func() bool {
		_, err := asked.Remove(t.Context(), dead)
		if err != nil {
			t.Log(err)
		}
		return err == nil || hasCode(err, store.CodeNoSuchNode)
	})
}

func hasCode(err error, code store.Code) bool {
	refusal, ok := errors.AsType[*store.Refusal](err)
	return ok && refusal.Code == code
}

func TestADeadMemberIsRemovedOnAnyNodeLearnsOfItAndJoinsAgain(t *testing.T) {
	t.Parallel()
	askEither(t, func(t *testing.T, asked, other, dead *node) {
		dead.end()
		mayRemove(t, asked, dead.o.Name)
		for _, n := range []*node{asked, other} {
			eventually(t, n.o.Name+" knows of two members and two voters", func() bool {
				return len(n.Members()) == 2 && len(n.Status().Voters) == 2
			})
		}

		dead.start()
		dead.AwaitConfirmation(t.Context(), time.Minute)
		if state := dead.Status().State; state != Removed {
			t.Fatalf("the removed node takes itself for a %s when it was told", state)
		}
		if _, err := other.Propose(t.Context(), store.Proposal{Base: 1, Text: "two\n"}); err != nil {
			t.Errorf("with the removed node back: %v", err)
		}
		if _, err := dead.Leave(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		dead.untouched()
		if err := dead.Join(t.Context(), JoinOptions{Token: asked.token(TokenOptions{})}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhoIsAskedRemovesNeitherItselfNorTheLivingNorTheUnknown(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	leader, others := leaderOf(t, nodes...)
	for _, asked := range []*node{leader, others[0]} {
		for name, want := range map[string]store.Code{
			asked.o.Name: CodeAnswers, others[1].o.Name: CodeAnswers, "d": store.CodeNoSuchNode,
		} {
			eventually(t, "a refusal, and no lack of a leader", func() bool {
				_, err := asked.Remove(t.Context(), name)
				if !hasCode(err, want) {
					t.Logf("%s: Remove(%s) = %v, want a refusal %s", asked.o.Name, name, err, want)
				}
				return hasCode(err, want)
			})
		}
		if st := asked.Status(); len(asked.Members()) != 3 || len(st.Voters) != 3 {
			t.Errorf("%s: %d members, %d voters, want 3 and 3", asked.o.Name, len(asked.Members()), len(st.Voters))
		}
	}
}

func TestRemovalWithoutAMajoritySaysThatNothingChanged(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	nodes[1].end()
	nodes[2].end()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := nodes[0].Remove(ctx, "c")
	if _, ok := errors.AsType[*NoMajorityError](err); !ok {
		t.Errorf("Remove = %v, want a NoMajorityError", err)
	}
	if st := nodes[0].Status(); len(nodes[0].Members()) != 3 || len(st.Voters) != 3 {
		t.Errorf("%d members, %d voters, want 3 and 3", len(nodes[0].Members()), len(st.Voters))
	}
}

func TestOneRefusalByAStateThatIsNotOlderProvesTheRemoval(t *testing.T) {
	t.Parallel()
	a := newNode(t, "a")
	a.initCluster("")
	s, err := a.current()
	if err != nil {
		t.Fatal(err)
	}
	known := s.meshFacts().Applied
	for range 9 {
		s.noteRefusal(&notMemberError{Node: "a", Applied: known - 1})
	}
	if s.removedByOthers() {
		t.Error("an older state, which may not know the node yet, counts")
	}
	s.noteRefusal(&notMemberError{Node: "a", Applied: s.meshFacts().Applied})
	if !s.removedByOthers() {
		t.Error("a state that is not older does not count")
	}
	eventually(t, "the node says so", func() bool { return a.Status().State == Removed })
}

func TestAMemberIsConfirmedByTheOthersAndWaitsForNobodyElse(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "a"), newNode(t, "b")
	a.initCluster("")
	a.AwaitConfirmation(t.Context(), time.Hour) // it is alone
	if err := b.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{})}); err != nil {
		t.Fatal(err)
	}
	b.end()
	b.start()
	b.AwaitConfirmation(t.Context(), time.Hour)
	if state := b.Status().State; state != Member {
		t.Errorf("the node is %s, want %s", state, Member)
	}
	a.end()
	b.end()
	b.start()
	b.AwaitConfirmation(t.Context(), time.Millisecond)
	if state := b.Status().State; state != Member {
		t.Errorf("with nobody to ask the node is %s, want %s", state, Member)
	}
}
