package lab

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Stretch is a stretch of time.
type Stretch struct{ From, To time.Time }

// Length is how long it lasted.
func (s Stretch) Length() time.Duration { return s.To.Sub(s.From) }

// longest is the greatest length of some stretches.
func longest(all []Stretch) (length time.Duration) {
	for _, s := range all {
		length = max(length, s.Length())
	}
	return length
}

// both is the length of time that is in one of the stretches, and between the
// two moments.
func both(all []Stretch, from, to time.Time) (sum time.Duration) {
	slices.SortFunc(all, func(a, b Stretch) int { return a.From.Compare(b.From) })
	for _, s := range all {
		if s.From.Before(from) {
			s.From = from
		}
		if s.To.After(to) {
			s.To = to
		}
		if s.To.After(s.From) {
			sum += s.Length()
			from = s.To // what follows counts once
		}
	}
	return sum
}

const (
	// pulseEvery is how often a pulse wants a processor.
	pulseEvery = 5 * time.Millisecond

	// prompt is how late a timer may be on a machine that has processors to spare.
	prompt = 2 * time.Millisecond
)

// pulse is a thread of the daemons' scheduling that wants a processor for an
// instant, again and again, and notes when it had to wait for one. For as long
// as it waited, so did whatever a daemon wanted to do then.
type pulse struct {
	stop, done chan struct{}

	mu    sync.Mutex
	waits []Stretch
}

func newPulse() *pulse {
	spareProcessors()
	p := &pulse{stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

// run has a thread of its own until close.
func (p *pulse) run() {
	defer close(p.done)
	runtime.LockOSThread() // for good: the thread ends with this goroutine
	_ = unix.SchedSetAttr(0, scheduling(daemonPriority), 0)
	rest := unix.NsecToTimespec(pulseEvery.Nanoseconds())
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		due := time.Now().Add(pulseEvery)
		if unix.Nanosleep(&rest, nil) != nil {
			continue // a signal has woken it
		}
		if woken := time.Now(); woken.Sub(due) > prompt {
			p.mu.Lock()
			p.waits = append(p.waits, Stretch{due.Round(0), woken.Round(0)})
			p.mu.Unlock()
		}
	}
}

func (p *pulse) close() {
	close(p.stop)
	<-p.done
}

// standstills are the stretches, without order, in which the machine ran no
// daemon that wanted to run: the pulse had to wait, or the prober, who goes
// before all others, sent nothing.
func (v Window) standstills() []Stretch {
	v.w.pulse.mu.Lock()
	all := slices.Clone(v.w.pulse.waits)
	v.w.pulse.mu.Unlock()
	v.w.cap.mu.Lock()
	defer v.w.cap.mu.Unlock()
	for i := 1; i < len(v.w.probes); i++ {
		if due, asked := v.w.probes[i-1].at.Add(probeEvery), v.w.probes[i].at; asked.Sub(due) > prompt {
			all = append(all, Stretch{due, asked})
		}
	}
	return all
}

// Stall is the longest time in the window for which a daemon had to wait for a
// processor.
func (v Window) Stall() time.Duration {
	all := slices.DeleteFunc(v.standstills(), func(s Stretch) bool { return s.To.Before(v.from) || s.From.After(v.to) })
	return longest(all)
}

// excusedAtMost bounds what Counted leaves out: daemons that keep all processors
// busy by themselves for longer are no excuse for what comes late.
const excusedAtMost = time.Second

// Counted is how much of a stretch counts against the limit of a protocol: not
// the time, up to a second of it, in which the machine had no processor for
// processes of the daemons' priority.
func (v Window) Counted(s Stretch) time.Duration {
	return s.Length() - min(excusedAtMost, both(v.standstills(), s.From, s.To))
}
