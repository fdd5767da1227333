package sim

import "time"

// event is something that happens to a node, or to the world.
type event struct {
	at   time.Duration // since the epoch
	seq  uint64
	node *node // nil: the world
	life int   // of the node: in another one the event is void
	// A node that is stopped reads it later; other events are void then.
	waits bool
	what  deed
}

// deed is what an event does. It is an interface, and the deeds of which there
// are many are no closures, because most of a run's garbage would be those.
type deed interface{ do(n *node, seq uint64) }

// errand is a deed of which there are few. The node's arbiter looks afterwards.
type errand func()

func (f errand) do(n *node, _ uint64) {
	f()
	if n != nil {
		n.settle()
	}
}

type events []event

func (e *event) before(o *event) bool {
	if e.at != o.at {
		return e.at < o.at
	}
	return e.seq < o.seq
}

// push and pop keep a heap. That of the standard library makes garbage of each
// event, which costs a tenth of a run.
func (q *events) push(e event) {
	h := append(*q, e)
	*q = h
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

func (q *events) pop() event {
	h := *q
	first, last := h[0], len(h)-1
	e := h[last]
	h[last] = event{}
	h = h[:last]
	*q = h
	if last == 0 {
		return first
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= last {
			break
		}
		if right := down + 1; right < last && h[right].before(&h[down]) {
			down = right
		}
		if !h[down].before(&e) {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = e
	return first
}

// schedule makes something happen: to the world, or to a node if it runs then and
// this life of it goes on. It returns the number of the event.
func (w *world) schedule(at time.Time, n *node, what deed) uint64 {
	return w.put(at, n, what, false)
}

func (w *world) put(at time.Time, n *node, what deed, waits bool) uint64 {
	w.serial++
	e := event{at: at.Sub(epoch), seq: w.serial, node: n, waits: waits, what: what}
	if n != nil {
		e.life = n.life
	}
	w.queue.push(e)
	return e.seq
}

// happen does what an event is for, unless it is void.
func (e *event) happen() {
	switch n := e.node; {
	case n == nil:
		e.what.do(nil, e.seq)
	case n.life != e.life:
	case e.waits:
		n.receive(e.what)
	case n.running:
		e.what.do(n, e.seq)
	}
}
