//go:build guest

package balance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hacluster/hacluster/e2e/lab"
)

// balancer is a program that balances.
type balancer struct {
	name  string
	start func(n *lab.Node, document string) *director
}

// makes are the two programs that each story is told with: what keepalived does is
// the reference.
var makes = []balancer{
	{"haclusterd", startHacluster},
	{"keepalived", startKeepalived},
}

// director is a program that balances on a node.
type director struct {
	*lab.Process
	*lab.Node
	document string // file
	again    func() *lab.Process
}

func startHacluster(n *lab.Node, document string) *director {
	d := n.StartStandalone(document)
	return &director{Process: d.Process, Node: n, document: d.Conf, again: func() *lab.Process {
		d.Restart()
		return d.Process
	}}
}

func startKeepalived(n *lab.Node, document string) *director {
	dir := n.TempDir()
	d := &director{Node: n, document: n.WriteFile("keepalived.conf", document)}
	d.again = func() *lab.Process {
		return n.Start(lab.KeepalivedPath, "-D", "-n", "-l", "-i", n.Name, "-f", d.document,
			"-p", filepath.Join(dir, "parent"), "-r", filepath.Join(dir, "vrrp"), "-c", filepath.Join(dir, "checkers"))
	}
	d.Process = d.again()
	return d
}

// start runs a program on both directors. The second comes when the first holds the
// address, so that it begins as the backup.
func (s *site) start(p balancer, document string) (d1, d2 *director) {
	s.t.Helper()
	s.step("start")
	d1 = p.start(s.d1, document)
	s.d1.WantAddr(vip, within)
	return d1, p.start(s.d2, document)
}

// vrrp is the VRRP side of two directors: the addresses of both families move
// together.
func vrrp(addresses4, addresses6 string) string {
	instance := func(name, addresses string) string {
		return fmt.Sprintf(`
vrrp_instance %s {
	version 3
	interface eth0
	virtual_router_id 51
	advert_int 1
	@d1 priority 150
	@d2 priority 100
	virtual_ipaddress {
		%s
	}
}
`, name, addresses)
	}
	return "vrrp_sync_group VG {\ngroup {\nV4\nV6\n}\n}\n" + instance("V4", addresses4) + instance("V6", addresses6)
}

// pair is that with one address of each family.
var pair = vrrp("192.0.2.100/32", "2001:db8::100/128")

// restart starts the program again, after it has ended.
func (d *director) restart() { d.Process = d.again() }

// reload makes the program run another document.
func (d *director) reload(t *testing.T, document string) {
	t.Helper()
	if err := os.WriteFile(d.document, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Signal(syscall.SIGHUP)
}

// stop ends the program politely.
func (d *director) stop(t *testing.T) {
	t.Helper()
	if exit := d.Stop(within); exit != 0 {
		t.Errorf("%s ended with status %d", d.Process.Name, exit)
	}
}

// pool is a virtual service with its servers, as ipvsadm writes them.
type pool struct {
	service  string   // -t 192.0.2.100:80
	settings string   // -s rr
	servers  []string // 192.0.2.3:80 -g -w 1
}

// with is the pool with other servers.
func (p pool) with(servers ...string) pool {
	p.servers = servers
	return p
}

// rows are what ipvsadm -Sn prints of the pools, in order.
func rows(pools []pool) []string {
	var all []string
	for _, p := range pools {
		all = append(all, "-A "+p.service+" "+p.settings)
		for _, r := range p.servers {
			all = append(all, "-a "+p.service+" -r "+r)
		}
	}
	slices.Sort(all)
	return all
}

// wantPools waits until the kernels of the nodes have these services and no other.
func (s *site) wantPools(nodes []*lab.Node, pools ...pool) {
	s.t.Helper()
	want := rows(pools)
	for _, n := range nodes {
		lab.Want(s.t, within, fmt.Sprintf("%s: %s has the table\n%s\n", s.now, n.Name, strings.Join(want, "\n")), func() (string, bool) {
			var got []string
			for line := range strings.Lines(must(s.t, n, "ipvsadm", "-Sn")) {
				got = append(got, strings.TrimSpace(line))
			}
			slices.Sort(got)
			return "\n" + strings.Join(got, "\n"), slices.Equal(got, want)
		})
	}
}
