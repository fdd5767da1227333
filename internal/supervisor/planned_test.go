package supervisor

import (
	"syscall"
	"testing"

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
	s.wantSilence()
	if got := s.addresses(); len(got) != 2 {
		t.Errorf("addresses = %v, want both", got)
	}
	// The will is the heir's now.
	if err := unix.Kill(heir, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if heir == first {
		t.Error("the worker is the same")
	}
	s.wantWords(3)
	s.wantSilence()
	s.want("worker")
}

func TestAWorkerThatDiesInsteadOfHandingOverIsBuriedAndTheHeirStarts(t *testing.T) {
	s := newStage(t, "dies instead")
	s.want("holds")
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	s.wantWords(3)
	s.wantSilence()
	s.want("holds")
}

func TestTheWorkerGoesOnWhenItsHeirDoesNotStart(t *testing.T) {
	s := newStage(t, "no heir")
	s.want("holds")
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	s.want("worker") // the heir
	s.wantLog("planned restart given up")
	s.wantSilence()
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
	s.wantLog("supervisor goes on") // executed anew
	if err := unix.Kill(heir, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.want("gate closed")
	s.wantWords(3)
	s.wantSilence()
}
