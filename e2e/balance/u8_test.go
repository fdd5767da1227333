//go:build guest

package balance_test

import (
	"crypto/md5"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/e2e/lab"
)

// gateways are the virtual addresses of the inner network, which real servers behind
// NAT have as their gateway. They move with the outer ones.
var (
	gateway  = netip.MustParseAddr("198.51.100.100")
	gateway6 = netip.MustParseAddr("2001:db8:1::100")
)

// routers is the VRRP side of two directors between two networks, which call scripts.
var routers = "global_defs {\n\tscript_user root\n}\n" +
	vrrp("192.0.2.100/32\n198.51.100.100/32 dev eth1", "2001:db8::100/128\n2001:db8:1::100/128 dev eth1")

// behind puts the real servers behind the directors: they are on the inner network
// alone.
func (s *site) behind(reals ...*lab.Node) {
	s.t.Helper()
	for _, d := range s.directors() {
		d.Sysctl("ipv4/ip_forward", "1")
		d.Sysctl("ipv6/conf/all/forwarding", "1")
	}
	for _, r := range reals {
		r.SetLink("eth0", false)
		must(s.t, r, "ip", "route", "add", "default", "via", gateway.String())
		must(s.t, r, "ip", "-6", "route", "add", "default", "via", gateway6.String())
	}
}

// webPool is U8's services: real servers are checked in each way that USERS has, and
// call a script when they come and go.
func webPool(notify, misc string) string {
	const check = `connect_timeout 3
			retry 1
			delay_before_retry 0.3`
	real := func(name, address, port, checker string) string {
		return fmt.Sprintf(`
	real_server %s %s {
		weight 1
		notify_up "%s %s up"
		notify_down "%[3]s %[4]s down"
		%[5]s
	}`, address, port, notify, name, checker)
	}
	page := fmt.Sprintf(`HTTP_GET {
			url {
				path /page
				digest %x
			}
			url {
				path /status
				status_code 200
			}
			%s
		}`, md5.Sum([]byte(goodPage)), check)
	status := "HTTP_GET {\nurl {\npath /status\nstatus_code 200\n}\n" + check + "\n}"
	secure := "SSL_GET {\nurl {\npath /page\nstatus_code 200\n}\n" + check + "\n}"
	mail := "SMTP_CHECK {\n" + check + "\n}"
	file := func(name string) string {
		return fmt.Sprintf("MISC_CHECK {\nmisc_path \"/usr/bin/test -e %s\"\nmisc_timeout 3\n}", filepath.Join(misc, name))
	}
	service := func(at, lines string, reals ...string) string {
		return fmt.Sprintf(`
virtual_server %s {
	delay_loop 1
	lb_algo rr
	lb_kind NAT
	protocol TCP
	%s
	%s
}`, at, lines, strings.Join(reals, ""))
	}
	return service("192.0.2.100 80",
		"persistence_timeout 50\nsorry_server 198.51.100.6 80\nquorum_up \""+notify+" web quorum\"\nquorum_down \""+notify+" web no quorum\"",
		real("web r1", "198.51.100.3", "80", page), real("web r2", "198.51.100.4", "80", page)) +
		service("2001:db8::100 80", "",
			real("web6 r1", "2001:db8:1::3", "80", status), real("web6 r2", "2001:db8:1::4", "80", status)) +
		service("192.0.2.100 443", "",
			real("secure r1", "198.51.100.3", "8443", secure), real("secure r2", "198.51.100.4", "8443", secure)) +
		service("192.0.2.100 25", "",
			real("mail r1", "198.51.100.3", "25", mail), real("mail r2", "198.51.100.4", "25", mail)) +
		service("192.0.2.100 9826", "inhibit_on_failure",
			real("talk r1", "198.51.100.3", "9826", file("r1")), real("talk r2", "198.51.100.4", "9826", file("r2")))
}

// U8: web servers behind NAT with a page, a status, a mail server and a script to go
// by, persistence and a sorry server. Each director tells its scripts.
func TestU8WebPool(t *testing.T) {
	for _, by := range makes {
		t.Run(by.name, func(t *testing.T) {
			s := newSite(t)
			spare := s.lan.Node("spare") // number 6: the sorry server
			s.behind(s.r1, s.r2, spare)
			one, two := serveWeb(t, s.r1), serveWeb(t, s.r2)
			serveWeb(t, spare)
			serveMail(t, s.r1)
			mail := serveMail(t, s.r2)
			talk(t, s.r1, "9826")
			talk(t, s.r2, "9826")
			misc := s.r1.TempDir()
			touch := func(name string) {
				if err := os.WriteFile(filepath.Join(misc, name), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			touch("r1")
			touch("r2")
			n1, n2 := newNotes(s.d1), newNotes(s.d2)
			// A director finds its scripts in lines of its own.
			document := routers + syncDaemon + "@d1 $NOTIFY=" + n1.script + "\n@d2 $NOTIFY=" + n2.script + "\n" + webPool("$NOTIFY", misc)
			d1, _ := s.start(by, document)
			wantNotes := func(want ...string) {
				t.Helper()
				s.wantNotes(n1, want...)
				s.wantNotes(n2, want...)
			}

			const r1, r2, sorry = "198.51.100.3:80 -m -w 1", "198.51.100.4:80 -m -w 1", "198.51.100.6:80 -m -w 1"
			const six1, six2 = "[2001:db8:1::3]:80 -m -w 1", "[2001:db8:1::4]:80 -m -w 1"
			web4 := pool{"-t 192.0.2.100:80", "-s rr -p 50", []string{r1, r2}}
			web6 := pool{"-t [2001:db8::100]:80", "-s rr", []string{six1, six2}}
			secure := pool{"-t 192.0.2.100:443", "-s rr", []string{"198.51.100.3:8443 -m -w 1", "198.51.100.4:8443 -m -w 1"}}
			mails := pool{"-t 192.0.2.100:25", "-s rr", []string{"198.51.100.3:25 -m -w 1", "198.51.100.4:25 -m -w 1"}}
			talks := pool{"-t 192.0.2.100:9826", "-s rr", []string{"198.51.100.3:9826 -m -w 1", "198.51.100.4:9826 -m -w 1"}}
			port := func(p uint16) netip.AddrPort { return netip.AddrPortFrom(vip, p) }
			at6 := netip.AddrPortFrom(vip6, 80)
			page := func(to netip.AddrPort) asker {
				return func(source netip.Addr) (string, error) { return browse(s.client, source, "http", to) }
			}

			s.d1.WantAddr(gateway6, within)
			s.wantPools(s.directors(), web4, web6, secure, mails, talks)
			wantNotes("web quorum")
			s.wantBrowsed("http", port(80), "r1 r2")
			s.wantBrowsed("http", at6, "r1 r2")
			s.wantBrowsed("https", port(443), "r1 r2")
			s.wantAnswers(port(9826), "r1", "r2")

			s.step("r1 has another status")
			one.say(goodPage, http.StatusInternalServerError)
			s.wantPools(s.directors(), web4.with(r2), web6.with(six2), secure, mails, talks)
			wantNotes("web r1 down", "web6 r1 down")
			s.wantBrowsed("http", port(80), "r2")
			s.wantBrowsed("http", at6, "r2")

			s.step("r2 has another page")
			two.say("oops\n", http.StatusOK)
			s.wantPools(s.directors(), web4.with(sorry), web6.with(six2), secure, mails, talks)
			wantNotes("web r2 down", "web no quorum")
			s.wantBrowsed("http", port(80), "spare")

			s.step("both are well again")
			one.say(goodPage, http.StatusOK)
			two.say(goodPage, http.StatusOK)
			s.wantPools(s.directors(), web4, web6, secure, mails, talks)
			wantNotes("web r1 up", "web r2 up", "web6 r1 up", "web quorum")
			s.wantBrowsed("http", port(80), "r1 r2")

			s.step("r2 has no HTTPS, no mail and no file")
			two.secure.Close()
			mail.Close()
			if err := os.Remove(filepath.Join(misc, "r2")); err != nil {
				t.Fatal(err)
			}
			s.wantPools(s.directors(), web4, web6, secure.with(secure.servers[0]), mails.with(mails.servers[0]),
				talks.with(talks.servers[0], "198.51.100.4:9826 -m -w 0"))
			wantNotes("secure r2 down", "mail r2 down", "talk r2 down")
			s.wantBrowsed("https", port(443), "r1")
			s.wantAnswers(port(9826), "r1")

			s.step("r2 has them again")
			two.startSecure(t)
			serveMail(t, s.r2)
			touch("r2")
			s.wantPools(s.directors(), web4, web6, secure, mails, talks)
			wantNotes("secure r2 up", "mail r2 up", "talk r2 up")

			s.step("clients have their server")
			x := s.begin(port(9826))
			kept := s.settle(page(port(80)))
			s.wantKnown(s.d2, x)

			s.step("d1 loses its power")
			d1.powerOff()
			s.d2.WantAddr(gateway, within)
			x.wantMore()
			s.wantKept(page(port(80)), kept)
			s.wantBrowsed("http", at6, "r1 r2")
			s.wantPools([]*lab.Node{s.d2}, web4, web6, secure, mails, talks)
			s.wantNotes(n2)
		})
	}
}
