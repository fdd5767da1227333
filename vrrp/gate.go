package vrrp

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// Gate makes the kernel forget the addresses of a unit at an absolute time,
// whatever this process does (rule R7). Only the engine calls it.
type Gate interface {
	// Now reads the clock of deadlines, which goes on while the machine sleeps.
	Now() time.Duration

	// At is the reading of that clock at an instant, never later than it.
	At(kclock.Instant) time.Duration

	// Guards says why the gate does not stand on a link, or nil.
	Guards(ifindex int) error

	// NewSlot takes a slot for one unit. Nothing is dropped before it was opened.
	NewSlot() (GateSlot, error)
}

// GateSlot lets the packets of one unit pass until a time.
type GateSlot interface {
	// Guard makes the slot open and close exactly what is given.
	Guard(Guarded) error

	// Open lets it pass until deadline, and drops it from then until the end of
	// the entry. A deadline that has passed opens nothing.
	Open(deadline, until time.Duration)

	// Close drops it from now on.
	Close()

	// Deadline is the one in force; zero after Close.
	Deadline() time.Duration

	// Free forgets everything; the slot is not used afterwards.
	Free() error
}

// Guarded is what a slot opens and closes.
type Guarded struct {
	Addresses []GuardedAddress
	Routers   []GuardedRouter
}

// GuardedAddress is a virtual address. The interface matters for link-local ones,
// which may be there several times.
type GuardedAddress struct {
	Addr    netip.Addr
	Ifindex int
}

// GuardedRouter is a virtual router as its adverts show it.
type GuardedRouter struct {
	Ifindex int
	Family  Family
	VRID    VRID
}

// KernelLease is what keeps the slot of a unit open.
type KernelLease uint8

// Kernel leases.
const (
	NoKernelLease   KernelLease = iota // no slot: only the lifetime of addresses ends them
	LeaseByAdverts                     // each round of adverts that left (policy mesh)
	LeaseByEvents                      // the event Lease (policy quorum)
	LeaseByLifetime                    // no slot, and the event Lease alone prolongs the lifetime of addresses
)

// leaseAdverts is the kernel lease by adverts, in advertisement intervals.
const leaseAdverts = 2

// lease is K: for how long after an advert of this router its unit may still be
// open. A peer's Master_Down_Timer ends DownTimerAdverts × Advert_Int and Skew_Time
// after that advert, and Skew_Time may be next to nothing, so K stays a tenth below
// that: the two machines' clocks may be slewed apart. Zero: no K is below that and
// still above Advert_Int, after which the next advert comes.
func (s *InstanceSpec) lease() time.Duration {
	if s.DownTimerAdverts < 2 {
		return 0
	}
	return min(leaseAdverts*s.AdvertInterval, time.Duration(s.DownTimerAdverts)*s.AdvertInterval*9/10)
}

// ShortestLease is for how long at most a unit that stands still stays open with
// LeaseByAdverts: K of the instance whose is the shortest. Zero: a unit like this
// cannot have such a lease.
func (s *UnitSpec) ShortestLease() time.Duration {
	var shortest time.Duration
	for n := range s.Instances {
		k := s.Instances[n].lease()
		if k == 0 {
			return 0
		}
		if n == 0 || k < shortest {
			shortest = k
		}
	}
	return shortest
}

// renewal is for how long one renewal opens the unit's slot at most; zero: the unit
// can have no slot, for the reason given.
func (s *UnitSpec) renewal() (time.Duration, string) {
	for n := range s.Instances {
		if s.Instances[n].Priority == Owner {
			return 0, "the addresses are the machine's own (priority 255)"
		}
	}
	if s.KernelLease == LeaseByEvents {
		return s.LeaseTime, ""
	}
	k := s.ShortestLease()
	if k == 0 {
		return 0, "vrrp_down_timer_adverts 1 leaves no time for a lease"
	}
	return k, ""
}

// Lifetimes of addresses behind a gate. The kernel removes them by the second, so
// that nothing stays when nobody renews any more; the gate closed long before.
const (
	lifetimeBeyond  = 2 * time.Second
	longestLifetime = 62 * time.Second
)

// lifetimeBehind is the lifetime of addresses behind a gate that a renewal opens
// for as long as given.
func lifetimeBehind(lease time.Duration) time.Duration {
	seconds := (lease + time.Second - 1).Truncate(time.Second)
	return min(seconds+lifetimeBeyond, longestLifetime)
}

// lingering is for how much longer than its addresses live an entry stays. A
// process that was stopped in the middle of a renewal puts an address back when it
// goes on: for any stop shorter than this, behind a gate that is still closed.
const lingering = time.Minute

// GateStatus is what the kernel gate does with a unit.
type GateStatus struct {
	// Lease is for how long a renewal opens the gate, and so for how long
	// addresses may outlive this process; 0: the unit has no gate.
	Lease time.Duration

	// Missing says why there is none although the configuration wants one.
	Missing string

	// Left is the time until it closes, when the status was made; 0: it is closed.
	Left time.Duration
}
