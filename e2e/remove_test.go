package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// memberNames are the members as a node knows them, in order.
func memberNames(d *lab.Daemon) string {
	var out struct {
		Nodes []struct {
			Name string `json:"name"`
		} `json:"nodes"`
	}
	d.CtlJSON(&out, "nodes")
	var names []string
	for _, n := range out.Nodes {
		names = append(names, n.Name)
	}
	return strings.Join(names, " ")
}

func wantMembers(t *testing.T, d *lab.Daemon, names string) {
	t.Helper()
	lab.Want(t, 10*time.Second, d.Node.Name+" knows of the members "+names, func() (string, bool) {
		got := memberNames(d)
		return got, got == names
	})
}

// wantRemoved has a daemon remove a node that was just killed: that is refused for as
// long as anybody may still hear it.
func wantRemoved(t *testing.T, d *lab.Daemon, dead string) lab.Result {
	t.Helper()
	var done lab.Result
	lab.Want(t, 20*time.Second, d.Node.Name+" removes "+dead, func() (string, bool) {
		done = d.Ctl("remove", dead, "--yes")
		return done.String(), done.Exit == 0
	})
	return done
}

// The holder dies for good and is removed on another node; its vote and its place are
// gone. Its machine comes back, with the best priority: it is told before it speaks,
// and the holder goes on.
func TestADeadNodeIsRemovedAndIsToldWhenItComesBack(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	s.da.KillAll()
	done := wantRemoved(t, s.dc, "lb01")
	if !strings.Contains(done.Stdout, "What remains: lb02, lb03.") || !strings.Contains(done.Stderr, "two voters are left") {
		t.Errorf("remove: %v; want what remains, and a warning of two voters", done)
	}
	for _, d := range []*lab.Daemon{s.db, s.dc} {
		wantMembers(t, d, "lb02 lb03")
	}
	s.watch.WantHolder(s.b, vip, electionTime)
	if events := s.dc.MustCtl("events"); !strings.Contains(events, "removed lb01, last heard") || !strings.Contains(events, "lb01 is no member any more") {
		t.Errorf("events do not say that lb01 was removed:\n%s", events)
	}

	back := time.Now()
	s.da.Restart()
	s.da.WantLog("the other members removed this node", 10*time.Second)
	lab.During(masterDown(150) + time.Second) // by then it would have taken over
	s.watch.Since(back).WantNeverTwo(0, vip)
	if s.a.Has(vip) {
		t.Error("the removed node has the virtual address")
	}
	if told := alertsOf(s.db); strings.Contains(told, "foreign_master") || strings.Contains(told, "duplicate_address") {
		t.Errorf("alerts of lb02: %s", told)
	}
	if r := s.da.Ctl("config", "history"); r.Exit == 0 || !strings.Contains(r.Stderr, "removed this node (haclusterctl leave") {
		t.Errorf("a command on the removed node: %v; want that it was removed, and the way back", r)
	}
	s.da.MustCtl("leave")
	joinAs(s.db, s.da)
	wantMembers(t, s.dc, "lb01 lb02 lb03")
}

func TestARemovalThatMustNotBeIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	for node, why := range map[string]string{
		"lb02": "lb02 is alive: lb01 hears it by", "lb01": "lb01 is the node that was asked", "lb04": "the members are lb01, lb02, lb03",
	} {
		if r := s.da.Ctl("remove", node, "--yes"); r.Exit != 1 || !strings.Contains(r.Stderr, why) {
			t.Errorf("remove %s: %v; want exit 1, and %q", node, r, why)
		}
	}

	s.db.KillAll()
	s.dc.KillAll()
	lab.Want(t, 30*time.Second, "a removal is refused for the majority", func() (string, bool) {
		r := s.da.Ctl("remove", "lb03", "--yes")
		return r.String(), r.Exit == 1 && strings.Contains(r.Stderr, "no majority of the 3 voters")
	})
	s.db.Restart()
	s.dc.Restart()
	for _, d := range s.daemons() {
		wantPeers(t, d, 2)
		wantMembers(t, d, "lb01 lb02 lb03")
	}
	lab.Want(t, 30*time.Second, "the cluster can be changed", func() (string, bool) {
		r := s.dc.Ctl("token", "create")
		return r.String(), r.Exit == 0
	})
}
