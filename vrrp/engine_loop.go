package vrrp

import (
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hacluster/hacluster/vrrp/packet"
)

// loop is the state of an engine. It belongs to whoever has the engine's turn.
type loop struct {
	opts      *Options
	listen    func(*openSocket) // starts the reader of a socket
	ended     bool
	published *atomic.Pointer[[]UnitStatus]

	now       time.Time     // of this wake-up
	armed     time.Time     // what the alarm is set to; zero: it has gone off, or none
	suspended time.Duration // of the machine, when it was last asked

	units       []*unitShell // in the order of their specs
	byName      map[string]*unitShell
	schedule    schedule
	links       map[string]Link
	sockets     map[socketKey]*openSocket
	virtual     map[virtualKey]bool // addresses that no instance may send from
	kin         map[netip.Addr]bool // members' addresses, as far as they are known
	kinComplete bool                // they all are

	ops       []op // kernel work, and what must follow it, oldest first
	nextOp    int
	announces announcer
	leftovers []leftover // what could not be released yet

	speaking []*instanceShell // behind a gate, with an advert among those that leave next
	renewing []*unitShell     // scratch memory of prolong
	closing  []*unitShell     // let go, and their slots not yet freed

	claims  int       // instances that hold addresses
	renewAt time.Time // counts while claims > 0
	renewBy time.Time // then it waits for no advert any more
	retryAt time.Time // zero: nothing to try again

	alarmed bool      // the turn was begun by the alarm
	feedAt  time.Time // when Feed is due; zero: it is not

	giveUpAt time.Time // end of the shutdown; zero: it has not begun

	dirty     bool      // a unit's status has changed
	publishAt time.Time // when less urgent changes are published; zero: none
}

// unitShell is a unit with what the engine knows of it.
type unitShell struct {
	spec      UnitSpec
	machine   *Unit
	instances []*instanceShell
	shortest  time.Duration   // least Advert_Int of its instances
	tracks    map[string]bool // keys of what its instances track

	gate  unitGate
	order int       // place among the units
	due   time.Time // its deadline, while in the schedule
	slot  int       // index in the schedule, or -1

	pending int // how many of its ops are queued
	ended   bool

	status UnitStatus
	dirty  bool
}

// instanceShell is one virtual router of a unit.
type instanceShell struct {
	unit       *unitShell
	spec       *InstanceSpec
	socket     *openSocket     // nil while there is none
	source     netip.Addr      // zero: none
	sourceTold bool            // the unit knows of it
	dialect    packet.Checksum // in which it sends
	out        outgoing
	receiver   receiver

	claimed   bool
	claimedAt time.Time
	speaks    time.Duration // until when its last advert speaks for the gate

	event    Event        // the last advert, ready to be delivered again
	heard    []netip.Addr // the addresses in it
	sent     uint64
	received uint64
	differs  uint64
	rejected map[packet.Reason]uint64
	quiet    map[string]time.Time // what was logged last when
}

func newLoop(opts *Options, published *atomic.Pointer[[]UnitStatus], listen func(*openSocket)) *loop {
	l := &loop{
		opts:      opts,
		listen:    listen,
		published: published,
		now:       time.Now(),
		byName:    make(map[string]*unitShell),
		links:     make(map[string]Link),
		sockets:   make(map[socketKey]*openSocket),
		virtual:   make(map[virtualKey]bool),
	}
	l.announces.paced = make(map[string]*pacedQueue)
	return l
}

// wake begins a turn. It says whether the loop still runs.
func (l *loop) wake() bool {
	if l.ended {
		return false
	}
	l.refresh()
	return true
}

// finish does everything that follows from what happened in a turn.
func (l *loop) finish() {
	l.settle()
	l.publish()
	l.feed()
	l.arm()
}

// refresh reads the clock, and tells the units when this process did not run
// for so long that others may have taken over (R8).
func (l *loop) refresh() {
	before := l.now
	l.now = time.Now()

	var away time.Duration
	if due := l.earliest(); !due.IsZero() {
		// It did run when it read the clock before.
		away = min(l.now.Sub(due), l.now.Sub(before))
	}
	// Only a master can have lost something while the machine slept: to a
	// backup, whose timer stood still as well, it is as if nothing had been.
	if l.opts.Suspended != nil && l.claims > 0 {
		total := l.opts.Suspended()
		away = max(away, total-l.suspended)
		l.suspended = total
	}
	if away < leastPause {
		return
	}
	told := false
	for _, u := range l.units {
		if away >= u.patience(l.opts.Lease) {
			l.step(u, Paused{For: away})
			told = true
		}
	}
	if told {
		l.opts.Log.Warn("this process did not run; masters become backups", "for", away)
	}
}

// leastPause is below the patience of every unit: Advert_Int is 10 ms or more.
const leastPause = 20 * time.Millisecond

// patience is how late the engine may be before the unit can no longer believe
// that it still is what it was.
func (u *unitShell) patience(lease time.Duration) time.Duration {
	if u.gate.slot != nil { // which tells better than the clock what is lost
		return 2 * u.shortest
	}
	return min(lease, 2*u.shortest)
}

// settle does everything that is due, and everything that follows from it.
// Adverts and renewals never wait for more than one call of the kernel.
func (l *loop) settle() {
	for {
		l.tick()
		l.flush()
		l.renew()
		if l.tooLate() || !l.performNext() {
			break
		}
		l.refresh()
		l.feedMeanwhile()
	}
	l.retry()
	l.announce()
	l.freeClosed()
}

// A backup's timer that is noticed late by doubtful ended while this process
// did not run, so adverts may wait in the socket: they get hearing to come in.
const (
	doubtful = 5 * time.Millisecond
	hearing  = 2 * time.Millisecond
)

// tick wakes the units whose deadline has come. Each gets one Tick in a pass:
// a deadline that stays in the past cannot hold up the others.
func (l *loop) tick() {
	for range len(l.schedule) {
		if len(l.schedule) == 0 || l.schedule[0].due.After(l.now) {
			return
		}
		u := l.schedule[0]
		t0 := l.look(u)
		ev := Event(Tick{})
		if l.late(u) {
			ev = Late{hearing}
		}
		l.stepFrom(t0, u, ev)
	}
}

// late says that the unit would take over later than it meant to.
func (l *loop) late(u *unitShell) bool {
	return u.slot >= 0 && l.now.Sub(u.due) > doubtful && u.machine.mayDoubt(l.now)
}

// holds says whether an instance of u holds addresses.
func (u *unitShell) holds() bool {
	return slices.ContainsFunc(u.instances, func(i *instanceShell) bool { return i.claimed })
}

// step tells a unit one event and takes over what it wants done.
func (l *loop) step(u *unitShell, ev Event) {
	switch e := ev.(type) {
	case TrackResult:
		if !u.tracks[e.Key] {
			return
		}
	case Startup:
		u.gate.granted = e.Heritage.Granted
	case Lease:
		l.grant(u, e)
		return
	case Advert:
		if u.due.After(l.now) { // it makes no MASTER
			l.stepFrom(0, u, ev)
			return
		}
	}
	if _, heard := ev.(Advert); !heard && l.late(u) { // as in tick, which comes after it
		l.stepFrom(l.look(u), u, Late{hearing})
	}
	l.stepFrom(l.look(u), u, ev)
}

// stepFrom is step with the time of look.
func (l *loop) stepFrom(t0 time.Duration, u *unitShell, ev Event) {
	wants, state, tenure := u.machine.wants, u.machine.state, u.machine.tenure.Seq
	actions := u.machine.Step(l.now, ev)
	var stood time.Duration
	if u.machine.state == Master && (state != Master || u.machine.tenure.Seq != tenure) {
		stood = l.enter(u, t0)
	}
	if u.machine.wants != wants || !steady(ev, actions) {
		l.soil(u)
	}
	for _, a := range actions {
		l.accept(u, a)
	}
	if u.ended {
		l.schedule.remove(u)
	} else {
		l.schedule.update(u, u.machine.Deadline())
	}
	if stood > 0 {
		l.step(u, Paused{For: stood})
	}
}

// steady says that the unit does what it does all the time: hear an advert or a
// verdict, or send an advert.
func steady(ev Event, actions []Action) bool {
	switch ev.(type) {
	case Advert, Tick, Late, Hold, Members:
	default:
		return false
	}
	for _, a := range actions {
		if _, ok := a.(SendAdvert); !ok {
			return false
		}
	}
	return true
}

// earliest is when the engine must next be awake; zero: never.
func (l *loop) earliest() time.Time {
	at := l.schedule.earliest()
	if l.claims > 0 {
		at = sooner(at, l.renewAt)
	}
	at = sooner(at, l.retryAt)
	at = sooner(at, l.publishAt)
	at = sooner(at, l.feedAt)
	return sooner(at, l.announces.next)
}

// sooner is the earlier of two times, of which zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// arm sets the alarm. A deadline that only moved later leaves it as it is: a
// backup's does so with each advert, and one wake-up too many in an interval
// is cheaper than setting the alarm for each.
func (l *loop) arm() {
	at := l.earliest()
	if at.IsZero() || !l.armed.IsZero() && !at.Before(l.armed) {
		return
	}
	l.armed = at
	l.opts.Alarm.Set(at)
}

// passTime is what a pass over the addresses of 255 routers may take, and
// passPatience for how long a pass waits for adverts in all.
const (
	passTime     = 3 * time.Millisecond
	passPatience = 30 * time.Millisecond
)

func (l *loop) renewIn(d time.Duration) {
	l.renewAt = l.now.Add(d)
	l.renewBy = l.renewAt.Add(passPatience)
}

// renew prolongs what is held. Nobody else does it: when the loop hangs, the
// kernel lets the addresses go.
func (l *loop) renew() {
	if l.claims == 0 || l.now.Before(l.renewAt) {
		return
	}
	// A pass over many addresses takes long enough to unsettle an advert that is
	// due meanwhile: that one goes first, and the pass follows it.
	next := l.schedule.earliest()
	if next.After(l.now) && next.Sub(l.now) < passTime && next.Before(l.renewBy) {
		l.renewAt = next
		return
	}
	l.renewIn(l.renewEvery())
	except, all := l.notRenewed()
	if all {
		return
	}
	err := l.opts.Kernel.Renew(except...)
	l.renewedByLifetime()
	if err == nil {
		return
	}
	l.opts.Log.Error("addresses were not renewed", "err", err)
	if errors.Is(err, ErrLapsed) {
		// The kernel may have removed them, and another node may hold them:
		// as after a pause, whoever was master asks anew.
		for _, u := range l.units {
			l.step(u, Paused{For: l.opts.Lease})
		}
	}
}

// deliver gives events to units by name.
func (l *loop) deliver(deliveries []Delivery) {
	for _, d := range deliveries {
		units := l.units
		if d.Unit != "" {
			units = nil
			if u := l.byName[d.Unit]; u != nil {
				units = []*unitShell{u}
			}
		}
		for _, u := range units {
			for _, ev := range d.Events {
				l.step(u, ev)
			}
		}
	}
}

// shutdownWithin bounds the goodbyes. What is not released by then expires.
const shutdownWithin = 10 * time.Second

// shutdown ends all units, and the loop.
func (l *loop) shutdown() {
	l.giveUpAt = l.now.Add(shutdownWithin)
	for _, u := range l.units {
		l.step(u, Shutdown{Reason: "stopped"})
	}
	l.settle()
	l.publish()
	l.closeSockets()
	l.ended = true
}

// tooLate says that the engine has been stopping for so long that what is left
// to do is given up.
func (l *loop) tooLate() bool {
	if l.giveUpAt.IsZero() || l.now.Before(l.giveUpAt) || l.nextOp == len(l.ops) {
		return false
	}
	l.opts.Log.Error("stopped before all addresses were removed; the rest expires", "left", len(l.ops)-l.nextOp)
	return true
}
