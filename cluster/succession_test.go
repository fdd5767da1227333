package cluster

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
)

// A voter that has reported, and then died and was removed, reports no more: the step
// that takes it out of the electorate must not wait for it.
func TestTheElectorateFollowsAVoterThatReportedAndWent(t *testing.T) {
	t.Parallel()
	a := newNode(t, "a")
	a.end()
	machine := NewElectorates()
	a.o.Machines = func() []store.Machine { return []store.Machine{machine} }
	a.start()
	a.initCluster("")
	for from, voters := range [][]string{{"a"}, {"a", "b"}} {
		cmd, err := ChangeElectorate(uint64(from), voters)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Apply(t.Context(), "change the electorate", cmd); err != nil {
			t.Fatal(err)
		}
	}
	const bound = 100 * time.Millisecond
	asked := 0 // of Run's goroutine
	s := Succession{
		Cluster: a.Cluster, Machine: machine, Set: func(Electorate) {}, Bound: func() time.Duration { return bound },
		Reports: func(uint64, []string) bool { asked++; return asked == 1 },
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }() // ends with ctx
	t.Cleanup(func() { cancel(); <-ended })
	eventually(t, "the electorate is Raft's voters", func() bool {
		e, _ := machine.Current()
		return e.Epoch == 3 && slices.Equal(e.Voters, []string{"a"})
	})
}
