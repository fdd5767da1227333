package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// While the cluster is disarmed a holder's release starts nobody at once: the
// timers of VRRP take over. Armed again, it does.
func TestDisarmFreezesQuickTakeOverAndEndsByItself(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))

	asked := time.Now()
	s.dc.MustCtl("disarm", "--for", "12s", "--reason", "switch sw1")
	ordered := time.Now()
	for _, d := range s.daemons() {
		lab.Want(t, 2*time.Second, d.Name+" says DISARMED in its first lines", func() (string, bool) {
			out := d.MustCtl("status")
			lines := strings.SplitN(out, "\n", 3)
			return out, strings.HasPrefix(lines[1], "DISARMED  for ") && strings.Contains(lines[1], "switch sw1")
		})
		wantAlert(t, d, 2*time.Second, "disarmed", "switch sw1", "haclusterctl arm")
	}
	cut := time.Now()
	s.a.CutLink(lab.Service) // its own word that it let go arrives by the control network
	s.watch.WantHolder(s.b, vip, masterDown(120)+time.Second)
	if took := time.Since(cut); took < 2*time.Second {
		t.Errorf("lb02 took over after %v although quick take-over is frozen", took)
	}

	lab.Want(t, time.Until(ordered.Add(14*time.Second)), "armed again", func() (string, bool) {
		out := s.dc.MustCtl("status")
		return out, !strings.Contains(out, "DISARMED")
	})
	if ran := time.Since(asked); ran < 12*time.Second {
		t.Errorf("armed again after %v, want 12s", ran)
	}
	if res := s.dc.Ctl("arm"); res.Exit != 1 || !strings.Contains(res.String(), "armed") {
		t.Errorf("arm of an armed cluster: exit %d, %s; want a refusal", res.Exit, res)
	}
	cut = time.Now()
	s.b.CutLink(lab.Service)
	s.watch.WantHolder(s.c, vip, masterDown(100)+time.Second)
	s.watch.Since(cut).WantDarkAtMost(time.Second, vip) // not after its timer, as before
}

// The status shows the gate of the holder, that nothing is missing to the
// guarantee, and who hears whom by which channel.
func TestStatusShowsGateAndReach(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	lab.Want(t, 10*time.Second, "lb03 shows the gate of lb01 open and SAFE", func() (string, bool) {
		out := s.dc.MustCtl("status")
		return out, strings.HasPrefix(out, "SAFE  ") && strings.Contains(out, "may lose 2 more members, 1 more voter") &&
			strings.Contains(out, "GATE") && strings.Contains(out, "open 1.") && !strings.Contains(out, "known gap")
	})
	lab.Want(t, 10*time.Second, "all channels are in the matrix", func() (string, bool) {
		out := s.dc.MustCtl("status", "--reach")
		ok := true
		for _, channel := range []string{"\ngossip  lb01", "\nmesh  lb01", "\nvrrp  lb01"} {
			ok = ok && strings.Contains(out, channel)
		}
		return out, ok && strings.Count(out, "steadily") == 2 && !strings.Contains(out, "lost")
	})
	t.Logf("haclusterctl status\n%s\nhaclusterctl status --reach\n%s", s.dc.MustCtl("status"), s.dc.MustCtl("status", "--reach"))
}
