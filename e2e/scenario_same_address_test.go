package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F30, same address: the copy of a machine has its addresses as well, and starts on
// the same networks. Its daemon asks before it says a word in the other one's name,
// ends, and starts by itself once the other one is off.
func TestF30CloneWithTheSameAddressIsRefused(t *testing.T) {
	t.Parallel()
	eachPolicy(t, func(t *testing.T, words string) {
		s := newTrioOf(t, words, "")
		other := s.lan.Node("clone")
		for _, network := range []lab.Network{lab.Service, lab.Control} {
			other.DeleteAddr(network, netip.PrefixFrom(other.Addr4(network), 24))
			other.AddAddr(network, netip.PrefixFrom(s.a.Addr4(network), 24))
		}
		own := s.a.Addr4(lab.Control)
		refusal := fmt.Sprintf("another machine, %v, answers for this machine's own address %v on %s", s.a.MAC(lab.Control), own, lab.Control.Interface())

		cloned := time.Now()
		clone := other.CloneMember(s.da, lab.Control, "--advertise="+own.String())
		for range 3 { // systemd starts it again and again
			if exit := clone.WantExit(5 * time.Second); exit != 1 || !strings.Contains(clone.Log(), refusal) {
				t.Fatalf("the copy ended with status %d and\n%s\nwant 1 and %q", exit, clone.Log(), refusal)
			}
			lab.During(time.Second)
			clone.Restart()
		}
		clone.WantExit(5 * time.Second)
		wantAlert(t, s.da, 15*time.Second, "duplicate_address", other.MAC(lab.Service).String(), s.a.Addr4(lab.Service).String())
		wantAlert(t, s.da, 5*time.Second, "duplicate_address", other.MAC(lab.Control).String(), own.String())
		s.watch.WantHolder(s.a, vip, time.Second)
		view := s.watch.Since(cloned)
		view.WantNeverTwo(0, vip)
		view.WantDarkAtMost(slack, vip)
		wantReigns(t, view, 4, 51, s.a)

		// The other way round: what was the copy is the only one now.
		s.da.KillAll()
		for _, network := range []lab.Network{lab.Service, lab.Control} {
			s.a.CutLink(network)
		}
		clone.Restart()
		wantPeers(t, clone, 2)
	})
}
