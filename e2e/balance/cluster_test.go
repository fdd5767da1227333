//go:build guest

package balance_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/e2e/lab"
)

// U6 with two members of a cluster: one edit changes a weight in both kernels, and the
// loss of the holder ends no transfer. When it comes back, it catches up. What one of
// them alone sees down is an alert, and by lvs_agree stays in both kernels.
func TestU6DirectorsOfACluster(t *testing.T) {
	s := newSite(t)
	s.direct(vip)
	talk(t, s.r1, "9826")
	two := talk(t, s.r2, "9826")
	document := "cluster {\n\tlvs_agree\n}\n" + pair + syncDaemon + restService(vip, s.r1.Addr4(lab.Service), s.r2.Addr4(lab.Service), "DR")
	s.step("start")
	m1, m2 := s.d1.StartMember(lab.Control), s.d2.StartMember(lab.Control)
	lab.Form(t, document, m1, m2)
	const one = "192.0.2.3:9826 -g -w 1"
	rest := pool{"-t 192.0.2.100:9826", "-s wrr", []string{one, "192.0.2.4:9826 -g -w 2"}}
	at := netip.AddrPortFrom(vip, 9826)
	s.d1.WantAddr(vip, within)
	s.wantPools(s.directors(), rest)
	s.wantRoles(s.d1, "master")
	s.wantRoles(s.d2, "backup")
	x := s.begin(at)
	s.wantKnown(s.d2, x)

	s.step("a weight changes")
	rest.servers[1] = "192.0.2.4:9826 -g -w 5"
	m2.MustCtl("config", "apply", s.d2.WriteFile("new.conf", strings.Replace(document, "weight 2", "weight 5", 1)), "--yes")
	s.wantPools(s.directors(), rest)
	x.wantMore()

	s.step("d1 loses its power")
	lost := &director{Process: m1.Process, Node: s.d1}
	lost.powerOff()
	s.d2.WantAddr(vip, within)
	s.wantRoles(s.d2, "master")
	x.wantMore()
	s.wantPools([]*lab.Node{s.d2}, rest)
	s.wantAnswers(at, "r1", "r2")

	s.step("r2 dies")
	two.kill()
	s.wantPools([]*lab.Node{s.d2}, rest.with(one))

	s.step("d1 comes back")
	s.d1.RestoreLink(lab.Service)
	s.d1.RestoreLink(lab.Control)
	m1.Restart()
	s.d1.WantAddr(vip, within)
	s.d2.WantNoAddr(vip, within)
	s.wantPools(s.directors(), rest.with(one))
	s.wantRoles(s.d1, "master")
	s.wantRoles(s.d2, "backup")
	s.wantAnswers(at, "r1")
	for _, m := range []*lab.Daemon{m1, m2} {
		lab.Want(t, within, s.now+": haclusterctl services on "+m.Node.Name+" shows that a server is down", func() (string, bool) {
			shown := m.MustCtl("services")
			return shown, strings.Contains(shown, "192.0.2.4:9826") && strings.Contains(shown, "1 of 2 servers down")
		})
	}

	s.step("r2 returns, and d1 alone loses its way to it")
	two.start()
	s.wantPools(s.directors(), rest)
	route := []string{"ip", "route", "add", "unreachable", "192.0.2.4/32"}
	must(t, s.d1, route...)
	for _, m := range []*lab.Daemon{m1, m2} {
		// Directors that do not hear each other for a while begin to count anew.
		lab.Want(t, 3*within, s.now+": an alert on "+m.Node.Name, func() (string, bool) {
			shown := m.MustCtl("alerts")
			return shown, strings.Contains(shown, "d1 sees 192.0.2.4:9826 of tcp 192.0.2.100:9826 down, d2 sees it up")
		})
	}
	lab.Want(t, within, s.now+": haclusterctl services says that d1 keeps the server", func() (string, bool) {
		shown := m2.MustCtl("services")
		return shown, strings.Contains(shown, "1 of 2 directors (lvs_agree)")
	})
	s.wantPools(s.directors(), rest)

	s.step("d1 has its way again")
	route[2] = "delete"
	must(t, s.d1, route...)
	lab.Want(t, 2*within, s.now+": no alert on d2", func() (string, bool) {
		shown := m2.MustCtl("alerts")
		return shown, !strings.Contains(shown, "partial_failure")
	})
}
