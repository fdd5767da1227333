package vrrp

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// Options are what an Engine works with. Log, Network, Kernel and Alarm are
// required. The functions must not block: whoever needs time puts the value in
// a queue of its own.
type Options struct {
	Log     *slog.Logger
	Network Network
	Kernel  Kernel
	Alarm   Alarm

	// Notify is told each change of state, in order.
	Notify func(Transition)

	// NoteLower is told each lower-priority advert that a MASTER hears
	// (notify_master_rx_lower_pri).
	NoteLower func(LowerPriority)

	// Publish gets all units, in the order of their specs, after each change
	// other than of counters. Nobody may change the slice.
	Publish func([]UnitStatus)

	// Observe gets each advert heard on a VRID that this node runs, accepted
	// or not: evidence of who else is on the segment.
	Observe func(Observation)

	// Will is told what is left to do for an instance should this process die,
	// before its addresses are claimed and after they are gone. Nil: nobody
	// keeps it.
	Will func(Will)
	// Feed is called by the goroutine that drives the units, several times within
	// the Silence of each Will, and every few seconds when nothing is held. Nil:
	// nobody watches.
	Feed func()

	// Gate is the kernel gate, for the units whose spec wants it; nil: there is
	// none, because of GateMissing.
	Gate        Gate
	GateMissing string

	// Clock reads the clock that an event Lease is counted by; nil: kclock.Now.
	Clock func() kclock.Instant

	// Suspended is how long the machine has been suspended in all
	// (kclock.Suspended). Nil: never.
	Suspended func() time.Duration

	// RenewEvery is the time between two passes of Kernel.Renew over addresses
	// without a gate; 0: 300 ms. Behind a gate addresses live longer, and passes
	// are as much rarer.
	RenewEvery time.Duration

	// Lease is the lifetime of a claimed address without a gate: an engine that
	// was late by as much has lost it; 0: 1 s.
	Lease time.Duration
}

// ApplyOptions say how Apply starts new units.
type ApplyOptions struct {
	// Heritage is what Freeze of the process before returned, by unit, less the
	// time since. It counts for units that are new.
	Heritage map[string]Heritage

	// StartupDelay keeps units that are new in INIT (vrrp_startup_delay).
	StartupDelay time.Duration

	// Recovered says that the process before died, so that units that are new must
	// not preempt soon (see Startup).
	Recovered bool
}

// Delivery is events for one unit, or for all if Unit is empty.
type Delivery struct {
	Unit   string
	Events []Event
}

// Transition is one change of state. Instance is empty when it is the unit's
// own (a sync group's).
type Transition struct {
	At       time.Time
	Unit     string
	Instance string
	From, To State
	Priority Priority
	Reason   string
	Ballot   uint64 // of the lease by which the unit holds, or held last; 0: by none
}

// LowerPriority is an advert of lower priority heard by a MASTER.
type LowerPriority struct {
	At       time.Time
	Unit     string
	Instance string
	From     netip.Addr
	Priority Priority
}

// Observation is one advert heard on a VRID that this node runs.
type Observation struct {
	At        time.Time
	Interface string
	Family    Family
	VRID      VRID
	Instance  string // for which it was judged
	From      netip.Addr
	Version   int // 0 when the packet could not be read
	Priority  Priority
	Interval  time.Duration
	Addrs     []netip.Addr // as on the wire; nobody may change the slice
	Rejected  string       // reason; empty: accepted
	Detail    string       // of the reason, for people: what was found and what is configured
}

// Alarm wakes the engine. Only the engine uses it; kclock has two.
type Alarm interface {
	// Set replaces the deadline; the zero time takes it away. An alarm that
	// has gone off already may still end a Wait afterwards.
	Set(at time.Time)

	// Wait waits until it goes off. It returns false after Close.
	Wait() bool

	// Close ends it, also from another goroutine; again, it does nothing.
	Close() error
}

// Network opens the sockets on which virtual routers talk. RawNetwork is the
// real one.
type Network interface {
	Open(SocketSpec) (Socket, error)
}

// SocketSpec names one socket: all instances of one family on one interface
// share it.
type SocketSpec struct {
	Interface string
	Index     int // kernel's interface index, never 0
	Family    Family
}

// Socket sends and receives the packets of one (interface, family).
type Socket interface {
	// Subscribe sets which VRIDs are received, and to which multicast groups
	// the socket belongs. It replaces what was set before.
	Subscribe(vrids VRIDSet, groups []netip.Addr) error

	// Send sends all of them without waiting, in as few system calls as it
	// can. Failed is called for each one that could not be sent.
	Send(batch []Datagram, failed func(index int, err error))

	// Receive waits for packets and fills batch, whose payloads it overwrites.
	// It returns net.ErrClosed after Close.
	Receive(batch []Packet) (int, error)

	Close() error
}

// Datagram is one packet to send.
type Datagram struct {
	Src, Dst netip.Addr
	TTL      uint8
	Payload  []byte // behind the IP header; not kept
}

// Packet is one packet received.
type Packet struct {
	Src, Dst netip.Addr
	TTL      uint8
	Payload  []byte // behind the IP header
}

// VRIDSet is a set of virtual router identifiers: a bitmap.
type VRIDSet [8]uint32

// Add puts id in the set.
func (s *VRIDSet) Add(id VRID) { s[id>>5] |= 1 << (id & 31) }

// Has says whether id is in the set.
func (s *VRIDSet) Has(id VRID) bool { return s[id>>5]&(1<<(id&31)) != 0 }
