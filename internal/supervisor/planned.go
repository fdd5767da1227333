package supervisor

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A planned restart (F26): an heir is started, and waits; the worker is asked to
// hand over, closes what only one process can have open, hands its state to the
// supervisor and ends; the heir gets state and will, and goes on. While one of
// them is silent for longer than the will allows, it is killed and the will carried
// out, as ever.

// restartSignal asks the supervisor for a planned restart.
const restartSignal = syscall.SIGUSR2

const (
	// heirStarts is how long an heir may take until it waits, and handsOver how
	// long the worker may take from then on.
	heirStarts = 10 * time.Second
	handsOver  = 15 * time.Second
	// maxState bounds what a worker may hand over.
	maxState = 16 << 20
)

// Restart asks the supervisor for a planned restart, as its signal does. It returns
// before that begins; HandOver says when it has.
func (w *Worker) Restart() error {
	select {
	case <-w.gone:
		return errors.New("planned restart: the supervisor has ended")
	default:
		return syscall.Kill(os.Getppid(), restartSignal)
	}
}

// plan begins a planned restart.
func (s *Supervisor) plan(now time.Time) {
	if s.worker == nil || s.heir != nil || s.stopping {
		s.log.Warn("no planned restart now", "running", s.worker != nil, "restarting", s.heir != nil, "stopping", s.stopping)
		return
	}
	if err := s.renew(); err != nil {
		s.log.Error("the program on the disk is another one and cannot be executed: the present one goes on", "err", err)
	}
	heir, err := start(&s.o, s.pledge, now, heirEnv+"=1")
	if err != nil {
		s.log.Error("planned restart not begun: the worker goes on", "err", err)
		return
	}
	s.log.Info("planned restart", "worker", s.worker.pid, "heir", heir.pid)
	s.heir, s.heirBy = heir, now.Add(heirStarts)
}

// planned drives a planned restart on.
func (s *Supervisor) planned(now time.Time) {
	h := s.heir
	if h == nil {
		return
	}
	asked := h.waiting
	s.listen(h, now)
	switch {
	case !h.open, !h.waiting && !now.Before(s.heirBy):
		h.kill(reapWithin)
		s.log.Error("planned restart given up, the worker goes on: the new one does not start", "status", h.ended())
		unix.Close(h.fd)
		s.heir = nil
	case h.waiting && !asked:
		s.heirBy = now.Add(handsOver)
		if err := send(s.worker.fd, []byte{msgHand}); err != nil {
			s.log.Error("worker not asked to hand over", "err", err)
		}
	case !now.Before(s.heirBy):
		s.log.Error("worker has not handed over in time", "within", handsOver)
		s.killAt, s.heirBy = now, now.Add(handsOver)
	}
}

// succeed makes the heir the worker. What the one before handed over it covers
// from now on, within the time that the will allows.
func (s *Supervisor) succeed(w *process) {
	unix.Close(w.fd)
	h := s.heir
	s.worker, s.heir, s.killAt = h, nil, time.Time{}
	h.ready = true // a start that fails now is a death like any other
	if w.will != nil {
		h.will, h.fed = w.will, time.Now()
	}
	state := w.state
	for len(state) > 0 {
		n := min(len(state), maxMessage-1)
		s.toHeir(append([]byte{msgState}, state[:n]...))
		state = state[n:]
	}
	s.toHeir([]byte{msgStateEnd})
	if s.stopping {
		h.signal(syscall.SIGTERM) // what came meanwhile was for both
	}
	s.log.Info("the heir goes on", "pid", h.pid, "state", len(w.state), "clauses", len(h.will))
}

// toHeir sends what the heir is waiting for, and reads at once.
func (s *Supervisor) toHeir(message []byte) {
	for range 1000 {
		if err := send(s.worker.fd, message); !errors.Is(err, unix.EAGAIN) {
			return // an heir that is gone is noticed in the next step
		}
		time.Sleep(time.Millisecond)
	}
}
