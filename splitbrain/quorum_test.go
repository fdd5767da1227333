package splitbrain

import (
	"testing"
	"time"
)

func TestOneNodeGetsTheLeaseAndKeepsIt(t *testing.T) {
	w := newLeaseWorld(t, 1, "n1", "n2", "n3")
	w.startAll()
	w.run(60 * time.Second)
	if h := w.holder(); h != w.nodes[0] || w.moves != 1 || w.broken != "" {
		t.Errorf("holder %v, %d moves, %s\n%s", h, w.moves, w.broken, w.trace.String())
	}
}
