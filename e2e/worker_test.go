package e2e

import (
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// served is when a node other than the former holder first advertised.
func served(view lab.Window, former *lab.Node) (time.Time, string, bool) {
	for _, r := range view.Reigns(4, 51) {
		if r.Node != former.Name {
			return r.First.At, r.Node, true
		}
	}
	return time.Time{}, "", false
}

// F8: the worker of whoever holds is killed, again and again. Its supervisor
// removes the address, says so, and another node serves; nobody ever sees two.
// HACLUSTER_RUNS says how often.
func TestF8AKilledWorkerIsServedByAnother(t *testing.T) {
	runs := 5
	if n, err := strconv.Atoi(os.Getenv("HACLUSTER_RUNS")); err == nil {
		runs = n
	}
	s := newTrio(t, lab.Control, trioConf(""))
	begin := time.Now()
	var took []time.Duration
	holder := s.da
	for range runs {
		lab.During(3 * time.Second) // the one that was killed last is a candidate again
		killed := time.Now()
		holder.SignalWorker(syscall.SIGKILL)
		former := holder.Node
		var at time.Time
		var name string
		lab.Want(t, 5*time.Second, "another node serves", func() (string, bool) {
			var ok bool
			at, name, ok = served(s.watch.Since(killed), former)
			return s.watch.Since(killed).String(), ok
		})
		took = append(took, at.Sub(killed))
		for _, d := range s.daemons() {
			if d.Node.Name == name {
				holder = d
			}
		}
		s.watch.WantHolder(holder.Node, vip, time.Second)
	}
	s.watch.Since(begin).WantNeverTwo(0, vip)
	t.Logf("served after the kill of the worker, in order of time: %v", slices.Sorted(slices.Values(took)))
	slices.Sort(took)
	if median := took[len(took)/2]; median > 200*time.Millisecond {
		t.Errorf("median %v of %v, want at most 200 ms", median, took)
	}
}
