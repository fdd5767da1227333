package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// An edit that cuts off its maker goes back by itself: the node that was asked dies at
// once, and with it, here, the leader and the holder.
func TestAnEditThatNobodyConfirmsGoesBackThoughItsMakerIsGone(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	edited := s.a.WriteFile("edited.conf", trioConf("garp_master_delay 3"))
	applied := time.Now()
	res := s.da.Ctl("config", "apply", edited, "--confirm-within", "8s", "-m", "announce sooner")
	if res.Exit != 0 || !strings.Contains(res.Stderr, "revision 2 of root: revision 1 comes back") {
		t.Fatalf("apply: %v; want it to say what waits", res)
	}
	if out := s.db.MustCtl("status"); !strings.Contains(out, "UNCONFIRMED  revision 2 of root: revision 1 comes back") {
		t.Errorf("status of another node does not say what waits:\n%s", out)
	}
	if out := s.dc.MustCtl("config", "history"); !strings.Contains(out, "waits to be confirmed: revision 2") {
		t.Errorf("history of another node does not say what waits:\n%s", out)
	}
	res = s.dc.Ctl("config", "set", "vrrp_instance VI_1", "garp_master_delay", "4")
	if res.Exit != 1 || !strings.Contains(res.Stderr, "revision 2 of root waits to be confirmed") {
		t.Errorf("another edit meanwhile: %v; want it refused", res)
	}

	s.da.KillAll()
	s.watch.WantHolder(s.b, vip, masterDown(120)+2*time.Second)
	// Eight seconds of each node's own, an election, and a busy machine.
	wantRevision(t, "3", s.db, s.dc)
	if took := time.Since(applied); took < 8*time.Second || took > 20*time.Second {
		t.Errorf("it went back after %v, want between 8 s and 20 s", took)
	}
	if out := s.dc.MustCtl("config", "history"); !strings.Contains(out, "back to revision 1: revision 2 was not confirmed within 8s") || strings.Contains(out, "waits") {
		t.Errorf("history does not say that it went back:\n%s", out)
	}
	if out := s.db.MustCtl("config", "diff", "1", "3"); strings.Contains(out, "garp_master_delay") {
		t.Errorf("the text is not that of before:\n%s", out)
	}
	s.da.Restart()
	wantAnswer(t, s.da)
	wantRevision(t, "3", s.daemons()...)
	s.watch.Since(applied).WantNeverTwo(meeting, vip)
}

// What is confirmed on any node stays, and what is taken back by hand is taken back
// once; neither moves the address.
func TestAConfirmedEditStays(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	began := time.Now()
	edited := s.a.WriteFile("edited.conf", trioConf("garp_master_delay 3"))
	s.da.MustCtl("config", "apply", edited, "--confirm-within", "20s")
	if out := s.dc.MustCtl("config", "confirm"); !strings.Contains(out, "revision 2 stays") {
		t.Errorf("confirm: %s", out)
	}
	if res := s.db.Ctl("config", "confirm"); res.Exit != 1 || !strings.Contains(res.Stderr, "no revision waits to be confirmed") {
		t.Errorf("a second confirm: %v; want exit 1", res)
	}

	other := s.b.WriteFile("other.conf", trioConf("garp_master_delay 4"))
	s.db.MustCtl("config", "apply", other, "--confirm-within", "6s")
	s.dc.MustCtl("config", "rollback", "2")
	s.da.MustCtl("config", "set", "vrrp_instance VI_1", "garp_master_delay", "5")
	lab.During(8 * time.Second)
	wantRevision(t, "5", s.daemons()...)
	view := s.watch.Since(began)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
	wantReigns(t, view, 4, 51, s.a)
}
