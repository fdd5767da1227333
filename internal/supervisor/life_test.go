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
	first := s.pid(s.want("worker"))
	s.want("holds")
	begin := time.Now()
	if err := unix.Kill(first, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 100)
	_ = s.words.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := s.words.Read(said); err != nil {
		t.Fatalf("no word within a second: %v", err)
	}
	took := time.Since(begin)
	if got := s.addresses(); len(got) != 1 || got[0] != permanent.String() {
		t.Errorf("addresses when the word came = %v, want only %v, which was there before", got, permanent)
	}
	if again, _ := s.heard(); again != 2 {
		t.Errorf("heard %d more words, want 2", again)
	}
	if second := s.pid(s.want("worker")); second == first {
		t.Error("no other worker was started")
	}
	s.want("after a death")
	t.Logf("first word after %v", took)
	if took > 100*time.Millisecond {
		t.Errorf("first word after %v, want at most 100 ms", took)
	}
}

func TestWhatWasDepositedCountsWhateverComesNext(t *testing.T) {
	s := newStage(t, "dies at once")
	s.want("worker")
	if n, _ := s.heard(); n < 3 {
		t.Errorf("heard %d words, want 3", n)
	}
}

// S32, R7c: who hangs does not die, and would hold for as long as it likes.
func TestASilentWorkerIsKilledAfterItsLimit(t *testing.T) {
	s := newStage(t, "hangs")
	s.want("holds")
	begin := time.Now()
	n, first := s.heard()
	if after := first.Sub(begin); n < 3 || after < 150*time.Millisecond || after > 600*time.Millisecond {
		t.Errorf("heard %d words, the first after %v; want 3, after 200 ms of silence", n, after)
	}
	s.want("worker")
}

func TestAStoppedWorkerIsKilledAfterItsLimit(t *testing.T) {
	s := newStage(t, "holds")
	pid := s.pid(s.want("worker"))
	s.want("holds")
	begin := time.Now()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	n, first := s.heard()
	if after := first.Sub(begin); n < 3 || after < 150*time.Millisecond || after > 600*time.Millisecond {
		t.Errorf("heard %d words, the first after %v; want 3, after 200 ms of silence", n, after)
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
	if n, _ := s.heard(); n != 0 && !strings.Contains(s.log.String(), "what the worker held is gone") {
		t.Errorf("heard %d words although nothing was verified", n)
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
