package cluster

import (
	"fmt"
	"testing"

	"github.com/hacluster/hacluster/cluster/store"
)

// BenchmarkProposeUntilEveryNodeHasIt measures from a proposal on a follower until
// all three nodes have the revision in their state.
func BenchmarkProposeUntilEveryNodeHasIt(b *testing.B) {
	nodes := threeNodes(b)
	_, followers := leaderOf(b, nodes...)
	for b.Loop() {
		base, err := followers[0].Revisions().Latest()
		if err != nil {
			b.Fatal(err)
		}
		rev, err := followers[0].Propose(b.Context(), store.Proposal{Base: base.Number, Text: fmt.Sprint(base.Number)})
		if err != nil {
			b.Fatal(err)
		}
		for _, n := range nodes {
			if _, err := n.Revisions().Watch(b.Context(), rev.Number-1); err != nil {
				b.Fatal(err)
			}
		}
	}
}
