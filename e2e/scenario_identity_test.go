package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F30: a machine is cloned, or set up from a backup of its data, and the copy
// starts while the first one runs. The copy is refused, the first one tells,
// and the address stays where it is.
func TestF30ClonedMachineIsRefused(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	other := s.lan.Node("clone")
	cloned := time.Now()
	clone := other.CloneMember(s.da, lab.Control)
	if exit := clone.WantExit(5 * time.Second); exit != 1 || !strings.Contains(clone.Log(), "another machine answers as lb01 at 198.51.100.1:7112") {
		t.Errorf("the copy ended with status %d and\n%s\nwant 1 and the address of the other one", exit, clone.Log())
	}
	wantAlert(t, s.da, 5*time.Second, "duplicate_identity", other.Addr4(lab.Control).String())
	wantAlert(t, s.db, 5*time.Second, "duplicate_identity", "lb01")
	lab.During(2 * time.Second)
	s.watch.WantHolder(s.a, vip, time.Second)
	view := s.watch.Since(cloned)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
	wantReigns(t, view, 4, 51, s.a)
}
