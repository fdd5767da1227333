package vrrp

import (
	"slices"
	"time"
)

// publishWithin is how long a change that moves nothing may wait for others.
const publishWithin = 100 * time.Millisecond

// soil notes that the status of u must be made anew.
func (l *loop) soil(u *unitShell) {
	u.dirty = true
	l.dirty = true
}

// soilSoon is soil for what can wait: who is heard, what is refused. When many
// instances start, they hear their masters one by one.
func (l *loop) soilSoon(u *unitShell) {
	u.dirty = true
	if l.publishAt.IsZero() {
		l.publishAt = l.now.Add(publishWithin)
	}
}

// soilAll makes the next statuses exact, and is no reason to publish them.
func (l *loop) soilAll() {
	for _, u := range l.units {
		u.dirty = true
	}
}

// publish makes changes known. In steady state there are none.
func (l *loop) publish() {
	if !l.dirty && (l.publishAt.IsZero() || l.now.Before(l.publishAt)) {
		return
	}
	l.dirty, l.publishAt = false, time.Time{}
	statuses := l.statuses()
	l.published.Store(&statuses)
	if l.opts.Publish != nil {
		l.opts.Publish(statuses)
	}
}

// statuses is the present state of all units, in a slice of its own.
func (l *loop) statuses() []UnitStatus {
	statuses := make([]UnitStatus, len(l.units))
	for n, u := range l.units {
		if u.dirty {
			u.status = u.describe()
			u.status.Lingering = l.lingers(u)
			u.status.Gate = l.gateStatus(u)
			u.dirty = false
		}
		statuses[n] = u.status
	}
	return statuses
}

// lingers says whether something that the unit let go of is still there.
func (l *loop) lingers(u *unitShell) bool {
	return slices.ContainsFunc(l.leftovers, func(o leftover) bool {
		return len(o.addrs) > 0 && u.instance(o.instance) != nil
	})
}

// describe adds to the machine's words what only the engine knows.
func (u *unitShell) describe() UnitStatus {
	status := u.machine.Status()
	// Values that were published never change, whatever the machine does.
	status.Instances = slices.Clone(status.Instances)
	for n := range status.Instances {
		s := &status.Instances[n]
		i := u.instance(s.Name)
		if i == nil {
			continue
		}
		s.Sent, s.Received, s.AddrsDiffer = i.sent, i.received, i.differs
		if len(i.rejected) > 0 {
			s.Rejected = make(map[string]uint64, len(i.rejected))
			for reason, count := range i.rejected {
				s.Rejected[string(reason)] = count
			}
		}
		if !s.LastAdvert.At.IsZero() {
			s.LastAdvert.Addrs = i.heard
		}
	}
	return status
}
