package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// served is when a node other than the former holder first advertised.
func served(view lab.Window, family int, former *lab.Node) (time.Time, string, bool) {
	for _, r := range view.Reigns(family, 51) {
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
		killed := holder.SignalWorker(syscall.SIGKILL)
		former := holder.Node
		var at time.Time
		var name string
		lab.Want(t, 5*time.Second, "another node serves", func() (string, bool) {
			var ok bool
			at, name, ok = served(s.watch.Since(killed), 4, former)
			return s.watch.Since(killed).String(), ok
		})
		took = append(took, s.watch.All().Counted(lab.Stretch{From: killed.Round(0), To: at}))
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

// F10 with the worker alone: its supervisor notices the silence after K, which is
// 2 × Advert_Int, kills it, and the rest is F8.
func TestF10AStoppedWorkerIsReplacedAfterTheGatesTimeout(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	begin := reigning(s.watch, s.a, 4, 51)
	s.da.SignalWorker(syscall.SIGSTOP)
	s.watch.WantHolder(s.b, vip, 4*time.Second) // how soon is asked below
	s.da.WantLog("silent for", time.Second)
	// It is started again, and proves its health before it preempts: it comes
	// back once, by a hand-over.
	s.watch.WantHolder(s.a, vip, 5*masterDown(150))
	lab.During(time.Second)
	view := s.watch.Since(begin)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(2*time.Second+slack, vip)
	wantReigns(t, view, 4, 51, s.a, s.b, s.a)
}

// Beside keepalived the supervisor says goodbye by an advert of priority 0, so
// that the backup waits for its Skew_Time only (RFC 9568 section 6.4.2).
func TestAKilledWorkerSaysGoodbyeToKeepalived(t *testing.T) {
	for _, addr := range []netip.Addr{vip, vip6} {
		t.Run(fmt.Sprintf("IPv%d", family(addr)), func(t *testing.T) {
			t.Parallel()
			lan := lab.New(t)
			na, nb := lan.Node("a"), lan.Node("b")
			w := lan.Watch(addr)
			conf := twoNodes(3, 150, 100, addr, "nopreempt\n\tstate BACKUP")
			a := na.StartStandalone(conf)
			w.WantHolder(na, addr, electionTime)
			nb.StartKeepalived(conf, "-D")
			settled := reigning(w, na, family(addr), 51)
			lab.During(2 * time.Second) // keepalived listens

			killed := a.SignalWorker(syscall.SIGKILL)
			w.WantHolder(nb, addr, skew(100)+time.Second)
			at, _, ok := served(w.Since(killed), family(addr), na)
			took := lab.Stretch{From: killed.Round(0), To: at}
			if !ok || took.Length() < skew(100)-10*time.Millisecond || w.All().Counted(took) > skew(100)+slack {
				t.Errorf("keepalived took over after %v, want Skew_Time, %v", took.Length(), skew(100))
			}
			lab.During(2 * time.Second)
			w.Since(settled).WantNeverTwo(0, addr)
			wantReigns(t, w.Since(settled), family(addr), 51, na, nb)
		})
	}
}

// A supervisor that is killed leaves a worker without anybody who would carry out
// its will: it lets go politely, and ends.
func TestTheWorkerOfAKilledSupervisorHandsOver(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	worker, ok := s.da.Worker()
	if !ok {
		t.Fatal("lb01 has no worker")
	}
	killed := time.Now()
	s.da.Signal(syscall.SIGKILL)
	s.watch.WantHolder(s.b, vip, time.Second)
	s.watch.Since(killed).WantNeverTwo(0, vip)
	lab.Want(t, 5*time.Second, "the worker ends", func() (string, bool) {
		return "", syscall.Kill(worker, 0) != nil
	})
}
