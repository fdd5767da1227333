package alert

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// history is how many changes the hub keeps.
const history = 1024

// Change is one step in the life of an alert: raised, changed, or resolved.
type Change struct {
	Seq   uint64 // counts from 1
	Alert Alert
}

// Hub keeps the open alerts and the last changes. All methods may be called
// from any goroutine and none waits.
type Hub struct {
	mu      sync.Mutex
	open    map[string]Alert
	changes []Change // the last ones, oldest first
	seq     uint64
	wake    chan struct{} // closed at the next change
}

// NewHub returns an empty hub.
func NewHub() *Hub {
	return &Hub{open: map[string]Alert{}, wake: make(chan struct{})}
}

// Raise opens an alert, or changes the open one of the same ID, whose Since it
// keeps. Raising what is open and the same does nothing. A zero Since is now.
func (h *Hub) Raise(a Alert) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a.Resolved = time.Time{}
	old, open := h.open[a.ID]
	switch {
	case open && old.same(a):
		return
	case open:
		a.Since = old.Since
	case a.Since.IsZero():
		a.Since = time.Now()
	}
	h.open[a.ID] = a
	h.change(a)
}

// Resolve ends the open alert of that ID; without one it does nothing.
func (h *Hub) Resolve(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a, open := h.open[id]
	if !open {
		return
	}
	delete(h.open, id)
	a.Resolved = time.Now()
	h.change(a)
}

// Note tells of something that is over as soon as it is said, such as a change
// of state.
func (h *Hub) Note(a Alert) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.Since.IsZero() {
		a.Since = time.Now()
	}
	if a.Resolved.IsZero() {
		a.Resolved = a.Since
	}
	h.change(a)
}

func (h *Hub) change(a Alert) {
	h.seq++
	if len(h.changes) == history {
		h.changes = slices.Delete(h.changes, 0, 1)
	}
	h.changes = append(h.changes, Change{h.seq, a})
	close(h.wake)
	h.wake = make(chan struct{})
}

// Open returns the open alerts, the worst first, then the oldest.
func (h *Hub) Open() []Alert {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Alert, 0, len(h.open))
	for _, a := range h.open {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Alert) int {
		if a.Severity != b.Severity {
			return int(b.Severity) - int(a.Severity)
		}
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// Last returns the number of the last change, 0 if there was none.
func (h *Hub) Last() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seq
}

// After returns the changes after the one with that number, how many before
// them are no longer kept, and a channel that is closed at the next change.
func (h *Hub) After(seq uint64) (changes []Change, lost uint64, next <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if seq >= h.seq {
		return nil, 0, h.wake
	}
	first := h.changes[0].Seq
	if seq+1 < first {
		return slices.Clone(h.changes), first - seq - 1, h.wake
	}
	return slices.Clone(h.changes[seq+1-first:]), 0, h.wake
}
