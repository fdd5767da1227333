package vrrp

import (
	"slices"
	"time"
)

// announcer spreads gratuitous ARPs and neighbour advertisements: those of one
// wake-up go in one call, the first repetition of all addresses before the
// second, as keepalived sends them. Interfaces with a gap between two messages
// have a queue.
type announcer struct {
	bursts []burst // of this wake-up
	batch  []Announcement
	paced  map[string]*pacedQueue // by interface
	next   time.Time              // when a queue is due; zero: all are empty
}

// burst is one AnnounceAddrs.
type burst struct {
	instance *instanceShell
	repeat   int
}

// pacedQueue is what one interface still has to send.
type pacedQueue struct {
	queue []pacedAnnouncement
	due   time.Time
}

type pacedAnnouncement struct {
	instance *instanceShell
	Announcement
}

func (a *announcer) add(i *instanceShell, repeat int) {
	a.bursts = append(a.bursts, burst{i, repeat})
}

// drop forgets what is left of an instance that no longer holds its addresses.
func (a *announcer) drop(i *instanceShell) {
	a.bursts = slices.DeleteFunc(a.bursts, func(b burst) bool { return b.instance == i })
	for _, q := range a.paced {
		q.queue = slices.DeleteFunc(q.queue, func(p pacedAnnouncement) bool { return p.instance == i })
	}
}

// collect moves the bursts of this wake-up, and what the queues owe at now,
// into the batch.
func (a *announcer) collect(now time.Time) {
	a.batch = a.batch[:0]
	most := 0
	for _, b := range a.bursts {
		most = max(most, b.repeat)
	}
	for n := range most {
		for _, b := range a.bursts {
			if n < b.repeat {
				a.spread(b.instance, now)
			}
		}
	}
	clear(a.bursts)
	a.bursts = a.bursts[:0]

	a.next = time.Time{}
	for _, q := range a.paced {
		for len(q.queue) > 0 && !q.due.After(now) {
			p := q.queue[0]
			q.queue = q.queue[1:]
			a.batch = append(a.batch, p.Announcement)
			q.due = now.Add(p.instance.spec.Announce.Interval)
		}
		if len(q.queue) == 0 {
			q.queue = nil
			continue
		}
		a.next = sooner(a.next, q.due)
	}
}

// spread adds each address of an instance once.
func (a *announcer) spread(i *instanceShell, now time.Time) {
	for _, addr := range i.spec.held() {
		one := Announcement{Interface: addr.Interface, Addr: addr.Prefix.Addr()}
		if i.spec.Announce.Interval <= 0 {
			a.batch = append(a.batch, one)
			continue
		}
		q := a.paced[one.Interface]
		if q == nil {
			q = &pacedQueue{due: now}
			a.paced[one.Interface] = q
		}
		q.queue = append(q.queue, pacedAnnouncement{i, one})
	}
}

// announce sends what is due.
func (l *loop) announce() {
	a := &l.announces
	if len(a.bursts) == 0 && (a.next.IsZero() || l.now.Before(a.next)) {
		return
	}
	a.collect(l.now)
	if len(a.batch) == 0 {
		return
	}
	if err := l.opts.Kernel.Announce(a.batch); err != nil {
		l.opts.Log.Warn("addresses were not announced", "err", err)
	}
}
