package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// A holder that leaves lets go first, so that another one serves at once. That was
// wanted: nobody is alarmed, and the machine that has left is no stranger.
func TestHolderThatLeavesIsFollowedAtOnce(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))

	// Who says that it is the last one, and is not, has mistaken the machine.
	if r := s.da.Ctl("leave", "--last"); r.Exit != 1 || !strings.Contains(r.Stderr, "this is not the last member") {
		t.Errorf("leave --last of one of three: %v; want exit 1, and why", r)
	}
	s.watch.WantHolder(s.a, vip, time.Second)

	left := time.Now()
	s.da.MustCtl("leave")
	s.watch.WantHolder(s.b, vip, time.Second)
	lab.During(4 * time.Second) // longer than an incident waits before it is told
	s.watch.Since(left).WantNeverTwo(0, vip)
	s.watch.Since(left).WantDarkAtMost(slack, vip)
	for _, d := range []*lab.Daemon{s.db, s.dc} {
		if told := alertsOf(d); strings.Contains(told, "foreign_master") || strings.Contains(told, "duplicate_address") {
			t.Errorf("alerts of %s: %s", d.Node.Name, told)
		}
		if list := incidentsOf(d, "failover").Incidents; len(list) > 0 {
			t.Errorf("%s has incidents %+v, want none", d.Node.Name, list)
		}
	}
}
