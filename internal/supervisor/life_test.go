package supervisor

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestTheWillOfAKilledWorkerIsCarriedOutAndTheWorkerStartedAgain(t *testing.T) {
	s := newStage(t, "holds")
	worker := s.pid(s.want("worker"))
	shortest := time.Hour
	for range 4 { // a busy machine adds to it, and not each time
		s.want("holds")
		begin := time.Now()
		if err := unix.Kill(worker, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.wantWords(1)
		shortest = min(shortest, time.Since(begin))
		if got := s.addresses(); len(got) != 1 || got[0] != permanent.String() {
			t.Errorf("addresses when the word came = %v, want only %v, which was there before", got, permanent)
		}
		s.wantWords(2)
		next := s.pid(s.want("worker"))
		if next == worker {
			t.Error("no other worker was started")
		}
		worker = next
		s.want("after a death")
	}
	s.wantSilence()
	t.Logf("first word after %v", shortest)
	if shortest > 100*time.Millisecond {
		t.Errorf("first word after %v, want at most 100 ms", shortest)
	}
}

func TestWhatWasDepositedCountsWhateverComesNext(t *testing.T) {
	s := newStage(t, "dies at once")
	s.want("worker")
	s.wantWords(3)
}

// S32, R7c: who hangs does not die, and would hold for as long as it likes.
func TestASilentWorkerIsKilledAfterItsLimit(t *testing.T) {
	s := newStage(t, "hangs")
	s.want("holds")
	s.wantKilled(200 * time.Millisecond)
	s.want("worker")
}

func TestAStoppedWorkerIsKilledAfterItsLimit(t *testing.T) {
	s := newStage(t, "holds")
	pid := s.pid(s.want("worker"))
	s.want("holds")
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.wantKilled(patience)
}

// wantKilled waits until a worker was killed for its silence, by its own limit and
// not by the one of workers that name none.
func (s *stage) wantKilled(limit time.Duration) {
	s.t.Helper()
	s.wantWords(3)
	text, _, _ := strings.Cut(s.wantLog("silent for "), `"`)
	if after, err := time.ParseDuration(text); err != nil || after < limit || after >= defaultIdle {
		s.t.Errorf("killed when silent for %v (%v), want after %v", after, err, limit)
	}
}

func TestNothingIsSaidWhileAnAddressIsStillThere(t *testing.T) {
	s := newStage(t, "holds")
	pid := s.pid(s.want("worker"))
	s.want("holds")
	link, err := netlink.LinkByName("veth0")
	if err != nil {
		t.Fatal(err)
	}
	// Somebody adds the address again and again.
	stop, stopped := make(chan struct{}), make(chan struct{})
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	for range 2 {
		go func() {
			for {
				select {
				case <-stop:
					stopped <- struct{}{}
					return
				default:
				}
				_ = handle.AddrReplace(link, &netlink.Addr{IPNet: &net.IPNet{IP: vip.Addr().AsSlice(), Mask: net.CIDRMask(32, 32)}, ValidLft: 60, PreferedLft: 60})
			}
		}()
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.want("worker")
	close(stop)
	<-stopped
	<-stopped
	if s.said(300 * time.Millisecond) {
		s.wantLog("what the worker held is gone") // else nothing was verified
	}
	if !strings.Contains(s.log.String(), "still there") {
		// Its words without the race: TestAClosedGateIsProofWhereAddressesCannotBeRemoved.
		t.Log("the address was gone each time that the supervisor looked")
	}
}

func TestAWorkerThatRefusesToStartIsNotStartedAgain(t *testing.T) {
	s := newStage(t, "refuses")
	s.wantExit(2)
	if n := strings.Count(s.log.String(), "refused"); n != 1 {
		t.Errorf("it said so %d times, want once", n)
	}
}

func TestSignalsAreHandedOnAndThePoliteEndIsNoDeath(t *testing.T) {
	s := newStage(t, "polite")
	s.want("systemd READY=1")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.want("goodbye")
	s.wantExit(0)
	if strings.Contains(s.log.String(), "ERROR") {
		t.Errorf("a polite end is reported:\n%s", s.log.String())
	}
}

// S33, R7c: nobody is left to clean up, so the worker ends in order.
func TestTheWorkerSeesTheSupervisorsEnd(t *testing.T) {
	s := newStage(t, "polite")
	s.want("systemd READY=1")
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.want("the supervisor is gone")
}

func TestEveryWorkerGetsTheFilesOfTheGateWhichADeathCloses(t *testing.T) {
	s := newStage(t, "gate")
	pid := s.pid(s.want("worker"))
	s.want("written through the gate's file")
	s.want("holds")
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.want("gate closed")
	s.want("worker")
	s.want("written through the gate's file")
}
