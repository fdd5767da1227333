package director

import (
	"maps"
	"net/netip"
	"sync"

	"github.com/hacluster/hacluster/lvs/check"
)

// inbox holds what the director was told and has not yet taken. The newest word
// on each thing counts, so that it never fills up.
type inbox struct {
	mu   sync.Mutex
	news news
	wake chan struct{} // holds one token while something is in
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (b *inbox) apply(d Desired) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.desired = &d
	b.ring()
}

func (b *inbox) hold(held map[netip.Addr]bool) {
	held = maps.Clone(held)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.held = &held
	b.ring()
}

func (b *inbox) override(byHand Overrides) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.byHand = &byHand
	b.ring()
}

func (b *inbox) hear(others map[ServerKey]Others) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.others = &others
	b.ring()
}

func (b *inbox) report(v check.Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.news.verdicts == nil {
		b.news.verdicts = make(map[string]check.Verdict)
	}
	b.news.verdicts[v.Key] = v
	b.ring()
}

func (b *inbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default: // it is rung for already
	}
}

// take empties the inbox.
func (b *inbox) take() news {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.news
	b.news = news{}
	return n
}
