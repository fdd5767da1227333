package balance

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/observed"
)

// teller tells people what happens to services. An alert stands while its service
// and server are configured.
type teller struct {
	node   string
	record func(observed.Event)
	alert  func(observed.Alert)

	mu       sync.Mutex
	services map[string]map[netip.AddrPort]bool // configured, with their servers; guarded by mu
	open     map[string]director.Change         // by the alert's ID; guarded by mu

	// Of the reconciler's goroutine.
	refusals int // how often in a row something was refused
}

// know says what is configured now, and ends the alerts about what is not.
func (t *teller) know(d director.Desired) {
	services := make(map[string]map[netip.AddrPort]bool, len(d.Services))
	for _, s := range d.Services {
		servers := make(map[netip.AddrPort]bool, len(s.Servers))
		for _, r := range s.Servers {
			servers[r.Address] = true
		}
		services[s.Name] = servers
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.services = services
	for id, c := range t.open {
		if !t.known(c) {
			delete(t.open, id)
			a, _ := observed.ServiceAlert(t.node, c)
			a.Resolved = time.Now()
			t.alert(a)
		}
	}
}

// known reports whether what a change is about is configured.
func (t *teller) known(c director.Change) bool {
	servers, ok := t.services[c.Service]
	return ok && (!c.Server.IsValid() || servers[c.Server])
}

// change tells one change. It runs on the director's goroutine.
func (t *teller) change(c director.Change) {
	if !c.Again {
		t.record(observed.FromDirector(c))
	}
	a, ok := observed.ServiceAlert(t.node, c)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, open := t.open[a.ID]
	switch {
	case !a.Resolved.IsZero() && !open:
		return
	case !a.Resolved.IsZero():
		delete(t.open, a.ID)
	case !t.known(c):
		return // it goes because nobody wants it
	default:
		if t.open == nil {
			t.open = make(map[string]director.Change)
		}
		t.open[a.ID] = c
	}
	t.alert(a)
}

// refused tells what the kernel refuses again when it was tried once more. It runs
// on the reconciler's goroutine.
func (t *teller) refused(list []lvs.Refusal) {
	told := t.refusals >= 2
	if t.refusals++; len(list) == 0 {
		t.refusals = 0
	}
	if told || t.refusals >= 2 {
		t.alert(observed.ServiceRefused(t.node, list, time.Now()))
	}
}
