package e2e

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F21: somebody gives the address to a machine that is no member. Who answers
// there is beyond our reach; it is found and said.
func TestF21AddressOnAThirdMachine(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	lab.During(5 * time.Second)
	stranger := s.lan.Host("stranger")
	came := time.Now()
	stranger.AddAddr(lab.Service, netip.PrefixFrom(vip, 32))
	for _, d := range []*lab.Daemon{s.db, s.dc} {
		wantAlert(t, d, 15*time.Second, "duplicate_address", stranger.MAC(lab.Service).String())
	}
	lab.During(2 * time.Second)
	if !s.a.Has(vip) {
		t.Error("the holder let go of its address")
	}
	if reigns := s.watch.Since(came).Reigns(4, 51); len(reigns) != 1 {
		t.Errorf("masters were %v, want %s alone", reigns, s.a.Name)
	}
}

// F21, R12: on a member that does not hold it, the address is removed, whatever
// its mask, and said.
func TestF21AddressOnAMemberThatDoesNotHoldIt(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	for _, bits := range []int{32, 24} {
		came := time.Now()
		s.b.AddAddr(lab.Service, netip.PrefixFrom(vip, bits))
		s.b.WantNoAddr(vip, time.Second)
		wantAlert(t, s.db, 5*time.Second, "stray_address", netip.PrefixFrom(vip, bits).String())
		s.watch.WantHolder(s.a, vip, time.Second)
		s.watch.Since(came).WantNeverTwo(slack, vip)
	}
}

// G4: a member verifies after each change of holder who answers.
func TestChangeOfHolderIsVerified(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	lab.During(2 * time.Second)
	s.da.MustCtl("handover", "VI_1", "--to", "lb02")
	s.watch.WantHolder(s.b, vip, 5*time.Second)
	lab.Want(t, 5*time.Second, "lb03 verifies that lb02 answers", func() (string, bool) {
		out := s.dc.MustCtl("events")
		return out, strings.Contains(out, "verified") && strings.Contains(out, "lb02 answers")
	})
}
