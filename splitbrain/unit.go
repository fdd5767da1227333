package splitbrain

import (
	"net/netip"
	"slices"
	"time"
)

// State is the state of a unit, with the operator's words.
type State uint8

// States.
const (
	Init State = iota
	Backup
	Master
	Fault
)

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "INVALID"
}

var stateNames = [...]string{"INIT", "BACKUP", "MASTER", "FAULT"}

// Want is what a BACKUP would do if nobody held it back.
type Want uint8

// Wants.
const (
	WantNothing Want = iota
	WantHeld         // its timer ended and no advert was heard; a Hold keeps it in BACKUP
	WantPreempt      // it hears only lower-priority adverts of members and may preempt
)

// Policy is what a unit does about split brain. Mesh is the default.
type Policy uint8

// Policies.
const (
	PolicyMesh   Policy = 0 // members' records decide beside the adverts
	PolicyOff    Policy = 1 // plain VRRP; claims are still told to the others
	PolicyQuorum Policy = 2 // only who has a lease from a majority of the voters holds
)

func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "unknown"
}

var policyNames = [...]string{"mesh", "off", "quorum"}

// BootID names one life of a node's process. It is random, and never zero for
// a real life.
type BootID uint64

// Tenure is one stay of a unit in MASTER: its number within the life of the
// process, and the priority and primary address of the unit's first instance
// when it began. Zero Seq: never was master.
type Tenure struct {
	Seq      uint64
	Priority uint8
	Primary  netip.Addr
}

// TenureID names a tenure in the whole cluster. The zero value names none.
type TenureID struct {
	Boot BootID
	Seq  uint64
}

// Advert is the last acceptable advertisement heard for a unit.
type Advert struct {
	From     netip.Addr
	Priority uint8
	At       time.Time // zero: none heard
}

// UnitView is the observed state of one unit of this node.
type UnitView struct {
	Name   string
	Policy Policy
	State  State
	Since  time.Time // when State began
	Wants  Want
	Tenure Tenure // the present one in MASTER, the last one otherwise

	// Released says, when not MASTER, that the addresses of the last tenure
	// are gone, verified by a dump. Without it nobody hurries to take over.
	Released bool

	// Eligible says that the unit could serve if it had to: it is not in
	// FAULT and not being shut down.
	Eligible bool
	Priority uint8 // effective, of the first instance
	Primary  netip.Addr
	Sources  []netip.Addr // the addresses that all its instances send from
	VIPs     []netip.Addr // advertised and excluded, in any order
	Heard    Advert

	AdvertInterval   time.Duration // the longest of its instances
	DownTimerAdverts int           // 0: 3

	// KernelLease is K of rule R7: how long addresses of a hung holder may
	// outlive its last sign of life. 0: 2 × AdvertInterval.
	KernelLease time.Duration

	// Lease is L of rule R6, for policy quorum: MinLease to MaxLease. 0:
	// max(2 × AdvertInterval, MinLease).
	Lease time.Duration

	// Networks are where it serves, for the probes. Without them nothing is
	// probed, and the rules that need probes rest.
	Networks []Network

	// AllowForeign are addresses of routers outside the cluster that share
	// this virtual router on purpose (unicast_peer, allow_foreign).
	AllowForeign []netip.Prefix
}

// sends reports whether adverts of the unit come from the address.
func (u *UnitView) sends(a netip.Addr) bool {
	return a.IsValid() && (a == u.Primary || slices.Contains(u.Sources, a))
}

// skew is Skew_Time (RFC 3768 section 6.1, RFC 9568 section 6.1).
func (u *UnitView) skew() time.Duration {
	return u.AdvertInterval * time.Duration(256-int(u.Priority)) / 256
}

// masterDown is Master_Down_Interval with keepalived's down_timer_adverts.
func (u *UnitView) masterDown() time.Duration {
	n := u.DownTimerAdverts
	if n == 0 {
		n = 3
	}
	return time.Duration(n)*u.AdvertInterval + u.skew()
}

// fresh is how long a claim on the unit counts (R0): until then the addresses
// of a holder that hangs may still answer, and no Master_Down_Timer ends
// sooner than 2 × Advert_Int after a death anyway.
func (u *UnitView) fresh(heartbeat time.Duration) time.Duration {
	k := u.KernelLease
	if k == 0 {
		k = 2 * u.AdvertInterval
	}
	return max(3*heartbeat, k+k/10+20*time.Millisecond)
}

// outranks reports whether (priority, address) a comes before b in the order
// of VRRP: the higher priority, then the higher address.
func outranks(aPriority uint8, aAddr netip.Addr, bPriority uint8, bAddr netip.Addr) bool {
	if aPriority != bPriority {
		return aPriority > bPriority
	}
	return aAddr.Compare(bAddr) > 0
}
