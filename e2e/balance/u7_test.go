//go:build guest

package balance_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/hacluster/hacluster/e2e/lab"
)

// ftp is U7's service: what carries mark 300 in one family.
func ftp(r1, r2 netip.Addr) string {
	const check = `TCP_CHECK {
			connect_timeout 3
			retry 1
			delay_before_retry 0.3
		}`
	return fmt.Sprintf(`
virtual_server fwmark 300 {
	delay_loop 0.5
	lb_algo wlc
	lb_kind DR
	persistence_timeout 900
	real_server %v 9814 {
		%[3]s
	}
	real_server %[2]v 9814 {
		%[3]s
	}
}
`, r1, r2, check)
}

// mark has a director's kernel mark packets to the virtual addresses, as people do
// it by hand.
func (s *site) mark(d *lab.Node) {
	s.t.Helper()
	for program, to := range map[string]netip.Addr{"iptables-legacy": vip, "ip6tables-legacy": vip6} {
		must(s.t, d, program, "-t", "mangle", "-A", "PREROUTING", "-d", to.String(), "-p", "tcp",
			"-m", "multiport", "--dports", "9814,8000:10000", "-j", "MARK", "--set-mark", "300")
	}
}

// U7: FTP's two connections go to the same real server, because the packets of both
// have the same mark and the service is persistent. A transfer outlives the director.
func TestU7FTPByMark(t *testing.T) {
	for _, by := range makes {
		t.Run(by.name, func(t *testing.T) {
			s := newSite(t)
			s.direct(vip, vip6)
			s.mark(s.d1)
			s.mark(s.d2)
			talk(t, s.r1, "9814")
			talk(t, s.r1, "8005")
			two := talk(t, s.r2, "9814")
			talk(t, s.r2, "8005")
			document := pair + syncDaemon +
				ftp(s.r1.Addr4(lab.Service), s.r2.Addr4(lab.Service)) + ftp(s.r1.Addr6(lab.Service), s.r2.Addr6(lab.Service))
			d1, _ := s.start(by, document)
			const one4, two4 = "192.0.2.3:0 -g -w 1", "192.0.2.4:0 -g -w 1"
			const one6, two6 = "[2001:db8::3]:0 -g -w 1", "[2001:db8::4]:0 -g -w 1"
			marked4 := pool{"-f 300", "-s wlc -p 900", []string{one4, two4}}
			marked6 := pool{"-f 300 -6", "-s wlc -p 900", []string{one6, two6}}
			port := func(to netip.Addr, port uint16) asker {
				return func(source netip.Addr) (string, error) {
					return answer(s.client, source, netip.AddrPortFrom(to, port))
				}
			}

			s.d1.WantAddr(vip6, within)
			s.wantPools(s.directors(), marked4, marked6)
			x := s.begin(netip.AddrPortFrom(vip, 9814))
			kept := s.settle(port(vip, 9814))
			s.wantKept(port(vip, 8005), kept)
			who, err := port(vip6, 9814)(netip.Addr{})
			if err != nil {
				t.Fatal(err)
			}
			kept6 := map[netip.Addr]string{{}: who}
			s.wantKept(port(vip6, 8005), kept6)
			if who, err := port(vip, 7999)(netip.Addr{}); err == nil {
				t.Errorf("port 7999, which has no mark, is answered by %s", who)
			}
			s.wantKnown(s.d2, x)

			s.step("d1 loses its power")
			d1.powerOff()
			s.d2.WantAddr(vip, within)
			x.wantMore()
			s.wantKept(port(vip, 8005), kept)
			s.wantKept(port(vip, 9814), kept)

			s.step("r2 dies")
			two.kill()
			d2 := []*lab.Node{s.d2}
			s.wantPools(d2, marked4.with(one4), marked6.with(one6))
			s.wantAnswers(netip.AddrPortFrom(vip, 8005), "r1")
			s.wantAnswers(netip.AddrPortFrom(vip6, 8005), "r1")

			s.step("r2 returns")
			two.start()
			s.wantPools(d2, marked4, marked6)
		})
	}
}
