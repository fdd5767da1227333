package supervisor

import (
	"fmt"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func testPledge(t *testing.T) *Pledge {
	t.Helper()
	f, err := newPledge()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := mapPledge(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPledgeIsTheLatestThatWasKept(t *testing.T) {
	p := testPledge(t)
	if until, ok := p.Until(0); ok {
		t.Errorf("Until = %d of what nobody has written, want nothing", until)
	}
	p.Begin(7)
	if until, ok := p.Until(7); ok {
		t.Errorf("Until = %d before anything was kept, want nothing", until)
	}
	for _, at := range []int64{100, 300, 200} {
		p.Keep(at)
	}
	if until, ok := p.Until(7); until != 300 || !ok {
		t.Errorf("Until = %d, %v; want 300", until, ok)
	}
}

func TestAPledgeIsForgotten(t *testing.T) {
	p := testPledge(t)
	p.Begin(7)
	p.Keep(300)
	p.Forget()
	if until, ok := p.Until(7); ok {
		t.Errorf("Until = %d of what is forgotten, want nothing", until)
	}
	p.Keep(100)
	if until, ok := p.Until(7); until != 100 || !ok {
		t.Errorf("Until = %d, %v; want 100", until, ok)
	}
}

func TestNoTwoPledgesHaveOneID(t *testing.T) {
	p, q := testPledge(t), testPledge(t)
	if p.ID() == 0 || p.ID() == q.ID() {
		t.Errorf("IDs %d and %d, want two", p.ID(), q.ID())
	}
}

func TestAPledgeToOneIsNoneToAnother(t *testing.T) {
	p := testPledge(t)
	p.Begin(7)
	p.Keep(300)
	if until, ok := p.Until(8); ok {
		t.Errorf("Until of another receiver = %d, want nothing", until)
	}
	p.Begin(8)
	p.Keep(100)
	if until, ok := p.Until(8); until != 100 || !ok {
		t.Errorf("Until = %d, %v; want 100", until, ok)
	}
	if until, ok := p.Until(7); ok {
		t.Errorf("Until of the one before = %d, want nothing", until)
	}
}

func TestWithoutAPledgeNothingIsKept(t *testing.T) {
	var p *Pledge
	p.Begin(7)
	p.Keep(300)
	p.Forget()
	if until, ok := p.Until(7); ok || p.ID() != 0 {
		t.Errorf("Until = %d, ID = %d; want nothing", until, p.ID())
	}
}

// What the worker before kept is there for the next one, whatever ended that.
func TestAPledgeOutlivesItsWorker(t *testing.T) {
	s := newStage(t, "holds")
	first := s.pid(s.want("worker"))
	s.want("owes nothing")
	s.want("holds")
	if err := unix.Kill(first, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.want("worker")
	s.wantPledge()
}

func TestAnHeirSharesThePledge(t *testing.T) {
	s := newStage(t, "holds")
	s.want("owes nothing")
	s.want("holds")
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	s.want("inherited")
	s.wantPledge()
}

// The new program knows nothing of what the worker kept until its heir does.
func TestAPledgeEndsWithTheProgramOfTheSupervisor(t *testing.T) {
	s := newStage(t, "holds")
	s.want("owes nothing")
	s.want("holds")
	s.install()
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	heir := s.pid(s.want("worker"))
	s.want("inherited")
	s.want("owes nothing")
	s.want("holds")
	if err := unix.Kill(heir, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.wantPledge()
}

func (s *stage) wantPledge() {
	s.t.Helper()
	if got := s.want("owes"); got != fmt.Sprintf("until %d", pledgedUntil) {
		s.t.Errorf("the worker owes %q, want until %d", got, pledgedUntil)
	}
}
