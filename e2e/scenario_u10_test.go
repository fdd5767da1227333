package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// U10: one edit, validated for every node, applied everywhere, with history,
// diff and rollback.
func TestU10OneEditForAllNodes(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Service, trioConf(""))
	wantRevision(t, "1", s.daemons()...)

	// Refused for one node means refused for all, and nothing has changed.
	bad := s.db.Node.WriteFile("bad.conf", strings.Replace(trioConf(""), "@lb03 priority 100", "@lb03 priority 900", 1))
	res := s.db.Ctl("config", "apply", bad)
	if res.Exit != 1 || !strings.Contains(res.Stderr, "bad.conf:7:17: priority 900 is out of range; use 1 to 255 (on lb03)") {
		t.Errorf("apply of a bad document: %v; want exit 1 and the range", res)
	}
	wantRevision(t, "1", s.daemons()...)

	missing := s.db.Node.WriteFile("missing.conf", strings.Replace(trioConf(""), "interface eth0", "interface eth9", 1))
	res = s.db.Ctl("config", "apply", missing)
	if res.Exit != 1 || !strings.Contains(res.Stderr, "eth9") {
		t.Errorf("apply of an interface that is missing everywhere: %v; want exit 1", res)
	}
	wantRevision(t, "1", s.daemons()...)

	// An edit that moves nothing touches nothing (F26).
	edited := time.Now()
	good := s.dc.Node.WriteFile("good.conf", "# web pool\n"+trioConf("garp_master_delay 3"))
	s.dc.MustCtl("config", "apply", good, "-m", "announce sooner")
	wantRevision(t, "2", s.daemons()...)
	lab.During(2 * time.Second)
	view := s.watch.Since(edited)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
	wantReigns(t, view, 4, 51, s.a)

	history := s.da.MustCtl("config", "history")
	if !strings.Contains(history, "announce sooner") {
		t.Errorf("history lacks the message:\n%s", history)
	}
	if diff := s.da.MustCtl("config", "diff", "1", "2"); !strings.Contains(diff, "+\tgarp_master_delay 3") {
		t.Errorf("diff 1 2 =\n%s", diff)
	}

	// A priority moves the address: hand-over, never two.
	moved := time.Now()
	s.db.MustCtl("config", "set", "vrrp_instance VI_1", "priority", "200", "--node", "lb02")
	s.watch.WantHolder(s.b, vip, electionTime)
	s.watch.Since(moved).WantNeverTwo(0, vip)
	s.watch.Since(moved).WantDarkAtMost(slack, vip)

	back := time.Now()
	s.da.MustCtl("config", "rollback", "2")
	wantRevision(t, "4", s.daemons()...)
	s.watch.WantHolder(s.a, vip, electionTime)
	s.watch.Since(back).WantNeverTwo(0, vip)
	if shown := s.dc.MustCtl("config", "show"); !strings.HasPrefix(shown, "# web pool\n") {
		t.Errorf("comment did not survive the edits:\n%s", shown)
	}
}

// U12: a new machine joins with one command, and runs the configuration.
func TestU12NewMachineJoins(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Service, trioConf(""))
	d := s.lan.Node("lb04")
	dd := d.StartMember(lab.Service)
	dd.WantSocket(10 * time.Second)

	joined := time.Now()
	out := s.db.MustCtl("token", "create")
	words := strings.Fields(out)
	var join []string
	for i, w := range words {
		if w == "join" && i > 0 && strings.HasSuffix(words[i-1], "haclusterctl") {
			join = words[i:]
		}
	}
	if join == nil {
		t.Fatalf("token create printed no join command:\n%s", out)
	}
	dd.MustCtl(join...)
	wantPeers(t, dd, 3)
	wantPeers(t, s.da, 3)
	wantRevision(t, "1", dd)
	s.watch.Since(joined).WantNeverTwo(0, vip)
	s.watch.Since(joined).WantDarkAtMost(slack, vip)

	// The token was good once.
	if res := dd.Ctl(join...); res.Exit != 1 {
		t.Errorf("join of a member: %v; want exit 1", res)
	}

	// And out again.
	dd.MustCtl("leave")
	wantPeers(t, s.da, 2)
	s.watch.WantHolder(s.a, vip, time.Second)
}

// A node that dies and comes back starts from its cached revision, with the
// others gone.
func TestNodeStartsFromItsCacheAlone(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Service, trioConf(""))
	for _, d := range s.daemons() {
		d.KillAll()
	}
	s.c.WantNoAddr(vip, 3*time.Second)
	s.dc.Restart()
	s.watch.WantHolder(s.c, vip, electionTime)
}
