package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// U4: dual master: two instances with crossed priorities, so that no machine
// idles.
func TestU4DualMaster(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip, vip2)
	conf := fmt.Sprintf(`
vrrp_instance VI_1 {
	@a state MASTER
	@b state BACKUP
	interface eth0
	virtual_router_id 51
	@a priority 150
	@b priority 100
	virtual_ipaddress {
		%v/24 dev eth0
	}
}
vrrp_instance VI_2 {
	@a state BACKUP
	@b state MASTER
	interface eth0
	virtual_router_id 52
	@a priority 100
	@b priority 150
	virtual_ipaddress {
		%v/24 dev eth0
	}
}
`, vip, vip2)
	a.StartStandalone(conf)
	second := b.StartStandalone(conf)
	w.WantHolder(a, vip, electionTime)
	w.WantHolder(b, vip2, electionTime)
	settled := reigning(w, a, 4, 51)

	second.Stop(5 * time.Second)
	w.WantHolder(a, vip2, 3*time.Second)
	w.WantHolder(a, vip, time.Second)

	second.Restart()
	w.WantHolder(b, vip2, electionTime)
	w.WantHolder(a, vip, time.Second)
	w.All().WantNeverTwo(meeting, vip, vip2)
	wantReigns(t, w.Since(settled), 4, 51, a)
}
