package vrrp

import (
	"slices"
	"time"
)

// Will is what is left to do for one instance when this process dies: somebody
// else removes its addresses then, and says goodbye for it.
type Will struct {
	Instance  string
	Addresses []Address // claimed, or about to be; empty: nothing is left to do

	// Gated says that the unit's slot in the kernel gate guards them.
	Gated bool

	// Farewell is the instance's adverts of priority 0, ready to be sent from
	// the interface with the given index. Empty: it could not send now.
	Family   Family
	Index    int
	Farewell []Datagram

	// Silence is for how long the engine may leave Options.Feed uncalled before
	// it must be taken for hung: 2 × Advert_Int, K of rule R7, but at least
	// leastSilence.
	Silence time.Duration
}

const (
	// leastSilence is what a process on a busy machine may be late by.
	leastSilence = 200 * time.Millisecond
	// idleFeed is the time between two feeds of an engine that holds nothing.
	idleFeed = 2500 * time.Millisecond
	// feeds is how many are due within one Silence.
	feeds = 4
)

// silence is that of one instance.
func (s *InstanceSpec) silence() time.Duration { return max(2*s.AdvertInterval, leastSilence) }

// testify makes the will of an instance known: before it claims, and after it
// has let go of something.
func (l *loop) testify(instance string, i *instanceShell, claims bool) {
	if l.opts.Will == nil {
		return
	}
	w := Will{Instance: instance}
	for _, o := range l.leftovers {
		if o.instance == instance {
			w.Addresses = append(w.Addresses, o.addrs...)
		}
	}
	if i != nil {
		w.Silence, w.Gated = i.spec.silence(), i.unit.gate.slot != nil
		if claims {
			w.Addresses = append(w.Addresses, without(i.spec.held(), w.Addresses)...)
			w.Family, w.Index, w.Farewell = i.spec.Family, l.links[i.spec.Interface].Index, i.farewell()
		}
	}
	l.opts.Will(w)
}

// testifyAgain is testify for an instance whose farewell may have changed.
func (l *loop) testifyAgain(i *instanceShell) {
	if i.claimed {
		l.testify(i.spec.Name, i, true)
	}
}

// farewell is what an instance sends when it lets go (RFC 9568 section 6.4.3).
func (i *instanceShell) farewell() []Datagram {
	if i.socket == nil || !i.source.IsValid() {
		return nil
	}
	out, err := i.build(0)
	if err != nil {
		return nil // an advert that cannot be built is told when it is due
	}
	return out.datagrams
}

// named finds an instance by name, or returns nil.
func (l *loop) named(instance string) *instanceShell {
	for _, u := range l.units {
		if i := u.instance(instance); i != nil {
			return i
		}
	}
	return nil
}

// feed tells who watches over this process that the engine runs: at a turn that
// the alarm began, because an engine that only hears others has stopped.
func (l *loop) feed() {
	alarmed := l.alarmed
	l.alarmed = false
	if l.opts.Feed == nil {
		return
	}
	every := l.feedEvery()
	if alarmed && !l.now.Add(every/2).Before(l.feedAt) {
		l.opts.Feed()
		l.feedAt = l.now.Add(every)
		return
	}
	l.feedAt = sooner(l.feedAt, l.now.Add(every)) // something was claimed
}

// feedMeanwhile is feed for a turn with many calls of the kernel: each one that
// comes back shows that the engine runs.
func (l *loop) feedMeanwhile() {
	if l.opts.Feed != nil && !l.now.Before(l.feedAt) {
		l.opts.Feed()
		l.feedAt = l.now.Add(l.feedEvery())
	}
}

// feedEvery is a fraction of the shortest Silence of what is held.
func (l *loop) feedEvery() time.Duration {
	every := idleFeed
	if l.claims == 0 {
		return every
	}
	for _, u := range l.units {
		if slices.ContainsFunc(u.instances, func(i *instanceShell) bool { return i.claimed }) {
			every = min(every, max(2*u.shortest, leastSilence)/feeds)
		}
	}
	return every
}
