//go:build guest

package balance_test

import (
	"testing"

	"github.com/hacluster/hacluster/e2e/lab"
)

// tunnels makes the real servers take tunnelled packets of both families.
func (s *site) tunnels() {
	s.t.Helper()
	for _, r := range s.reals() {
		must(s.t, r, "ip", "link", "add", "tun4", "type", "ipip", "local", r.Addr4(lab.Service).String())
		must(s.t, r, "ip", "link", "add", "tun6", "type", "ip6tnl", "mode", "ip6ip6", "local", r.Addr6(lab.Service).String())
		for _, link := range []string{"tun4", "tun6"} {
			r.SetLink(link, true)
		}
		for _, of := range []string{"all", "tun4"} {
			r.Sysctl("ipv4/conf/"+of+"/rp_filter", "0")
		}
	}
}

// U6's service when real servers are reached through tunnels, in both families. With
// lvs_sync_daemon the second director knows the connections of the first, and transfers
// outlive it.
func TestU6Tunnels(t *testing.T) {
	for _, by := range makes {
		t.Run(by.name, func(t *testing.T) {
			s := newSite(t)
			s.tunnels()
			r := s.startRest(by, "TUN", syncDaemon)
			r.loseServer()
			s.wantRoles(s.d1, "master")
			s.wantRoles(s.d2, "backup")
			x4, x6 := s.begin(r.at4), s.begin(r.at6)
			s.wantKnown(s.d2, x4)
			s.wantKnown(s.d2, x6)

			s.step("d1 loses its power")
			r.one.powerOff()
			s.d2.WantAddr(vip, within)
			s.wantRoles(s.d2, "master")
			x4.wantMore()
			x6.wantMore()
			s.wantPools([]*lab.Node{s.d2}, r.v4, r.v6)
		})
	}
}
