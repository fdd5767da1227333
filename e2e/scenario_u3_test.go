package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// threeForHAProxy is U3's document: a check of a local service, here a file
// that stands for the process, and a file that takes a node out by hand.
func threeForHAProxy(dir, check string) string {
	return fmt.Sprintf(`
global_defs {
	script_user root
}
vrrp_script chk_haproxy {
	@a script "/usr/bin/test -e %[1]s/a.up"
	@b script "/usr/bin/test -e %[1]s/b.up"
	@c script "/usr/bin/test -e %[1]s/c.up"
	interval 1
	%[2]s
}
vrrp_script chk_down {
	@a script "/usr/bin/test ! -e %[1]s/a.down"
	@b script "/usr/bin/test ! -e %[1]s/b.down"
	@c script "/usr/bin/test ! -e %[1]s/c.down"
	interval 1
}
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id 51
	@a priority 101
	@b priority 100
	@c priority 99
	advert_int 1
	virtual_ipaddress {
		%[3]v
	}
	track_script {
		chk_haproxy
		chk_down
	}
}
`, dir, check, vip)
}

func touch(t *testing.T, parts ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(parts...), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, parts ...string) {
	t.Helper()
	if err := os.Remove(filepath.Join(parts...)); err != nil {
		t.Fatal(err)
	}
}

// U3: three machines for HAProxy; a check without weight puts a node in FAULT,
// and so does the touched file.
func TestU3FailedCheckIsAFault(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b, c := lan.Node("a"), lan.Node("b"), lan.Node("c")
	w := lan.Watch(vip)
	dir := a.TempDir()
	for _, n := range []*lab.Node{a, b, c} {
		touch(t, dir, n.Name+".up")
		n.StartStandalone(threeForHAProxy(dir, ""))
	}
	w.WantHolder(a, vip, electionTime)

	remove(t, dir, "a.up")
	w.WantHolder(b, vip, 4*time.Second)
	touch(t, dir, "b.down")
	w.WantHolder(c, vip, 4*time.Second)

	remove(t, dir, "b.down")
	touch(t, dir, "a.up")
	w.WantHolder(a, vip, electionTime+2*time.Second)
	w.All().WantNeverTwo(meeting, vip)
}

// U3 with weights: a failed check costs five points and the next one takes
// over by its higher priority; fall 2 waits for a second failure.
func TestU3FailedCheckCostsPriority(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b, c := lan.Node("a"), lan.Node("b"), lan.Node("c")
	w := lan.Watch(vip)
	dir := a.TempDir()
	for _, n := range []*lab.Node{a, b, c} {
		touch(t, dir, n.Name+".up")
		n.StartStandalone(threeForHAProxy(dir, "weight -5\n\tfall 2\n\trise 1"))
	}
	w.WantHolder(a, vip, electionTime)

	failed := time.Now()
	remove(t, dir, "a.up")
	w.WantHolder(b, vip, 3*time.Second+masterDown(100)+time.Second)
	if took := time.Since(failed); took < time.Second {
		t.Errorf("b took over after %v, want not before a second failed check", took)
	}
	w.All().WantNeverTwo(meeting, vip)
	w.Since(failed).WantDarkAtMost(meeting, vip)

	touch(t, dir, "a.up")
	w.WantHolder(a, vip, 2*time.Second+electionTime)
}
