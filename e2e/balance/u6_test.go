//go:build guest

package balance_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/e2e/lab"
)

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

// rest is U6's story: the service in both families, before two directors.
type rest struct {
	*site
	document string
	one, two *director
	server   *talker // on r2, which dies
	v4, v6   pool    // with both servers
	at4, at6 netip.AddrPort
}

// startRest starts the story with real servers that are reached in one way, and with
// further lines for the directors, and waits until all is served.
func (s *site) startRest(by balancer, kind, lines string) *rest {
	s.t.Helper()
	s.direct(vip, vip6)
	talk(s.t, s.r1, "9826")
	options := map[string]string{"DR": "-g -w %d", "TUN": "-i -w %d --tun-type ipip"}[kind]
	served := func(service, first, second string) pool {
		return pool{service, "-s wrr", []string{first + " " + fmt.Sprintf(options, 1), second + " " + fmt.Sprintf(options, 2)}}
	}
	r := &rest{
		site:   s,
		server: talk(s.t, s.r2, "9826"),
		document: pair + lines +
			restService(vip, s.r1.Addr4(lab.Service), s.r2.Addr4(lab.Service), kind) +
			restService(vip6, s.r1.Addr6(lab.Service), s.r2.Addr6(lab.Service), kind),
		v4:  served("-t 192.0.2.100:9826", "192.0.2.3:9826", "192.0.2.4:9826"),
		v6:  served("-t [2001:db8::100]:9826", "[2001:db8::3]:9826", "[2001:db8::4]:9826"),
		at4: netip.AddrPortFrom(vip, 9826),
		at6: netip.AddrPortFrom(vip6, 9826),
	}
	r.one, r.two = s.start(by, r.document)
	s.d1.WantAddr(vip6, within)
	r.wantServed(s.directors()...)
	return r
}

// wantServed waits until the service is in the kernels of the nodes, and both servers
// answer.
func (r *rest) wantServed(nodes ...*lab.Node) {
	r.t.Helper()
	r.wantPools(nodes, r.v4, r.v6)
	r.wantAnswers(r.at4, "r1", "r2")
	r.wantAnswers(r.at6, "r1", "r2")
}

// loseServer has r2 die and return.
func (r *rest) loseServer() {
	r.t.Helper()
	r.step("r2 dies")
	r.server.kill()
	r.wantPools(r.directors(), r.v4.with(r.v4.servers[0]), r.v6.with(r.v6.servers[0]))
	r.wantAnswers(r.at4, "r1")
	r.wantAnswers(r.at6, "r1")

	r.step("r2 returns")
	r.server.start()
	r.wantServed(r.directors()...)
}

// U6: a REST service behind two directors that forward to MAC addresses, in both
// families. A real server dies and returns, a weight changes, a director ends and comes
// back; at last it loses its power, and the transfer through it is lost.
func TestU6DirectRouting(t *testing.T) {
	for _, by := range makes {
		t.Run(by.name, func(t *testing.T) {
			s := newSite(t).startRest(by, "DR", "")
			s.loseServer()

			s.step("r2 gets another weight")
			x := s.begin(s.at4)
			for _, d := range []*director{s.one, s.two} {
				d.reload(t, strings.ReplaceAll(s.document, "weight 2", "weight 5"))
			}
			s.v4 = s.v4.with(s.v4.servers[0], "192.0.2.4:9826 -g -w 5")
			s.v6 = s.v6.with(s.v6.servers[0], "[2001:db8::4]:9826 -g -w 5")
			s.wantPools(s.directors(), s.v4, s.v6)
			x.wantMore()

			s.step("d1 ends")
			s.one.stop(t)
			s.d2.WantAddr(vip, within)
			s.d2.WantAddr(vip6, within)
			s.wantPools([]*lab.Node{s.d1})
			s.wantServed(s.d2)

			s.step("d1 starts again")
			s.one.restart()
			s.d1.WantAddr(vip, within)
			s.wantServed(s.directors()...)

			s.step("d1 loses its power during a transfer")
			x = s.begin(s.at4)
			s.one.powerOff()
			s.d2.WantAddr(vip, within)
			x.wantBroken() // there is no lvs_sync_daemon
			s.wantServed(s.d2)

			s.step("d2 ends")
			s.two.stop(t)
			s.wantPools([]*lab.Node{s.d2})
		})
	}
}
