//go:build guest

package balance_test

import (
	"net/netip"
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
			s.direct(vip, vip6)
			s.tunnels()
			talk(t, s.r1, "9826")
			two := talk(t, s.r2, "9826")
			document := pair + syncDaemon +
				restService(vip, s.r1.Addr4(lab.Service), s.r2.Addr4(lab.Service), "TUN") +
				restService(vip6, s.r1.Addr6(lab.Service), s.r2.Addr6(lab.Service), "TUN")
			d1, _ := s.start(by, document)

			const one4, two4 = "192.0.2.3:9826 -i -w 1 --tun-type ipip", "192.0.2.4:9826 -i -w 2 --tun-type ipip"
			const one6, two6 = "[2001:db8::3]:9826 -i -w 1 --tun-type ipip", "[2001:db8::4]:9826 -i -w 2 --tun-type ipip"
			rest4 := pool{"-t 192.0.2.100:9826", "-s wrr", []string{one4, two4}}
			rest6 := pool{"-t [2001:db8::100]:9826", "-s wrr", []string{one6, two6}}
			at4, at6 := netip.AddrPortFrom(vip, 9826), netip.AddrPortFrom(vip6, 9826)

			s.d1.WantAddr(vip6, within)
			s.wantPools(s.directors(), rest4, rest6)
			s.wantAnswers(at4, "r1", "r2")
			s.wantAnswers(at6, "r1", "r2")

			s.step("r2 dies")
			two.kill()
			s.wantPools(s.directors(), rest4.with(one4), rest6.with(one6))
			s.wantAnswers(at4, "r1")
			s.wantAnswers(at6, "r1")

			s.step("r2 returns")
			two.start()
			s.wantPools(s.directors(), rest4, rest6)
			s.wantRoles(s.d1, "master")
			s.wantRoles(s.d2, "backup")
			x4, x6 := s.begin(at4), s.begin(at6)
			s.wantKnown(s.d2, x4)
			s.wantKnown(s.d2, x6)

			s.step("d1 loses its power")
			d1.powerOff()
			s.d2.WantAddr(vip, within)
			s.wantRoles(s.d2, "master")
			x4.wantMore()
			x6.wantMore()
			s.wantPools([]*lab.Node{s.d2}, rest4, rest6)
		})
	}
}
