package splitbrain

import (
	"testing"
	"time"
)

// restart replaces the process by another one of the same life.
func (n *leaseNode) restart(t *testing.T, down time.Duration) {
	t.Helper()
	data, err := encodeLegacy(n.core.Legacy())
	if err != nil {
		t.Fatal(err)
	}
	legacy, err := decodeLegacy(data)
	if err != nil {
		t.Fatal(err)
	}
	w := n.w
	n.paused = true
	w.run(w.now + down)
	var members []Member
	for _, m := range w.nodes {
		members = append(members, Member{Name: m.name})
	}
	n.core = NewCore(n.name, n.boot, 1, 0, n.wall())
	n.core.Inherit(legacy)
	n.core.SetMembers(members)
	n.core.ElectorateStored(n.elect)
	n.core.SetLeaseBound(n.bound)
	n.paused, n.waiting, n.due = false, nil, 0
	n.show()
	n.step()
}

// S14, F26.
func TestAPlannedRestartKeepsLeasesAndGrants(t *testing.T) {
	w := newLeaseWorld(t, 5, "n1", "n2", "n3")
	w.startAll()
	w.run(20 * time.Second)
	w.nodes[2].kill() // each of the others is needed
	w.run(30 * time.Second)
	n1, n2 := w.nodes[0], w.nodes[1]
	for range 5 {
		n1.restart(t, 150*ms)
		w.run(w.now + 3*time.Second)
		n2.restart(t, 150*ms)
		w.run(w.now + 3*time.Second)
	}
	if w.holder() != n1 || w.moves != 1 || n1.view.Tenure.Seq != 1 || w.broken != "" {
		t.Errorf("holder %v, %d moves, tenure %d, %s\n%s", w.holder(), w.moves, n1.view.Tenure.Seq, w.broken, w.trace.String())
	}
}

// The unit of the heir has not begun when its arbiter has.
func TestAnHeirGivesNothingBackBeforeItsUnitHasBegun(t *testing.T) {
	w := newLeaseWorld(t, 5, "n1", "n2", "n3")
	w.startAll()
	w.run(20 * time.Second)
	n1 := w.nodes[0]
	legacy := n1.core.Legacy()
	heir := NewCore("n1", n1.boot, 1, 0, n1.wall())
	heir.Inherit(legacy)
	heir.ElectorateStored(n1.elect)
	if out := heir.Step(n1.wall(), n1.raw()); len(out.Record.Releases) != 0 {
		t.Errorf("no unit: releases %+v", out.Record.Releases)
	}
	unit := n1.view
	unit.State, unit.Released = Init, true
	heir.SetUnits([]UnitView{unit})
	if out := heir.Step(n1.wall().Add(50*ms), n1.raw().Add(50*ms)); len(out.Record.Releases) != 0 {
		t.Errorf("in INIT: releases %+v", out.Record.Releases)
	}
	out := heir.Step(n1.wall().Add(3*time.Second), n1.raw().Add(3*time.Second))
	if len(out.Record.Releases) != 1 {
		t.Errorf("after the lease: releases %+v, want one", out.Record.Releases)
	}
}

// The supervisor of an heir may be another program by now, which has kept nothing.
func TestAnHeirIsBoundByWhatItInherits(t *testing.T) {
	w := newLeaseWorld(t, 5, "n1", "n2", "n3")
	w.startAll()
	w.run(20 * time.Second)
	n2 := w.nodes[1]
	heir := NewCore("n2", n2.boot, 1, 0, n2.wall())
	if got := heir.Binding(); got != 0 {
		t.Errorf("bound until %d before it inherits, want 0", got)
	}
	heir.Inherit(n2.core.Legacy())
	if got, want := heir.Binding(), n2.core.Binding(); got != want || want <= n2.raw() {
		t.Errorf("bound for %v, want %v", got.Sub(n2.raw()), want.Sub(n2.raw()))
	}
}
