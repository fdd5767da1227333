package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// U1: one VIP, two machines. Own multicast group, VRID 103, PASS, priorities
// 100 and 95, a VIP without a mask, notify scripts.
func TestU1OneVIPTwoMachines(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip)
	journal := a.TempDir() + "/notified"
	notify := a.WriteScript("notify", fmt.Sprintf(`echo "$@" >> %s`, journal))
	conf := fmt.Sprintf(`
global_defs {
	@a router_id LB01
	@b router_id LB02
	vrrp_mcast_group4 224.0.0.66
	script_user root
}
vrrp_instance VI_1 {
	@a state MASTER
	@b state BACKUP
	interface eth0
	virtual_router_id 103
	@a priority 100
	@b priority 95
	advert_int 1
	authentication {
		auth_type PASS
		auth_pass 1111
	}
	virtual_ipaddress {
		%v
	}
	notify_master "%[2]s master %[3]s"
	notify_backup "%[2]s backup %[3]s"
	notify_fault "%[2]s fault %[3]s"
}
`, vip, notify, "$NODE")
	of := func(n *lab.Node) string { return strings.ReplaceAll(conf, "$NODE", n.Name) }

	master := a.StartStandalone(of(a))
	b.StartStandalone(of(b))
	w.WantHolder(a, vip, electionTime)
	if got, _ := a.Address(vip); got.Prefix != netip.PrefixFrom(vip, 32) {
		t.Errorf("VIP is %v on a, want a /32", got.Prefix)
	}
	for _, advert := range w.All().Adverts(4, 103) {
		if advert.Dst != netip.MustParseAddr("224.0.0.66") || advert.AuthType != 1 || advert.TTL != 255 {
			t.Fatalf("advert %+v, want group 224.0.0.66, PASS, TTL 255", advert)
		}
	}
	wantLine(t, journal, "master a")
	settled := reigning(w, a, 4, 103)

	left := time.Now()
	master.Stop(5 * time.Second)
	w.WantHolder(b, vip, 3*time.Second)
	wantTakeover(t, w.Since(settled), 4, 103, a, b, skew(95))
	wantLine(t, journal, "master b")
	if len(w.Since(left).Announcements(vip)) == 0 {
		t.Error("b announced nothing")
	}

	master.Restart()
	w.WantHolder(a, vip, electionTime)
	wantLine(t, journal, "backup b")
	w.All().WantNeverTwo(meeting, vip)
	wantReigns(t, w.Since(settled), 4, 103, a, b, a)
}

// wantLine waits until a file has a line.
func wantLine(t *testing.T, path, line string) {
	t.Helper()
	lab.Want(t, 3*time.Second, fmt.Sprintf("%s has the line %q", path, line), func() (string, bool) {
		text, err := os.ReadFile(path)
		if err != nil {
			return err.Error(), false
		}
		return string(text), strings.Contains("\n"+string(text), "\n"+line+"\n")
	})
}
