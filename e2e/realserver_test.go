package e2e

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// realServer is a machine that runs no daemon: haclusterctl alone works on it.
type realServer struct {
	t    *testing.T
	node *lab.Node
	dir  string
}

func (s realServer) ctl(args ...string) lab.Result {
	s.t.Helper()
	line := append([]string{lab.Binary(s.t, "haclusterctl"), "--socket=" + filepath.Join(s.dir, "none"), "realserver", "--data-dir=" + s.dir}, args...)
	return s.node.Run(line...)
}

func (s realServer) must(args ...string) string {
	s.t.Helper()
	r := s.ctl(args...)
	if r.Exit != 0 {
		s.t.Fatalf("haclusterctl realserver %s: %v", strings.Join(args, " "), r)
	}
	return r.Stdout
}

// setting is a value below /proc/sys/net/ipv4/conf.
func (s realServer) setting(name string) string {
	s.t.Helper()
	return strings.TrimSpace(s.node.Run("cat", "/proc/sys/net/ipv4/conf/"+name).Stdout)
}

// The machine takes what is sent to its MAC address for the virtual ones, as a
// director with DR does it, and no neighbour learns that it has them. Down leaves
// the machine as it was.
func TestRealServerServesWithoutBeingSeen(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	web := realServer{t, lan.Host("web1"), t.TempDir()}
	director := lan.Host("lb01")
	vips := []netip.Addr{vip, vip6}
	web.node.Sysctl("ipv4/conf/all/arp_announce", "1")

	web.must("up", vip.String(), vip6.String())
	for _, addr := range vips {
		if answers(director, addr) {
			t.Errorf("%s answers for %v to whoever asks the network", web.node.Name, addr)
		}
		learn(t, director, addr, web.node)
		if !answers(director, addr) {
			t.Errorf("%s does not take what is sent to it for %v", web.node.Name, addr)
		}
	}
	if out := web.must("up", vip.String()); strings.Contains(out, "added") || strings.Contains(out, "was ") {
		t.Errorf("the second time changes something:\n%s", out)
	}

	// What somebody takes away is a finding, and restore is what the unit runs at boot.
	web.node.Run("ip", "address", "delete", vip.String()+"/32", "dev", "lo")
	if r := web.ctl("status", "--exit-code"); r.Exit != 1 || !strings.Contains(r.Stdout, "it is not on lo") {
		t.Errorf("status of what is missing: %v", r)
	}
	web.must("restore")
	if r := web.ctl("status", "--exit-code", "-o", "json"); r.Exit != 0 || !strings.Contains(r.Stdout, `"state": "UP"`) {
		t.Errorf("status: %v", r)
	}

	web.must("down", "--all")
	for _, addr := range vips {
		if web.node.Has(addr) {
			t.Errorf("%v is still there", addr)
		}
	}
	if ignore, announce := web.setting("all/arp_ignore"), web.setting("all/arp_announce"); ignore != "0" || announce != "1" {
		t.Errorf("arp_ignore %s, arp_announce %s; want 0 and 1, as before", ignore, announce)
	}
}

// answers reports whether an address answers a ping from a machine.
func answers(from *lab.Node, addr netip.Addr) bool {
	return from.Run("ping", "-c", "1", "-W", "2", addr.String()).Exit == 0
}

// learn has a machine send to another one's MAC address for an address.
func learn(t *testing.T, from *lab.Node, addr netip.Addr, to *lab.Node) {
	t.Helper()
	mac := to.MAC(lab.Service).String()
	if r := from.Run("ip", "neighbour", "replace", addr.String(), "lladdr", mac, "nud", "permanent", "dev", lab.Service.Interface()); r.Exit != 0 {
		t.Fatalf("ip neighbour: %v", r)
	}
}

func TestRealServerRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	web := realServer{t, lab.New(t).Host("web1"), t.TempDir()}
	for _, tt := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"up"}, 2, "usage: haclusterctl realserver up VIP…"},
		{[]string{"up", "web"}, 2, `"web" is no address; use for example 192.0.2.100`},
		{[]string{"up", "192.0.2.0/24"}, 2, `"192.0.2.0/24" is no address`},
		{[]string{"up", "224.0.0.18"}, 2, "cannot be a virtual address"},
		{[]string{"up", "fe80::1%eth0"}, 2, "cannot be a virtual address"},
		{[]string{"up", "192.0.2.100", "--tunnel", "--device=gre1"}, 2, "use one of them"},
		{[]string{"up", "192.0.2.100", "--device=eth0"}, 1, "eth0 answers ARP"},
		{[]string{"up", "192.0.2.100", "--device=gre1"}, 1, "there is no device gre1; make the tunnel first"},
	} {
		if r := web.ctl(tt.args...); r.Exit != tt.exit || !strings.Contains(r.Stderr, tt.want) {
			t.Errorf("%s: %v\nwant exit %d, %s", strings.Join(tt.args, " "), r, tt.exit, tt.want)
		}
	}
	if web.node.Has(vip) || web.setting("all/arp_ignore") != "0" {
		t.Error("a refusal has changed something")
	}
	for _, verb := range []string{"up", "down", "status"} {
		r := web.node.RunAs(lab.Nobody, lab.Binary(t, "haclusterctl"), "realserver", verb, vip.String())
		if r.Exit != 3 || !strings.Contains(r.Stderr, "needs root (use sudo)") {
			t.Errorf("%s without root: %v", verb, r)
		}
	}
}

// A machine that holds the address at times is a director of it: what another
// director sends it while it is a backup would be balanced again, or dropped.
func TestDirectorIsNoRealServerOfItsOwnAddress(t *testing.T) {
	t.Parallel()
	d := lab.New(t).Node("a").StartStandalone(twoNodes(3, 200, 100, vip, ""))
	d.WantSocket(10 * time.Second)
	d.Node.WantAddr(vip, 10*time.Second)
	dir := "--data-dir=" + t.TempDir()
	if r := d.Ctl("realserver", "up", vip.String(), dir); r.Exit != 1 || !strings.Contains(r.Stderr, "this machine is a director of "+vip.String()) {
		t.Errorf("up: %v\nwant it refused", r)
	}
	if r := d.Ctl("realserver", "up", "192.0.2.101", dir); r.Exit != 0 {
		t.Errorf("up of another address: %v", r)
	}
}
