package sim

import (
	"time"

	"github.com/hacluster/hacluster/vrrp"
)

// place is where a process may be stopped within one step.
type place int

const (
	nowhere place = iota
	atLook        // the clock was read, the evidence not yet looked at
	atSend        // the clock was read, the advert not yet sent
	atStore       // the advert was sent, or the lease granted; the gate is not told yet
	places
)

// stall is a stop that waits for the process to come to a place.
type stall struct {
	at   place
	span time.Duration
}

// stops reports whether the process is stopped here; rest is what it does when it
// goes on.
func (n *node) stops(at place, rest func()) bool {
	if n.stall.at != at || !n.running {
		return false
	}
	span := n.stall.span
	n.stall = stall{}
	n.then = append(n.then, rest)
	n.pause("in the middle of a step")
	n.w.check.relink()
	n.goOnAfter(span)
	return true
}

// goOnAfter continues the process, if it is still the one that was stopped.
func (n *node) goOnAfter(span time.Duration) {
	life, pause := n.life, n.pauses
	n.w.schedule(n.w.now.Add(span), nil, errand(func() {
		if n.life == life && n.pauses == pause {
			n.goOn()
		}
	}))
}

// crash ends the process and its supervisor; the kernel keeps the VIP, and the
// gate, until it closes.
func (n *node) crash() {
	n.w.logf("%s is killed, its supervisor as well", n.name)
	n.pledge = 0
	n.end()
}

func (n *node) end() {
	n.life++
	n.up, n.running = false, false
	n.w.check.dirty = true
}

// kill ends the worker. Its supervisor needs a moment to bury it: it closes the
// gate, removes the VIP, and sends the last will.
func (n *node) kill() {
	if !n.up {
		return
	}
	w := n.w
	w.logf("%s: the worker dies", n.name)
	will := n.will
	n.end()
	life := n.life
	w.schedule(w.now.Add(time.Millisecond+time.Duration(w.rng.Int64N(int64(4*time.Millisecond)))), nil, errand(func() {
		if n.life != life {
			return // another life has removed it
		}
		w.logf("%s: the supervisor closes the gate and sends the last will", n.name)
		n.shut()
		w.drop(n)
		n.spread(&will)
	}))
}

// pause stops the process.
func (n *node) pause(how string) {
	n.w.logf("%s is stopped %s", n.name, how)
	n.running, n.paused = false, n.w.now
	n.pauses++
	n.w.check.dirty = true
}

// hang stops the worker alone. Its supervisor kills it when it has been silent for
// as long as the gate stays open.
func (n *node) hang(span time.Duration) {
	n.pause("without its supervisor")
	n.goOnAfter(span)
	life, pause := n.life, n.pauses
	n.w.schedule(n.w.now.Add(n.w.patience(n)), nil, errand(func() {
		if n.life == life && n.pauses == pause && !n.running {
			n.kill()
			n.w.check.relink()
			n.w.schedule(n.w.now.Add(time.Second), nil, errand(func() {
				if n.life == life+1 {
					n.boot1()
				}
			}))
		}
	}))
}

// patience is how long a supervisor waits for a word of its worker.
func (w *world) patience(n *node) time.Duration {
	if n.byEvents() {
		return n.lease()
	}
	return w.kernelLease()
}

// resume continues it: it does what it was about to do, what came in the meantime
// is read, and its timers are late.
func (n *node) resume() {
	if !n.up || n.running {
		return
	}
	gap := n.w.now.Sub(n.paused)
	n.w.logf("%s goes on after %v", n.name, gap)
	n.running, n.since = true, n.w.now
	n.w.check.dirty = true
	then := n.then
	n.then = nil
	for _, f := range then {
		if n.running {
			f()
		} else {
			n.then = append(n.then, f)
		}
	}
	if !n.running {
		return
	}
	if gap >= 2*n.w.interval {
		n.event(vrrp.Paused{For: gap})
	}
	buffered := n.buffered
	n.buffered = nil
	for _, what := range buffered {
		n.receive(what)
	}
	if n.running {
		n.event(vrrp.Tick{})
		n.settle()
	}
}
