package vrrp

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/vrrp/packet"
)

// VRID is a virtual router identifier, 1 to 255.
type VRID uint8

// Priority is a VRRP priority: 1 to 254, 255 for the address owner; 0 on the
// wire only, from a master that leaves.
type Priority uint8

// Owner is the priority of the router that owns the virtual addresses.
const Owner Priority = 255

// Family is the address family of a virtual router.
type Family uint8

// Address families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

func (f Family) String() string {
	if f == IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

// UnitSpec is what changes state together on this node: a sync group, or one
// instance in none.
type UnitSpec struct {
	Name      string // the sync group's name, else the instance's; the unit's key everywhere
	Group     bool
	Instances []InstanceSpec // in configuration order; the first one orders the unit

	// KernelLease is what keeps the unit's slot in the kernel gate open. With
	// LeaseByEvents and LeaseByLifetime a unit becomes MASTER by TakeOver only, and
	// one that has no slot renews its addresses only while the event Lease reaches
	// beyond their end. A MASTER that had neither before is held to that only from
	// its first Lease on.
	KernelLease KernelLease
	// LeaseTime is with LeaseByEvents how far ahead an event Lease reaches at
	// most.
	LeaseTime time.Duration
}

// InstanceSpec is what one node runs for one vrrp_instance. It is a value:
// two equal specs mean that nothing changes.
type InstanceSpec struct {
	Name      string
	Interface string
	Family    Family
	VRID      VRID
	Version   int // 2 or 3

	// StartMaster is keepalived's `state MASTER`. Only with priority 255 does
	// it skip the wait for Master_Down_Interval.
	StartMaster bool
	Priority    Priority // base priority, 1 to 255
	// AdvertInterval is Advertisement_Interval: 10 ms to 255 s; whole seconds
	// in version 2, at most 40.95 s in version 3.
	AdvertInterval   time.Duration
	DownTimerAdverts int // intervals in Master_Down_Interval, 1 to 100; RFC: 3
	Preempt          bool
	PreemptDelay     time.Duration // 0 to 1000 s

	LowerPrioNoAdvert    bool // do not answer a lower-priority advert at once
	HigherPrioSendAdvert bool // one more advert before yielding to a higher master
	OwnerIgnoreAdverts   bool
	DontTrackPrimary     bool // ignore faults of Interface
	TrackSource          bool // FAULT while Wire.Source is absent

	Addresses []Address // advertised, in order
	Excluded  []Address // move with the state, never advertised; either family
	Routes    []Route   // present while MASTER
	Tracks    []Track
	Wire      Wire
	Announce  Announce
}

// Address is one virtual address with the words of its line.
type Address struct {
	Prefix    netip.Prefix
	Interface string     // never empty: the instance's interface unless `dev` names another
	Label     string     // IPv4 interface label, or empty
	Scope     uint8      // rtnetlink scope; 0 (global) by default
	Broadcast netip.Addr // zero: none; the unspecified address: derive it (`brd +`)
	Peer      netip.Prefix
}

// Route is one virtual or static route, with the words that are implemented.
type Route struct {
	Dst       netip.Prefix // 0.0.0.0/0 or ::/0 for default
	Via       netip.Addr   // zero: on-link
	Source    netip.Addr   // preferred source (`src`), zero: none
	Interface string       // `dev`, or empty
	Table     int          // 0: main
	Metric    int          // 0: the kernel's default
	Scope     uint8        // rtnetlink scope; 0: let the kernel rules decide
	OnLink    bool
	Type      string // "", unicast, blackhole, unreachable, prohibit, throw
}

// Track is one thing an instance watches. Results arrive as TrackResult with
// the same key; until the first one the tracker counts as not yet known.
type Track struct {
	Key     string // "interface:eth1", "script:chk_nginx", ...
	Weight  int    // 0: FAULT while down; else added while up (positive) or subtracted while down
	Reverse bool   // up and down are swapped
}

// Strangers is what an instance does with adverts, right in themselves, of routers
// that are no members of the cluster (see Kin).
type Strangers uint8

// What to do with strangers.
const (
	FollowStrangers Strangers = iota // plain VRRP
	RefuseDisjoint                   // refuse those that have none of our addresses
	IgnoreStrangers                  // refuse all but peers and AllowForeign
)

// Wire is how an instance speaks.
type Wire struct {
	Auth             packet.Auth
	AuthData         [8]byte
	Checksum         packet.Checksum
	NoChecksumDetect bool       // old_unicast_checksum never
	Group            netip.Addr // multicast destination; 224.0.0.18 or ff02::12 by default
	Source           netip.Addr // zero: the interface's primary (IPv4) or link-local (IPv6) address
	Unicast          bool
	Peers            []Peer
	UnicastTTL       int  // 0: 255
	CheckSource      bool // unicast adverts must come from a peer
	SkipCheckAddrs   bool
	Strangers        Strangers
	AllowForeign     []netip.Addr // never strangers
}

// Peer is one unicast peer.
type Peer struct {
	Addr           netip.Addr
	MinTTL, MaxTTL int // MaxTTL 0: not checked
}

// Announce is the pacing of gratuitous ARP and unsolicited neighbour
// advertisements (RFC 5798 section 6.4.1; garp_* keywords).
type Announce struct {
	Repeat          int           // messages for each address in a burst; keepalived: 5
	Delay           time.Duration // second burst after the first; 0: none; keepalived: 5 s
	Refresh         time.Duration // 0: off
	RefreshRepeat   int
	LowerPrioRepeat int
	LowerPrioDelay  time.Duration
	Interval        time.Duration // gap between two messages on an interface; 0: none
}
