package supervisor

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// S34, F26: what a dead worker held is removed; what one hands over is not.
func TestAPlannedRestartHandsOverStateAndWillAndSaysNothing(t *testing.T) {
	s := newStage(t, "holds")
	first := s.pid(s.want("worker"))
	s.want("holds")
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	heir := s.pid(s.want("worker"))
	if got := s.want("inherited"); got != "100005 state" {
		t.Errorf("inherited %q, want 100005 bytes", got)
	}
	s.want("holds")
	_ = s.words.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := s.words.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("something was said during a planned restart: %v", err)
	}
	if got := s.addresses(); len(got) != 2 {
		t.Errorf("addresses = %v, want both", got)
	}
	// The will is the heir's now.
	if err := unix.Kill(heir, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.heard(); n != 3 || heir == first {
		t.Errorf("heard %d words after the death of the heir, want 3", n)
	}
	s.want("worker")
}

func TestAWorkerThatDiesInsteadOfHandingOverIsBuriedAndTheHeirStarts(t *testing.T) {
	s := newStage(t, "dies instead")
	s.want("holds")
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.heard(); n != 3 {
		t.Errorf("heard %d words, want 3", n)
	}
	s.want("holds")
}

func TestTheWorkerGoesOnWhenItsHeirDoesNotStart(t *testing.T) {
	s := newStage(t, "no heir")
	s.want("holds")
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	s.want("worker") // the heir
	_ = s.words.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := s.words.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("something was said: %v", err)
	}
	if !strings.Contains(s.log.String(), "planned restart given up") {
		t.Error("nothing in the log")
	}
}

func TestAReplacedProgramIsExecutedWithWorkerWillAndGate(t *testing.T) {
	s := newStage(t, "gate")
	first := s.pid(s.want("worker"))
	s.want("holds")
	s.install()
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	s.want("gate adopted 1")
	heir := s.pid(s.want("worker"))
	s.want("inherited")
	s.want("written through the gate's file")
	s.want("holds")
	if heir == first {
		t.Error("the worker is the same")
	}
	if !strings.Contains(s.log.String(), "supervisor goes on") {
		t.Error("the supervisor was not executed anew")
	}
	if err := unix.Kill(heir, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.want("gate closed")
	if n, _ := s.heard(); n != 3 {
		t.Errorf("heard %d words after the death of the heir, want 3", n)
	}
}
