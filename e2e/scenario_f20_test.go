package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F20: somebody else on the segment uses our virtual_router_id, with a higher
// priority and an address of his own. Plain VRRP would follow him and go dark.
func TestF20AnotherClusterWithTheSameVRID(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	theirs := netip.MustParseAddr("192.0.2.222")
	stranger := s.lan.Node("stranger")
	came := time.Now()
	stranger.StartKeepalived(fmt.Sprintf(`
vrrp_instance THEIRS {
	interface eth0
	virtual_router_id 51
	priority 250
	advert_int 1
	virtual_ipaddress {
		%v
	}
}
`, theirs))
	lab.Want(t, 10*time.Second, "the stranger holds his own address", func() (string, bool) { return "", stranger.Has(theirs) })
	wantAlert(t, s.db, 15*time.Second, "foreign_master", stranger.Addr4(lab.Service).String())
	lab.During(3 * time.Second)
	s.watch.WantHolder(s.a, vip, time.Second)
	view := s.watch.Since(came)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
}

// R10: a keepalived that shares our address is followed, so that machines can
// move from it one by one; and said.
func TestMigrationFromKeepalivedIsFollowedUnlisted(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	old := s.lan.Node("old")
	keepalived := old.StartKeepalived(fmt.Sprintf(`
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id 51
	priority 250
	advert_int 1
	virtual_ipaddress {
		%v
	}
}
`, vip))
	s.watch.WantHolder(old, vip, electionTime)
	s.watch.All().WantNeverTwo(meeting, vip)
	keepalived.Stop(8 * time.Second)
	s.watch.WantHolder(s.a, vip, electionTime)
	s.watch.All().WantNeverTwo(meeting, vip)
}
