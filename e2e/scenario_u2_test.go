package e2e

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// U2: the same without preemption: after a repair the VIP stays where it is.
func TestU2NoPreemption(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip)
	conf := twoNodes(2, 150, 100, vip, "state BACKUP\n\tnopreempt")
	first := a.StartStandalone(conf)
	b.StartStandalone(conf)
	w.WantHolder(a, vip, electionTime)

	settled := reigning(w, a, 4, 51)
	first.KillAll()
	w.WantHolder(b, vip, masterDown(100)+time.Second)

	first.Restart()
	lab.During(masterDown(150) + 2*time.Second)
	w.WantHolder(b, vip, time.Second)
	wantReigns(t, w.Since(settled), 4, 51, a, b)
}

// U2 with preempt_delay: the repaired node waits before it takes the VIP back.
func TestU2PreemptDelay(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip)
	conf := twoNodes(2, 150, 100, vip, "state BACKUP\n\tpreempt_delay 3")
	first := a.StartStandalone(conf)
	b.StartStandalone(conf)
	w.WantHolder(a, vip, electionTime)
	first.Stop(5 * time.Second)
	w.WantHolder(b, vip, 3*time.Second)

	back := time.Now()
	first.Restart()
	// The delay begins with the first lower-priority advert heard, and then
	// Master_Down_Timer has to lapse.
	w.WantHolder(a, vip, 3*time.Second+masterDown(150)+2*time.Second)
	if took := time.Since(back); took < 3*time.Second {
		t.Errorf("preempted after %v, want not before the delay of 3s", took)
	}
	w.All().WantNeverTwo(meeting, vip)
}
