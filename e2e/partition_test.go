package e2e

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// Two holders that the mesh connects: both channels are cut between two halves,
// so both hold; at the heal one lets go within two heartbeats.
func TestTotalPartitionEndsAtTheHeal(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	s.lan.Part([]*lab.Node{s.a}, []*lab.Node{s.b, s.c}, lab.Service, lab.Control)
	lab.Want(t, 8*time.Second, "lb02 serves its half", func() (string, bool) { return "", s.b.Has(vip) })
	lab.During(2 * time.Second)
	healed := time.Now()
	s.lan.Heal()
	s.watch.WantHolder(s.a, vip, 3*time.Second)
	s.watch.Since(healed).WantNeverTwo(time.Second, vip)
	wantAlert(t, s.da, 3*time.Second, "split_brain")
}
