package lvs

import "sync"

// inbox holds what the reconciler was told and has not yet taken. The newest
// word on a service counts, so that it never fills up.
type inbox struct {
	mu      sync.Mutex
	whole   *Desired
	changed map[Key]Service
	wake    chan struct{} // holds one token while something is in
}

func newInbox() *inbox {
	return &inbox{changed: make(map[Key]Service), wake: make(chan struct{}, 1)}
}

func (b *inbox) set(d Desired) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole = &d
	clear(b.changed)
	b.ring()
}

func (b *inbox) put(services []Service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range services {
		b.changed[s.Key] = s
	}
	b.ring()
}

func (b *inbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default: // it is rung for already
	}
}

// take empties the inbox. What is in changed is newer than whole.
func (b *inbox) take() (whole *Desired, changed map[Key]Service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	whole, changed = b.whole, b.changed
	b.whole, b.changed = nil, make(map[Key]Service)
	return whole, changed
}
