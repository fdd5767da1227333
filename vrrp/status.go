package vrrp

import (
	"net/netip"
	"time"
)

// Want is what a BACKUP would do if nobody held it back.
type Want uint8

// Wants.
const (
	WantNothing Want = iota
	WantHeld         // Master_Down_Timer ended, no advert heard, a Hold keeps the unit in BACKUP
	WantPreempt      // only lower-priority adverts of members are heard, and preemption is allowed
)

func (w Want) String() string { return [...]string{"", "held", "preempt"}[w] }

// UnitStatus is the observed state of one unit. It is a value, made by the
// engine after each change and never changed afterwards.
type UnitStatus struct {
	Name     string
	Group    bool
	State    State
	Since    time.Time
	Reason   string // why it is in this state, for people
	Wants    Want
	Tenure   Tenure   // the present one in MASTER, the last one otherwise
	Priority Priority // effective, of the first instance
	Primary  netip.Addr
	// Lingering says that addresses could not be removed when the unit let go,
	// or that a dump did not show them gone.
	Lingering bool
	Gate      GateStatus
	Instances []InstanceStatus
}

// InstanceStatus is the observed state of one virtual router.
type InstanceStatus struct {
	Name           string
	Interface      string
	Family         Family
	VRID           VRID
	State          State
	Priority       Priority // effective
	BasePriority   Priority
	AdvertInterval time.Duration
	Source         netip.Addr
	Addresses      []netip.Prefix // advertised and excluded
	Faults         []string       // reasons, for people; empty unless in FAULT
	LastAdvert     AdvertSeen
	Rejected       map[string]uint64 // adverts refused at reception, by reason
	AddrsDiffer    uint64            // adverts accepted although they name other addresses
	Sent, Received uint64
}

// AdvertSeen is the last acceptable advertisement heard.
type AdvertSeen struct {
	From     netip.Addr
	Priority Priority
	Interval time.Duration
	Addrs    []netip.Addr
	At       time.Time // zero: none
}
