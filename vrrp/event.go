package vrrp

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// State is the state of a virtual router or unit (RFC 9568 section 6.4).
type State uint8

// States. Fault is keepalived's: something that the instance needs is missing.
const (
	Init State = iota
	Backup
	Master
	Fault
)

func (s State) String() string {
	return [...]string{"INIT", "BACKUP", "MASTER", "FAULT"}[s]
}

// Tenure is one stay of a unit in MASTER. Seq counts them over the life of the
// process; priority and address are those of the unit's first instance when
// the tenure began, and never change during it.
type Tenure struct {
	Seq      uint64 // 0: never was master
	Priority Priority
	Primary  netip.Addr
}

// An Event is what a Unit is told. The first group concerns one instance and
// names it; the second one the unit.
type Event interface{ event() }

type (
	// Startup leaves INIT. Delay postpones it (vrrp_startup_delay), unless
	// Heritage says that the unit is MASTER.
	Startup struct {
		Delay    time.Duration
		Heritage Heritage
		// Recovered says that the process before died: there is no preemption
		// before preempt_delay and three Master_Down_Intervals (R8).
		Recovered bool
	}

	// Tick says that a deadline may have passed.
	Tick struct{}

	// Advert is an advertisement that passed all checks of reception.
	Advert struct {
		Instance string
		From     netip.Addr
		Priority Priority
		Interval time.Duration // as on the wire; used in version 3
		Kin      bool          // From is an address of a configured member
	}

	// Late says that the shell comes to a deadline late: what was sent meanwhile
	// may not have been read yet. A BACKUP about to take over waits so much longer,
	// and then its turn: others may have been as late, and all of them would act in
	// one moment.
	Late struct{ Hearing time.Duration }

	// TrackResult is the state of something tracked. It concerns every
	// instance of the unit that tracks Key.
	TrackResult struct {
		Key    string
		Up     bool
		Reason string // for people, without what Key names: "exit status 1", "down"
	}

	// SourceChanged gives the address from which the instance sends: its
	// interface's primary address, or the configured one. The zero address
	// means that there is none, which is a fault.
	SourceChanged struct {
		Instance string
		Source   netip.Addr
	}

	// ClaimFailed says that addresses could not be added, so the instance
	// cannot serve. It is a fault until Retry passes.
	ClaimFailed struct {
		Instance string
		Reason   string
		Retry    time.Duration
	}

	// Respec changes the specification in place: no timer is restarted that
	// need not be, and the state is kept. The unit has the same name, and its
	// instances the same names, interfaces, families and VRIDs.
	Respec struct{ Spec UnitSpec }

	// Paused says that this process did not run for so long (R8). A master
	// goes BACKUP, without priority 0: a successor may reign already.
	Paused struct{ For time.Duration }

	// Shutdown ends the unit: priority 0 goes out, addresses go.
	Shutdown struct{ Reason string }

	// Hold is a verdict: a holder is proved to be alive by other means than
	// adverts. Until then a BACKUP whose timer ends stays BACKUP. When the
	// hold ends without a renewal, the unit waits Rank more and takes over.
	// A zero Until ends the hold, and a timer that has ended then acts at once.
	Hold struct {
		Until  time.Time
		Rank   time.Duration
		Reason string
	}

	// TakeOver is a verdict: the holder is proved to be gone, or has handed
	// over. The unit becomes MASTER after the given delay unless an advert, a
	// Hold or a fault comes first. In MASTER and FAULT it does nothing.
	TakeOver struct {
		After  time.Duration
		Reason string
	}

	// Yield is a verdict: let go. MASTER becomes BACKUP; Tenure must be the
	// present one, else the event is void. With a successor (a node's name)
	// no priority 0 is sent.
	Yield struct {
		Tenure    uint64
		Successor string
		Reason    string
	}

	// Members is a verdict: the addresses of cluster members with which this
	// node is in two-way contact. Their adverts never make a MASTER yield, and
	// a BACKUP does not preempt them by itself: it wants to (UnitStatus.Wants). It
	// preempts other members after a Master_Down_Interval without contact. Nil
	// Addrs: members are nothing special (policy off), as before the first verdict.
	Members struct{ Addrs []netip.Addr }

	// Lease is a verdict: a majority lets the unit hold until then. It opens the
	// kernel gate of a unit with LeaseByEvents, for the tenure that it names; one
	// for the next tenure comes before the TakeOver that begins it. It revives no
	// tenure whose gate ran out.
	Lease struct {
		Tenure uint64
		Until  kclock.Instant
		Ballot uint64 // of the lease, for people and their scripts
	}

	// Reannounce is a verdict: another holder has let go, and neighbours may
	// still point at it. A MASTER announces its addresses again, as often as
	// after a lower-priority advert.
	Reannounce struct{}
)

func (Startup) event()       {}
func (Tick) event()          {}
func (Advert) event()        {}
func (Late) event()          {}
func (TrackResult) event()   {}
func (SourceChanged) event() {}
func (ClaimFailed) event()   {}
func (Respec) event()        {}
func (Paused) event()        {}
func (Shutdown) event()      {}
func (Hold) event()          {}
func (TakeOver) event()      {}
func (Yield) event()         {}
func (Members) event()       {}
func (Lease) event()         {}
func (Reannounce) event()    {}

// An Action is what the shell must do, in the order given.
type Action interface{ action() }

type (
	// SendAdvert sends one advertisement of the instance.
	SendAdvert struct {
		Instance string
		Priority Priority // 0 says goodbye
	}

	// Claim adds the addresses and routes of the instance.
	Claim struct{ Instance string }

	// Release removes the addresses and routes of the instance.
	Release struct{ Instance string }

	// AnnounceAddrs sends Repeat gratuitous ARPs or unsolicited neighbour
	// advertisements for each address of the instance.
	AnnounceAddrs struct {
		Instance string
		Repeat   int
	}

	// Notify reports a change of state to scripts, events and alerts. Instance
	// is empty when it is the unit's own (a sync group's).
	Notify struct {
		Instance string
		From, To State
		Priority Priority
		Reason   string
	}

	// NoteLowerPriority reports a lower-priority advert heard as MASTER
	// (notify_master_rx_lower_pri).
	NoteLowerPriority struct {
		Instance string
		From     netip.Addr
		Priority Priority
	}
)

func (SendAdvert) action()        {}
func (Claim) action()             {}
func (Release) action()           {}
func (AnnounceAddrs) action()     {}
func (Notify) action()            {}
func (NoteLowerPriority) action() {}
