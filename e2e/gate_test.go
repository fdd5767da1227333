package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// The kernel gate: a holder that hangs or dies is silent before any other one takes
// over, at every interval, although its address is still on its interface.
func TestGateSilencesAHolderBeforeAnotherTakesOver(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 100 * time.Millisecond} {
		for _, fault := range []struct {
			name   string
			strike func(*lab.Daemon)
			goesOn bool
		}{
			{"stopped", func(d *lab.Daemon) { d.SignalAll(syscall.SIGSTOP) }, true},
			{"killed", (*lab.Daemon).KillAll, false},
		} {
			t.Run(fmt.Sprintf("%s at %v", fault.name, interval), func(t *testing.T) {
				t.Parallel()
				lan := lab.New(t)
				na, nb := lan.Node("a"), lan.Node("b")
				w := lan.Watch(vip)
				conf := strings.Replace(twoNodes(3, 150, 100, vip, ""), "advert_int 1", fmt.Sprintf("advert_int %v", interval.Seconds()), 1)
				a, b := na.StartStandalone(conf), nb.StartStandalone(conf)
				w.WantHolder(na, vip, electionTime)
				settled := reigning(w, na, 4, 51)

				broken := time.Now()
				fault.strike(a)
				down := 3*interval + interval*(256-100)/256
				w.WantHolder(nb, vip, down+time.Second)
				if interval < time.Second && !na.Has(vip) {
					t.Error("the address was gone already: this shows nothing of the gate")
				}
				// For as long as the address is there, and while it goes.
				na.WantNoAddr(vip, leaseEnds)
				w.Since(settled).WantNeverTwo(0, vip)
				w.Since(broken).WantDarkAtMost(down+slack, vip)
				wantReigns(t, w.Since(settled), 4, 51, a.Node, b.Node)

				if !fault.goesOn {
					return
				}
				// What it has in mind when it goes on is void.
				resumed := time.Now()
				a.SignalAll(syscall.SIGCONT)
				lab.During(2 * interval)
				w.Since(resumed).WantNeverTwo(0, vip)
				w.WantHolder(nb, vip, time.Second)
			})
		}
	}
}
