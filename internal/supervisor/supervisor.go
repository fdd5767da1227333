package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Supervisor runs a worker and carries out its will.
type Supervisor struct {
	o           Options
	log         *slog.Logger
	x           *executor
	gate        Gate   // nil: not open
	gateMissing string // why it could not be opened

	pledge  *os.File // that the workers share; nil: it could not be made
	path    string   // of the program
	signals *os.File // a byte for each signal, from the goroutine that reads Options.Signals
	buf     []byte   // of one message

	worker   *process  // nil between two lives
	dead     *process  // whose will is not carried out yet
	heir     *process  // of a planned restart; nil: there is none
	heirBy   time.Time // when it must have come to its next step
	startAt  time.Time
	died     bool // a worker did, and the next one is to know
	backoff  time.Duration
	stopping bool      // TERM or INT came
	killAt   time.Time // of a worker that was told twice to end; zero: never
	watchdog time.Time // when systemd must be told next
}

// exitFailed is the exit status of a supervisor whose worker left none.
const exitFailed = 1

// Run starts the worker and stays until it has ended for good, with the exit
// status that this process should have:
//
//   - the worker's own, when it ended because of a signal that was handed on, or
//     before it was ready: it has said why, and would say so again;
//   - 1 when it was killed although it was to end.
//
// Else the will is carried out, and the worker started again.
func Run(o Options) (int, error) {
	o = o.withDefaults()
	s := &Supervisor{o: o, log: o.Log, buf: make([]byte, maxMessage+1), backoff: firstBackoff}
	var err error
	if s.x, err = newExecutor(); err != nil {
		return exitFailed, err
	}
	defer s.x.close()
	signals, feed, err := os.Pipe()
	if err != nil {
		return exitFailed, err
	}
	defer signals.Close()
	s.signals = signals
	go handOn(o.Signals, feed)
	// The code that carries out a will is read from the disk now, not when the
	// disk may hang.
	if err := s.x.rehearse(); err != nil {
		return exitFailed, err
	}
	if s.path, err = os.Executable(); err != nil {
		return exitFailed, err
	}
	if s.pledge, err = newPledge(); err != nil {
		s.log.Warn("what a worker promises is not kept: the next one waits for as long as it may have", "err", err)
	} else {
		defer s.pledge.Close()
	}
	s.startAt = time.Now()
	s.watchdog = s.startAt
	if err := s.adopt(); err != nil {
		return exitFailed, err
	}
	for {
		if exit, over := s.step(); over {
			return exit, nil
		}
	}
}

// handOn makes signals something that can be polled. It ends with the channel,
// or the process.
func handOn(signals <-chan os.Signal, to *os.File) {
	defer to.Close()
	for s := range signals {
		if n, ok := s.(syscall.Signal); ok {
			if _, err := to.Write([]byte{byte(n)}); err != nil {
				return
			}
		}
	}
}

// step waits for the next thing that happens and does what follows.
func (s *Supervisor) step() (exit int, over bool) {
	due := s.due()
	s.wait(due)
	now := time.Now()
	s.tellWatchdog(now)
	s.readSignals(now)
	switch {
	case s.dead != nil:
		// It hung in the kernel. What it covered may be undone by now.
		return s.bury(s.dead, "late")
	case s.worker == nil && s.stopping:
		return 0, true
	case s.worker == nil && !now.Before(s.startAt):
		return s.begin(now)
	case s.worker == nil:
		return 0, false
	}
	s.listen(s.worker, now)
	s.planned(now)
	switch reason := s.verdict(s.worker, due, now); reason {
	case "":
		return 0, false
	default:
		return s.bury(s.worker, reason)
	}
}

// begin starts the worker.
func (s *Supervisor) begin(now time.Time) (exit int, over bool) {
	var env []string
	if s.died {
		env = append(env, afterEnv+"=1")
	}
	w, err := start(&s.o, s.pledge, now, env...)
	if err != nil {
		s.log.Error("worker not started", "err", err, "again", s.backoff)
		s.delay(now)
		return 0, false
	}
	s.worker, s.killAt, s.died = w, time.Time{}, false
	return 0, false
}

// delay puts off the next start, each time twice as long.
func (s *Supervisor) delay(now time.Time) {
	s.startAt = now.Add(s.backoff)
	s.backoff = min(2*s.backoff, lastBackoff)
}

// due is when something must be done at the latest; zero: never.
func (s *Supervisor) due() time.Time {
	var due time.Time
	sooner := func(at time.Time) {
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	if s.o.Watchdog > 0 {
		sooner(s.watchdog)
	}
	switch {
	case s.dead != nil:
		sooner(time.Now().Add(reapEvery))
	case s.worker == nil:
		sooner(s.startAt)
	default:
		if limit := s.worker.silence(s.o.Idle); limit > 0 {
			sooner(s.worker.fed.Add(limit))
		}
		if !s.killAt.IsZero() {
			sooner(s.killAt)
		}
		if s.heir != nil {
			sooner(s.heirBy)
		}
	}
	return due
}

// wait waits until due, a signal or a message.
func (s *Supervisor) wait(due time.Time) {
	fds := []unix.PollFd{{Fd: int32(s.signals.Fd()), Events: unix.POLLIN}}
	if s.worker != nil {
		fds = append(fds, unix.PollFd{Fd: int32(s.worker.fd), Events: unix.POLLIN})
	}
	if s.heir != nil {
		fds = append(fds, unix.PollFd{Fd: int32(s.heir.fd), Events: unix.POLLIN})
	}
	var timeout *unix.Timespec
	if !due.IsZero() {
		t := unix.NsecToTimespec(int64(max(time.Until(due), 0)))
		timeout = &t
	}
	_, _ = unix.Ppoll(fds, timeout, nil) // whatever it says, everything is looked at next
}

// listen takes all that the worker has said.
func (s *Supervisor) listen(w *process, now time.Time) {
	acked := uint64(0)
	for w.open {
		n, _, _, _, err := unix.Recvmsg(w.fd, s.buf, nil, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil || n == 0 {
			w.open = false
			break
		}
		if g, err := s.hear(w, s.buf[:n], now); err != nil {
			s.log.Error("worker says what is not understood", "err", err)
		} else if g > 0 {
			acked = g
		}
	}
	if acked > 0 && w.open {
		// An acknowledgement that finds no room is covered by the next one.
		_ = send(w.fd, binary.AppendUvarint([]byte{msgAck}, acked))
	}
}

// hear takes one message. It returns the generation of a clause.
func (s *Supervisor) hear(w *process, message []byte, now time.Time) (generation uint64, err error) {
	switch body := message[1:]; message[0] {
	case msgFeed:
		w.fed, w.doubted = now, false
	case msgClause:
		generation, name, c, err := parseClauseMessage(body)
		if err != nil {
			return 0, err
		}
		before := w.silence(s.o.Idle)
		if c.empty() {
			delete(w.will, name)
		} else {
			w.will[name] = c
		}
		if w.silence(s.o.Idle) < before {
			w.fed = now // a new limit counts from when it was set
		}
		return generation, nil
	case msgRest:
		w.resting = true
	case msgNotify:
		s.notify(w, string(body))
	case msgGate:
		s.handGate(w)
	case msgHeir:
		w.waiting = true
	case msgState:
		if len(w.state)+len(body) > maxState {
			return 0, fmt.Errorf("state of more than %d bytes: %w", maxState, errMalformed)
		}
		w.state = append(w.state, body...)
	case msgStateEnd:
		w.bequeath = true
	default:
		return 0, fmt.Errorf("message of kind %q: %w", message[0], errMalformed)
	}
	return 0, nil
}

// died is the reason of a worker that ended by itself, or by others.
const died = "died"

// verdict says why the worker must go; empty: it goes on.
func (s *Supervisor) verdict(w *process, due, now time.Time) string {
	if !w.open {
		return died
	}
	if !s.killAt.IsZero() && !now.Before(s.killAt) {
		return "told twice to end"
	}
	limit := w.silence(s.o.Idle)
	silent := now.Sub(w.fed)
	if limit == 0 || silent < limit {
		return ""
	}
	// When the supervisor itself did not run, the worker may not have run either:
	// it gets half of its time again, once.
	if late := now.Sub(due); late > limit/4 && !w.doubted {
		w.doubted, w.fed = true, now.Add(-limit/2)
		return ""
	}
	return fmt.Sprintf("silent for %v", silent.Round(time.Millisecond))
}

// bury ends a worker, carries out its will and decides what follows.
func (s *Supervisor) bury(w *process, reason string) (exit int, over bool) {
	begin := time.Now()
	patience := reapWithin
	if s.dead != nil {
		patience = 0
	}
	dead := w.kill(patience)
	s.listen(w, begin) // what it said last
	s.worker = nil
	if !dead {
		if s.dead == nil {
			s.log.Error("worker does not die: it hangs in the kernel", "pid", w.pid, "reason", reason)
			addrs, ungated, _ := w.estate()
			_ = s.undo(addrs, ungated) // it may still add what is removed now, so nothing is said
		}
		s.dead = w
		return 0, false
	}
	s.dead = nil
	if w.bequeath && s.heir != nil {
		s.succeed(w)
		return 0, false
	}
	// One that refuses to start has said why itself.
	refused := w.status.Exited() && !w.ready
	expected := reason == died && (s.stopping || refused)
	if !expected {
		s.log.Error("worker ended", "pid", w.pid, "reason", reason, "status", w.ended(), "after", time.Since(w.started).Round(time.Millisecond))
	}
	s.carryOut(w, begin)

	switch exited := w.status.Exited(); {
	case exited && (s.stopping || !w.ready):
		return w.status.ExitStatus(), true
	case s.stopping:
		return exitFailed, true
	case s.heir != nil:
		w.state, w.will = nil, nil // carried out
		s.succeed(w)
		return 0, false
	}
	unix.Close(w.fd)
	s.died = true
	now := time.Now()
	if now.Sub(w.started) >= steadyAfter {
		s.backoff = firstBackoff
	}
	s.delay(now)
	s.log.Info("worker is started again", "in", s.startAt.Sub(now))
	return 0, false
}

// readSignals hands signals on. Two that ask for the end give the worker no more
// time than it takes to exit.
func (s *Supervisor) readSignals(now time.Time) {
	for {
		fds := []unix.PollFd{{Fd: int32(s.signals.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 0); n <= 0 || err != nil || fds[0].Revents&unix.POLLIN == 0 {
			return
		}
		var b [1]byte
		if n, err := unix.Read(int(s.signals.Fd()), b[:]); n <= 0 || err != nil {
			return
		}
		sig := syscall.Signal(b[0])
		if sig == syscall.SIGTERM || sig == syscall.SIGINT {
			if s.stopping {
				s.killAt = now
			}
			s.stopping = true
		}
		switch {
		case sig == restartSignal:
			s.plan(now)
		case s.worker != nil:
			s.worker.signal(sig)
		}
	}
}
