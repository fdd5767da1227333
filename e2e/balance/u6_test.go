//go:build guest

package balance_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/e2e/lab"
)

// pair is the VRRP side of two directors: both addresses move together.
const pair = `
vrrp_sync_group VG {
	group {
		V4
		V6
	}
}
vrrp_instance V4 {
	version 3
	interface eth0
	virtual_router_id 51
	advert_int 1
	@d1 priority 150
	@d2 priority 100
	virtual_ipaddress {
		192.0.2.100/32
	}
}
vrrp_instance V6 {
	version 3
	interface eth0
	virtual_router_id 51
	advert_int 1
	@d1 priority 150
	@d2 priority 100
	virtual_ipaddress {
		2001:db8::100/128
	}
}
`

// restService is U6's, in one family.
func restService(vip, r1, r2 netip.Addr, kind string) string {
	const check = `TCP_CHECK {
			connect_timeout 3
			nb_get_retry 3
			retry 1
			delay_before_retry 0.3
		}`
	return fmt.Sprintf(`
virtual_server %v 9826 {
	delay_loop 0.5
	lb_algo wrr
	lb_kind %s
	protocol TCP
	real_server %v 9826 {
		weight 1
		%[5]s
	}
	real_server %[4]v 9826 {
		weight 2
		%[5]s
	}
}
`, vip, kind, r1, r2, check)
}

// U6: a REST service behind two directors that forward to MAC addresses, in both
// families. A real server dies and returns, a weight changes, a director ends and comes
// back; at last it loses its power, and the transfer through it is lost.
func TestU6DirectRouting(t *testing.T) {
	for _, by := range makes {
		t.Run(by.name, func(t *testing.T) {
			s := newSite(t)
			s.direct(vip, vip6)
			talk(t, s.r1, "9826")
			two := talk(t, s.r2, "9826")
			document := pair +
				restService(vip, s.r1.Addr4(lab.Service), s.r2.Addr4(lab.Service), "DR") +
				restService(vip6, s.r1.Addr6(lab.Service), s.r2.Addr6(lab.Service), "DR")
			d1, d2 := s.start(by, document)

			const one4, two4 = "192.0.2.3:9826 -g -w 1", "192.0.2.4:9826 -g -w 2"
			const one6, two6 = "[2001:db8::3]:9826 -g -w 1", "[2001:db8::4]:9826 -g -w 2"
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
			s.wantAnswers(at4, "r2")
			s.wantAnswers(at6, "r2")

			s.step("r2 gets another weight")
			x := s.begin(at4)
			for _, d := range []*director{d1, d2} {
				d.reload(t, strings.ReplaceAll(document, "weight 2", "weight 5"))
			}
			rest4 = rest4.with(one4, "192.0.2.4:9826 -g -w 5")
			rest6 = rest6.with(one6, "[2001:db8::4]:9826 -g -w 5")
			s.wantPools(s.directors(), rest4, rest6)
			x.wantMore()

			s.step("d1 ends")
			d1.stop(t)
			s.d2.WantAddr(vip, within)
			s.d2.WantAddr(vip6, within)
			s.wantPools([]*lab.Node{s.d1})
			s.wantPools([]*lab.Node{s.d2}, rest4, rest6)
			s.wantAnswers(at4, "r1", "r2")
			s.wantAnswers(at6, "r1", "r2")

			s.step("d1 starts again")
			d1.restart()
			s.d1.WantAddr(vip, within)
			s.wantPools(s.directors(), rest4, rest6)
			s.wantAnswers(at4, "r1", "r2")
			s.wantAnswers(at6, "r1", "r2")

			s.step("d1 loses its power during a transfer")
			x = s.begin(at4)
			d1.powerOff()
			s.d2.WantAddr(vip, within)
			x.wantBroken() // there is no lvs_sync_daemon
			s.wantPools([]*lab.Node{s.d2}, rest4, rest6)
			s.wantAnswers(at4, "r1", "r2")
			s.wantAnswers(at6, "r1", "r2")

			s.step("d2 ends")
			d2.stop(t)
			s.wantPools([]*lab.Node{s.d2})
		})
	}
}
