package lvs

import (
	"maps"
	"slices"
	"time"
)

// Status is how far the kernel's table is what is wanted.
type Status struct {
	Services, Servers int    // wanted
	Writes            uint64 // operations that the kernel carried out for this process

	// Refused is for each service, or for the synchronization daemons, the first
	// operation that the kernel refused the last time it was tried.
	Refused []Refusal
	// Foreign are the entries of others.
	Foreign []Entry
	// Draining are the servers that are on their way out.
	Draining []Draining

	Err     error // why the table could not be read or written the last time
	Journal error // why the journal could not be
}

// Draining is a server that keeps its connections for a while.
type Draining struct {
	Entry
	Connections Connections // when last looked at
	Until       time.Time   // it is deleted then, whatever it has
}

// publish tells what is so after the services keys were compared.
func (r *Reconciler) publish(keys []Key) {
	for _, k := range keys {
		var foreign []Entry
		if k == (Key{}) {
			for _, d := range r.haveSync {
				if e := (Entry{Sync: d.Role}); !r.journal.Set()[e] {
					foreign = append(foreign, e)
				}
			}
		} else {
			foreign = appendForeign(nil, r.want[k], r.have[k], r.journal.Set())
		}
		if delete(r.foreign, k); len(foreign) > 0 {
			r.foreign[k] = foreign
		}
	}
	if r.opts.Publish == nil {
		return
	}
	s := r.status
	s.Services = len(r.want)
	for _, w := range r.want {
		s.Servers += len(w.Servers)
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.setbacks), Key.Compare) {
		s.Refused = append(s.Refused, r.setbacks[k].Refusal)
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.foreign), Key.Compare) {
		s.Foreign = append(s.Foreign, r.foreign[k]...)
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.drains), Key.Compare) {
		for addr, until := range r.drains[k] {
			d := Draining{Entry: Entry{Service: k, Server: addr}, Until: until}
			if h := r.have[k]; h != nil && h.server(addr) != nil {
				d.Connections = h.server(addr).Connections
			}
			s.Draining = append(s.Draining, d)
		}
	}
	slices.SortFunc(s.Draining, func(a, b Draining) int { return a.Compare(b.Entry) })
	r.opts.Publish(s)
}
