package observed

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// How much of the past a Hub keeps.
const (
	keptEvents = 4096
	keptAlerts = 1024
)

// Hub keeps the newest Snapshot and the last events and alerts of this node.
// Readers ask for what came after a number and get a channel that is closed
// when there is more: a slow reader misses what the ring no longer holds, sees
// the gap in the numbers, and never holds up a writer.
type Hub struct {
	mu       sync.Mutex
	snapshot func() Snapshot // makes it when somebody first looks
	changed  chan struct{}   // closed and replaced by Publish, Offer and Raise
	events   ring[Event]
	alerts   ring[Alert] // each change of an alert
	open     map[string]Alert
}

// NewHub returns an empty hub.
func NewHub() *Hub {
	return &Hub{
		snapshot: func() Snapshot { return Snapshot{} },
		changed:  make(chan struct{}),
		events:   newRing[Event](keptEvents),
		alerts:   newRing[Alert](keptAlerts),
		open:     make(map[string]Alert),
	}
}

// Publish replaces the snapshot. Its Alerts are ignored: Raise keeps them.
func (h *Hub) Publish(s Snapshot) { h.Offer(func() Snapshot { return s }) }

// Offer replaces the snapshot by one that is built when somebody first looks at
// it: most are not looked at. Build is called once at most, from any goroutine.
func (h *Hub) Offer(build func() Snapshot) {
	build = sync.OnceValue(build)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snapshot = build
	h.tell()
}

func (h *Hub) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Latest returns the newest snapshot with the alerts that are open, and a
// channel that is closed when there is a newer one.
func (h *Hub) Latest() (Snapshot, <-chan struct{}) {
	h.mu.Lock()
	build, changed := h.snapshot, h.changed
	open := slices.AppendSeq(make([]Alert, 0, len(h.open)), maps.Values(h.open))
	h.mu.Unlock()
	slices.SortFunc(open, func(a, b Alert) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.ID, b.ID))
	})
	s := build() // no writer waits for it
	s.Alerts = open
	return s, changed
}

// Changed returns a channel that is closed when there is a newer snapshot.
func (h *Hub) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// Record adds an event and returns it with its number.
func (h *Hub) Record(e Event) Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.Seq = h.events.added + 1
	h.events.add(e)
	return e
}

// Events returns the events after number seq, the oldest first, and a channel
// that is closed when there are more.
func (h *Hub) Events(seq uint64) ([]Event, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events.since(seq), h.events.changed
}

// Raise opens an alert, changes it, or with Resolved set ends it. It reports
// whether anything changed; saying the same again changes nothing.
func (h *Hub) Raise(a Alert) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	old, open := h.open[a.ID]
	switch {
	case !a.Resolved.IsZero():
		if !open {
			return false
		}
		a.Since, a.Summary = old.Since, old.Summary // what it was; Resolved says that it is over
		a.Seq = h.alerts.added + 1
		delete(h.open, a.ID)
	case open && old.Summary == a.Summary && old.Severity == a.Severity && old.Next == a.Next:
		return false
	default:
		if open {
			a.Since = old.Since
		}
		a.Seq = h.alerts.added + 1
		h.open[a.ID] = a
	}
	h.alerts.add(a)
	h.tell()
	return true
}

// Alerts returns the changes of alerts after number seq, the oldest first, and
// a channel that is closed when there are more.
func (h *Hub) Alerts(seq uint64) ([]Alert, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.alerts.since(seq), h.alerts.changed
}
