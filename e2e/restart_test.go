package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// advertGap is the longest time between two adverts of one virtual router, as
// far as it counts.
func advertGap(view lab.Window, family, vrid int) (longest time.Duration) {
	adverts := view.Adverts(family, vrid)
	for i := 1; i < len(adverts); i++ {
		longest = max(longest, view.Counted(lab.Stretch{From: adverts[i-1].At, To: adverts[i].At}))
	}
	return longest
}

// wantPlannedRestart asks the supervisor for a planned restart and checks what
// follows.
func wantPlannedRestart(t *testing.T, w *lab.Watcher, d *lab.Daemon) {
	t.Helper()
	wantRestarted(t, w, d, func() { d.Signal(syscall.SIGUSR2) })
}

// wantRestarted begins a planned restart and checks that another worker runs, and
// that nobody on the network has seen more than a pause.
func wantRestarted(t *testing.T, w *lab.Watcher, d *lab.Daemon, restart func()) {
	t.Helper()
	begin := reigning(w, d.Node, 4, 51)
	before, ok := d.Worker()
	if !ok {
		t.Fatalf("%s has no worker", d.Name)
	}
	restart()
	lab.Want(t, 10*time.Second, d.Name+" has another worker", func() (string, bool) {
		after, ok := d.Worker()
		return "", ok && after != before && len(d.Tree()) == 2
	})
	lab.During(4 * time.Second)
	view := w.Since(begin)
	wantReigns(t, view, 4, 51, d.Node)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(50*time.Millisecond, vip)
	gap := advertGap(view, 4, 51)
	t.Logf("longest time between two adverts: %v", gap)
	if gap > 2*time.Second {
		t.Errorf("adverts paused for %v, want at most 2 × Advert_Int", gap)
	}
}

// F26: a planned restart of the holder passes on what it holds. Nobody takes over,
// and nobody is told anything.
func TestF26PlannedRestartOfAStandaloneHolder(t *testing.T) {
	t.Parallel()
	w, a, _, _ := pair(t)
	wantPlannedRestart(t, w, a)
	wantPlannedRestart(t, w, a) // the heir has an heir
}

func TestF26PlannedRestartOfAMember(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	wantRestarted(t, s.watch, s.da, func() {
		if out := s.da.MustCtl("restart"); !strings.Contains(out, "haclusterd of lb01 runs anew") {
			t.Errorf("restart says %q", out)
		}
	})
	for _, d := range s.daemons() {
		wantPeers(t, d, 2)
	}
	// Its will is the heir's now.
	killed := time.Now()
	s.da.SignalWorker(syscall.SIGKILL)
	s.watch.WantHolder(s.b, vip, time.Second)
	s.watch.Since(killed).WantNeverTwo(0, vip)
}

// F26, S76: a revision that changes the policy of a held unit moves nothing, there
// and back.
func TestF26ChangeOfPolicyIsNoTransition(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	begin := reigning(s.watch, s.a, 4, 51)
	for _, policy := range []string{"quorum", "mesh", "quorum"} {
		s.da.MustCtl("config", "set", "vrrp_instance VI_1 split_brain", "policy", policy)
		lab.During(5 * time.Second)
	}
	view := s.watch.Since(begin)
	wantReigns(t, view, 4, 51, s.a)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(100*time.Millisecond, vip)
}

// S14: with policy quorum, what the worker holds and what it granted as a voter
// pass to the next one. A third of the votes is missing, so each of the two that
// are left is needed.
func TestF26PlannedRestartKeepsLeasesAndGrants(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	s.da.MustCtl("config", "set", "vrrp_instance VI_1 split_brain", "policy", "quorum")
	lab.During(4 * time.Second) // all vote by the last electorate
	s.dc.KillAll()
	wantPlannedRestart(t, s.watch, s.da)
	// Its voter is the other one that is left.
	begin := reigning(s.watch, s.a, 4, 51)
	before, _ := s.db.Worker()
	s.db.Signal(syscall.SIGUSR2)
	lab.Want(t, 10*time.Second, "lb02 has another worker", func() (string, bool) {
		after, ok := s.db.Worker()
		return "", ok && after != before && len(s.db.Tree()) == 2
	})
	lab.During(4 * time.Second)
	view := s.watch.Since(begin)
	wantReigns(t, view, 4, 51, s.a)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(50*time.Millisecond, vip)
	for _, what := range []string{"lb02 restarts on purpose, until 20", "lb02 is back from a planned restart"} {
		if out := s.da.MustCtl("events"); !strings.Contains(out, what) {
			t.Errorf("events do not say %q:\n%s", what, out)
		}
	}
}
