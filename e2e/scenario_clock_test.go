package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F19, S71, of the clocks that count: machines have booted at different times, so no
// two have the same monotonic clock. Nobody compares them; and what the kernel
// does by its own clock, to a daemon that sees another one, comes in time.
func TestF19MachinesBootedAtOtherTimes(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b, c := lan.Node("lb01"), lan.Node("lb02"), lan.Node("lb03")
	watch := lan.Watch(vip)
	da := a.StartMember(lab.Control)
	db := b.StartMemberBooted(40*24*time.Hour, lab.Control)
	dc := c.StartMemberBooted(time.Hour, lab.Control)
	lab.Form(t, trioConf(""), da, db, dc)
	for _, d := range []*lab.Daemon{da, db, dc} {
		wantPeers(t, d, 2)
	}
	watch.WantHolder(a, vip, electionTime+3*masterDown(150))
	lab.During(2 * time.Second)
	watch.All().WantNeverTwo(0, vip)

	killed := time.Now()
	da.KillAll()
	watch.WantHolder(b, vip, masterDown(120)+time.Second)
	watch.Since(killed).WantNeverTwo(0, vip)
	watch.Since(killed).WantDarkAtMost(masterDown(120)+slack, vip)

	lab.During(2 * time.Second)
	stopped := time.Now()
	db.SignalAll(syscall.SIGSTOP)
	watch.WantHolder(c, vip, masterDown(100)+time.Second)
	lab.During(2 * time.Second)
	watch.Since(stopped).WantNeverTwo(0, vip)
	watch.Since(stopped).WantDarkAtMost(masterDown(100)+slack, vip)
}
