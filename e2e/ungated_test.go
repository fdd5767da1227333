package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// R7b: without the kernel gate the lease alone renews addresses of policy quorum. A
// holder that is cut off from the others, and still reached by everybody else, is
// silent before they serve; the death of all processes of one makes no second holder
// either.
func TestQuorumWithoutAGateHasOneHolder(t *testing.T) {
	// Not beside other tests: without a gate a lease needs answers within half a second.
	s := newTrio(t, lab.Control, trioConf("split_brain {\n\t\tkernel_lease off\n\t}"))
	begin := reigning(s.watch, s.a, 4, 51)
	s.da.MustCtl("config", "set", "vrrp_instance VI_1 split_brain", "policy", "quorum")
	leased := func(d *lab.Daemon) {
		t.Helper()
		lab.Want(t, 15*time.Second, d.Node.Name+" has the lease", func() (string, bool) {
			out := d.MustCtl("vips")
			return out, strings.Contains(out, "SAFE") && !strings.Contains(out, "none") && d.Node.Has(vip)
		})
	}
	leased(s.da)

	// A majority answers five times a second: nothing moves, and the change of policy
	// has moved nothing.
	lab.During(5 * time.Second)
	steady := s.watch.Since(begin)
	steady.WantNeverTwo(0, vip)
	steady.WantDarkAtMost(50*time.Millisecond, vip)
	wantReigns(t, steady, 4, 51, s.a)

	cut := time.Now()
	s.lan.Part([]*lab.Node{s.a}, []*lab.Node{s.b, s.c}, lab.Service, lab.Control)
	s.watch.WantHolder(s.b, vip, 10*time.Second)
	if s.a.Has(vip) {
		t.Error("the node that was cut off still has the address")
	}
	s.watch.Since(cut).WantNeverTwo(0, vip)

	died := time.Now()
	s.lan.Heal()
	leased(s.db)
	s.db.KillAll()
	s.watch.WantHolder(s.a, vip, 15*time.Second)
	s.watch.Since(died).WantNeverTwo(0, vip)
}
