package supervisor

import (
	"errors"
	"strings"
	"time"
)

// carryOut does what a dead worker wanted done. Its words are true only when
// everything is undone, so else nothing is said: that an address ends by itself in
// some milliseconds would be no proof for anybody (R9), and the others wait for as
// long anyway.
func (s *Supervisor) carryOut(w *process, begin time.Time) {
	addrs, ungated, words := w.estate()
	if err := s.undo(addrs, ungated); err != nil {
		s.log.Error("what the worker held may still answer until its lifetime ends; the others are not told", "err", err)
		return
	}
	if len(addrs)+len(words) == 0 {
		return
	}
	s.log.Warn("what the worker held is gone", "addresses", len(addrs), "took", time.Since(begin).Round(time.Microsecond))
	for n := range wordsTimes {
		if n > 0 {
			time.Sleep(wordsSpan / (wordsTimes - 1))
		}
		for i := range words {
			if err := s.x.say(&words[i]); err != nil {
				s.log.Warn("the others may not know that the worker is gone", "err", err)
			}
		}
	}
}

// undo closes the gate, removes the addresses and makes sure that they do not answer
// any more: they are gone, or behind the gate, which stays closed for longer than
// they live. ungated are those that no gate guards.
func (s *Supervisor) undo(addrs, ungated []Address) error {
	if s.gate == nil {
		return s.x.remove(addrs)
	}
	open := s.gate.CloseAll()
	err := s.x.remove(addrs)
	if err == nil || open != nil || len(ungated) == len(addrs) {
		return errors.Join(open, err)
	}
	switch left, unknown := s.x.present(ungated); {
	case unknown != nil || len(left) > 0:
		return err
	default:
		s.log.Error("addresses were not removed: they stay behind the closed gate until their lifetime ends", "err", err)
		return nil
	}
}

// estate is the whole will: the words of clauses that cover nothing come first,
// because members act on them sooner than routers on the end of adverts.
func (p *process) estate() (addrs, ungated []Address, words []Words) {
	var last []Words
	for _, c := range p.will {
		addrs = append(addrs, c.Addresses...)
		if !c.Gated {
			ungated = append(ungated, c.Addresses...)
		}
		if len(c.Addresses) == 0 {
			words = append(words, c.Words...)
		} else {
			last = append(last, c.Words...)
		}
	}
	return addrs, ungated, append(words, last...)
}

// rehearse carries out an empty will.
func (x *executor) rehearse() error {
	return x.remove([]Address{{Interface: "lo"}})
}

// notify hands a message to systemd.
func (s *Supervisor) notify(w *process, state string) {
	if strings.HasPrefix(state, "READY=1") {
		w.ready = true
	}
	s.tell(state)
}

func (s *Supervisor) tell(state string) {
	if err := s.o.Notify(state); err != nil {
		s.log.Warn("systemd was not told", "state", state, "err", err)
	}
}

// tellWatchdog tells systemd that the supervisor lives.
func (s *Supervisor) tellWatchdog(now time.Time) {
	if s.o.Watchdog <= 0 || now.Before(s.watchdog) {
		return
	}
	s.watchdog = now.Add(s.o.Watchdog / 3)
	s.tell("WATCHDOG=1")
}

// handGate gives the worker the files of the gate, and opens it at the first
// time. The next worker gets the same ones: what was closed stays closed.
func (s *Supervisor) handGate(w *process) {
	if s.gate == nil && s.gateMissing == "" && s.o.OpenGate != nil {
		gate, err := s.o.OpenGate()
		if err != nil {
			s.gateMissing = err.Error()
		} else {
			s.gate = gate
		}
	}
	if err := s.sendGate(w); err != nil {
		s.log.Error("worker did not get the kernel gate", "err", err)
	}
}

func (s *Supervisor) sendGate(w *process) error {
	if s.gate == nil {
		return send(w.fd, append([]byte{msgGate}, s.gateMissing...))
	}
	files, err := s.gate.Files()
	if err != nil {
		return send(w.fd, append([]byte{msgGate}, err.Error()...))
	}
	var fds []int
	for _, f := range files {
		defer f.Close()
		fds = append(fds, int(f.Fd()))
	}
	return send(w.fd, []byte{msgGate}, fds...)
}
