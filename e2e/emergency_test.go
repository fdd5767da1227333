package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// The manual's way out when policy quorum has lost most voters for good: the
// document of one node, without hacluster's blocks, serves alone.
func TestTheLastNodeOfAQuorumServesAlone(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	s.da.MustCtl("config", "set", "vrrp_instance VI_1 split_brain", "policy", "quorum")
	lab.Want(t, 10*time.Second, "lb01 has the lease", func() (string, bool) {
		out := s.da.MustCtl("vips")
		return out, strings.Contains(out, "LEASE") && strings.Contains(out, "SAFE") && !strings.Contains(out, "none")
	})
	s.db.KillAll()
	s.dc.KillAll()
	lab.Want(t, 10*time.Second, "the status says DARK, and why", func() (string, bool) {
		out := s.da.Ctl("status").Stdout
		return out, strings.HasPrefix(out, "DARK") && strings.Contains(out, "quorum_lost")
	})
	document := s.a.WriteFile("haclusterd.conf", s.da.MustCtl("config", "render"))
	s.da.SignalAll(syscall.SIGTERM)
	s.da.WantExit(10 * time.Second)

	s.a.Start(lab.Binary(t, "haclusterd"), "--standalone="+document, "--data-dir="+s.da.DataDir, "--run-dir="+s.da.RunDir)
	s.watch.WantHolder(s.a, vip, 2*masterDown(150)+electionTime)
}
