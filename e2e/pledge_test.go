package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F9 after another failure, with policy quorum: the worker of a voter dies, and as soon
// as it runs again the holder ends with its supervisor. Each of the two that are left
// is needed. One of them has lost what it granted, and the leases of an earlier revision
// last fifteen seconds: it waits for what it did grant, two seconds at most.
func TestF9AVoterWhoseWorkerDiedWaitsForWhatItGranted(t *testing.T) {
	t.Parallel()
	const before = 15 * time.Second
	s := newTrioOf(t, "split_brain {\n\t\tpolicy quorum\n\t\tlease 15\n\t}", "")
	s.da.MustCtl("config", "apply", s.a.WriteFile("shorter.conf", trioConf(quorumWords)), "--yes")
	lab.During(before + time.Second) // what was granted for so long is over
	begin := reigning(s.watch, s.a, 4, 51)

	died, _ := s.dc.Worker()
	s.dc.SignalWorker(syscall.SIGKILL)
	lab.Want(t, 10*time.Second, "lb03 has another worker", func() (string, bool) {
		next, ok := s.dc.Worker()
		return "", ok && next != died
	})
	s.dc.WantLog("what the process before granted is known", 10*time.Second)
	s.da.KillAll()
	killed := time.Now()
	s.watch.WantHolder(s.b, vip, before)
	view := s.watch.Since(begin)
	view.WantNeverTwo(0, vip)
	// Without what was granted it would be fifteen seconds and more.
	view.WantDarkAtMost(masterDown(120)+2*time.Second+slack, vip)
	t.Logf("lb02 holds %v after the end of lb01", time.Since(killed).Round(time.Millisecond))
}
