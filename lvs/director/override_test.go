package director_test

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
)

// byHand has weights given by hand: of the first server, the second one and so on; -1
// is none.
func (w *world) byHand(weights ...int) {
	all := director.Overrides{"web": make(map[netip.AddrPort]director.Override)}
	for i, weight := range weights {
		if weight >= 0 {
			all["web"][backend(i+1)] = director.Override{Weight: uint32(weight), Why: "root did"}
		}
	}
	w.Override(all)
	synctest.Wait()
}

func TestWeightByHandTakesThePlaceOfTheConfiguredOneUntilItEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.byHand(0) // before anything is configured, as at a start
		w.apply(w.service(2))
		w.holds("10.0.0.1:80 weight 0", "10.0.0.2:80 weight 1")

		w.byHand(0, 7)
		w.holds("10.0.0.1:80 weight 0", "10.0.0.2:80 weight 7")
		other := w.service(2)
		other.Servers[0].Weight, other.Servers[1].Weight = 3, 3
		w.apply(other)
		w.holds("10.0.0.1:80 weight 0", "10.0.0.2:80 weight 7")

		w.byHand()
		w.holds("10.0.0.1:80 weight 3", "10.0.0.2:80 weight 3")
		if want := "server weight"; !slices.Contains(w.changes, want) {
			t.Errorf("told %q, want %q among them", w.changes, want)
		}
		if len(w.refused) > 0 {
			t.Errorf("refused: %v", w.refused)
		}
	})
}

func TestChecksTakeOutAServerWithAWeightByHand(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply(w.service(2))
		w.byHand(5, 0)
		w.finds(down, "web1", "web2")
		w.holds()
		w.finds(up, "web1", "web2")
		w.holds("10.0.0.1:80 weight 5", "10.0.0.2:80 weight 0")
	})
}

// What is drained keeps its connections, whatever becomes of the rest.
func TestDrainedServerStaysBesideTheSorryServer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.service(2)
		s.Sorry = &director.SorryServer{Server: lvs.Server{Address: sorry, Weight: 1}}
		w.apply(s)
		w.byHand(0)
		w.finds(down, "web2")
		w.holds("10.0.0.1:80 weight 0", "10.0.0.99:80 weight 1")
		w.byHand()
		w.holds("10.0.0.1:80 weight 1")
	})
}

func TestQuorumCountsWeightsByHand(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.service(2)
		s.Quorum = 2
		w.apply(s)
		w.ran("quorum up")
		w.byHand(0)
		w.ran("quorum down")
		w.byHand(0, 2)
		w.ran("quorum up")
	})
}
