package splitbrain

import (
	"fmt"
	"testing"
	"time"
)

// held is a world in which n1 has held for a while by policy mesh: its adverts keep
// its gate open.
func held(t *testing.T) *leaseWorld {
	t.Helper()
	w := newLeaseWorld(t, 1, "n1", "n2", "n3")
	w.startAll()
	for _, n := range w.nodes {
		n.view.Policy = PolicyMesh
		n.does(n.show)
	}
	n1 := w.nodes[0]
	n1.view.Tenure = Tenure{Seq: 1, Priority: n1.view.Priority, Primary: n1.view.Primary}
	n1.adverts, n1.gate = true, time.Hour
	n1.does(func() { n1.become(Master, "master down timer expired") })
	w.run(20 * time.Second)
	w.wantHolder(t, n1)
	return w
}

// setPolicy is a revision that one node applies.
func (n *leaseNode) setPolicy(p Policy) {
	n.does(func() { n.view.Policy = p; n.show() })
}

// F26, S76: nothing happens but that the voters are asked, whoever is first.
func TestAHeldUnitWhosePolicyBecomesQuorumIsNotDropped(t *testing.T) {
	for first := range 3 {
		t.Run(fmt.Sprintf("n%d first", first+1), func(t *testing.T) {
			w := held(t)
			n1 := w.nodes[0]
			for i := range w.nodes {
				w.nodes[(first+i)%3].setPolicy(PolicyQuorum)
				w.run(w.now + 300*ms)
			}
			w.run(w.now + 20*ms)
			if n1.adverts {
				t.Fatalf("no lease yet\n%s", w.trace.String())
			}
			w.run(w.now + 20*time.Second)
			w.wantHolder(t, n1)
			n1.adverts, n1.gate = true, time.Hour
			for _, n := range w.nodes {
				n.setPolicy(PolicyMesh)
				w.run(w.now + 300*ms)
			}
			w.run(w.now + 20*time.Second)
			w.wantHolder(t, n1)
			for _, n := range w.nodes {
				n.setPolicy(PolicyQuorum)
			}
			w.run(w.now + 20*time.Second)
			w.wantHolder(t, n1)
			if w.moves != 1 || n1.view.Tenure.Seq != 1 {
				t.Errorf("%d changes of holder, tenure %d; want the first of both\n%s", w.moves, n1.view.Tenure.Seq, w.trace.String())
			}
		})
	}
}

func TestAHeldUnitWhosePolicyBecomesQuorumWaitsForAMajorityAWhile(t *testing.T) {
	w := held(t)
	n1 := w.nodes[0]
	w.nodes[1].kill()
	w.nodes[2].kill()
	n1.setPolicy(PolicyQuorum)
	grace := n1.view.firstLeaseWithin()
	if want := 3 * n1.view.masterDown(); grace != want {
		t.Fatalf("it waits for %v, want three Master_Down_Intervals, %v", grace, want)
	}
	w.run(w.now + grace - 10*ms)
	if n1.view.State != Master {
		t.Errorf("it let go too soon\n%s", w.trace.String())
	}
	w.run(w.now + 20*ms)
	if n1.view.State != Backup {
		t.Errorf("it holds without a lease\n%s", w.trace.String())
	}
}
