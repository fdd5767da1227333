package lab

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
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
	// How often a pulse wants a processor, and has an address set.
	pulseEvery = 5 * time.Millisecond
	setEvery   = 20 * time.Millisecond

	// prompt is how late a timer may be on a machine that has processors to spare.
	prompt = 2 * time.Millisecond
)

// pulse is two threads of the daemons' scheduling that do again and again what
// takes no time, and note when they had to wait. One wants a processor for an
// instant. The other one has an address set as it is, as a holder does with each
// of its adverts: all namespaces of a machine share one lock for that, and
// whoever makes or removes namespaces holds it for long. For as long as one of
// them waited, so did what a daemon wanted to do then.
type pulse struct {
	nl      *netlink.Handle
	stop    chan struct{}
	threads sync.WaitGroup

	mu    sync.Mutex
	waits []Stretch
}

// newPulse begins in the namespace of a host.
func newPulse(host *namespace) (*pulse, error) {
	spareProcessors()
	nl, err := netlink.NewHandleAt(host.fd, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink in namespace %s: %w", host.name, err)
	}
	p := &pulse{nl: nl, stop: make(chan struct{})}
	lo, err := nl.LinkByName("lo")
	if err != nil {
		nl.Close()
		return nil, fmt.Errorf("find lo in namespace %s: %w", host.name, err)
	}
	p.threads.Go(func() { p.run(pulseEvery, func() {}) })
	p.threads.Go(func() {
		p.run(setEvery, func() { _ = nl.AddrReplace(lo, linkAddr(netip.MustParsePrefix("127.0.0.1/8"))) }) // it is there
	})
	return p, nil
}

// run does something again and again on a thread of its own until close.
func (p *pulse) run(every time.Duration, something func()) {
	runtime.LockOSThread() // for good: the thread ends with this goroutine
	_ = unix.SchedSetAttr(0, scheduling(daemonPriority), 0)
	rest := unix.NsecToTimespec(every.Nanoseconds())
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		due := time.Now().Add(every)
		if unix.Nanosleep(&rest, nil) != nil {
			continue // a signal has woken it
		}
		something()
		if done := time.Now(); done.Sub(due) > prompt {
			p.mu.Lock()
			p.waits = append(p.waits, Stretch{due.Round(0), done.Round(0)})
			p.mu.Unlock()
		}
	}
}

func (p *pulse) close() {
	close(p.stop)
	p.threads.Wait()
	p.nl.Close()
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
// processor or the kernel.
func (v Window) Stall() time.Duration {
	all := slices.DeleteFunc(v.standstills(), func(s Stretch) bool { return s.To.Before(v.from) || s.From.After(v.to) })
	return longest(all)
}

// excusedAtMost bounds what Counted leaves out: daemons that keep all processors
// busy by themselves for longer are no excuse for what comes late.
const excusedAtMost = time.Second

// Counted is how much of a stretch counts against the limit of a protocol: not
// the time, up to a second of it, in which the machine had no processor for
// processes of the daemons' priority, or the kernel had them wait.
func (v Window) Counted(s Stretch) time.Duration {
	return s.Length() - min(excusedAtMost, both(v.standstills(), s.From, s.To))
}
