package splitbrain

import (
	"testing"
	"time"
)

// S18: nobody waits until the grants of a worker that crashed run out.
func TestALastWillMovesTheUnitInARoundTrip(t *testing.T) {
	w := newLeaseWorld(t, 3, "n1", "n2", "n3")
	w.startAll()
	w.run(20 * time.Second)
	n1 := w.nodes[0]
	if w.holder() != n1 {
		t.Fatalf("n1 does not hold\n%s", w.trace.String())
	}
	will := n1.core.Will(n1.wall())
	n1.kill()
	n1.gate = w.now // its supervisor has closed it
	n1.send(&Output{Record: &will, To: []string{"n2", "n3"}})
	w.run(w.now + 100*time.Millisecond)
	if w.holder() != w.nodes[1] || w.broken != "" {
		t.Errorf("holder %v, want n2; %s\n%s", w.holder(), w.broken, w.trace.String())
	}
}

func TestNothingOfALifeCountsAfterItsLastWill(t *testing.T) {
	w := newLeaseWorld(t, 3, "n1", "n2", "n3")
	w.startAll()
	w.run(20 * time.Second)
	n1, n2 := w.nodes[0], w.nodes[1]
	late := n1.core.Step(n1.wall().Add(time.Second), n1.raw()).Record
	will := n1.core.Will(n1.wall())
	n2.core.Receive(n2.wall(), &Datagram{Record: will}, "mesh")
	n2.step()
	n2.core.Receive(n2.wall(), &Datagram{Record: *late}, "mesh")
	n2.step()
	if m := n2.core.table.member("n1"); m.seq != LastSeq || m.claims[worldUnit].State == Master {
		t.Errorf("n2 knows of n1: record %d, %v; want the last will's", m.seq, m.claims[worldUnit].State)
	}
	if g := n2.core.leases.voter.units[worldUnit].grant; g.boot == n1.boot && g.until > n2.raw() {
		t.Error("n2's voter took up the grant of a dead life again")
	}
}
