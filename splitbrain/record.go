package splitbrain

import (
	"math"
	"net/netip"
	"time"
)

// Bounds of what a record may carry; Encode and Decode refuse what exceeds
// them. They are chosen so that every claim fits into a datagram beside the
// acknowledgements of a full cluster.
const (
	MaxPayload   = 1200 // bytes of one datagram, the wrapper of a relay included
	MaxNode      = 63   // bytes of a node's name
	MaxUnitName  = 100  // bytes of a unit's name
	MaxFacts     = 300  // bytes of a node's facts
	MaxReason    = 120  // bytes of a refusal's reason
	MaxAcks      = 16   // members known to one node
	MaxAddrs     = 64   // source addresses of one node
	MaxMACs      = 64   // hardware addresses of one node
	MaxClaimVIPs = 200  // bytes of addresses listed in a claim: 40 of IPv4, 11 of IPv6
	MaxParts     = 1024 // datagrams of one record
	MaxAge       = time.Hour
)

// LastSeq is the number of a last will: nothing that its life said counts
// after it.
const LastSeq = math.MaxUint64

// Record is one heartbeat of one node: all that it says of itself and of what
// it knows. Encode makes datagrams of it; a Record that was decoded from one
// datagram holds a part of the claims, and is complete in itself otherwise.
type Record struct {
	Cluster uint64 // incarnation of the cluster; records of others are dropped
	Node    string
	Boot    BootID
	Seq     uint64 // counts records of this life, from 1
	Part    uint16 // number of the datagram within the record, from 0
	Leaving bool   // goodbye: this node is going away on purpose

	// Interval is the node's present heartbeat interval.
	Interval time.Duration
	Acks     []Ack
	Claims   []Claim
	Requests []Request
	Refusals []Refusal
	Invites  []Invite
	Addrs    []netip.Addr // all addresses that its adverts come from; in part 0 only
	Fencing  []FenceWord  // in part 0 only
	MACs     []MAC        // hardware addresses of all its interfaces; in part 0 only
	Facts    []byte       // opaque to this package: revision, version, …; in part 0 only

	// Policy quorum. Electorate is in part 0 only.
	Electorate    Electorate
	LeaseRequests []LeaseRequest
	Grants        []Grant
	Releases      []Release
}

// Ack says what a node knows of one life of another one.
type Ack struct {
	Boot   BootID
	Known  uint64 // highest sequence known, directly or through others
	Direct uint64 // highest sequence received directly; 0: none
	// Age is the time from the reception of Direct to the sending of this
	// record.
	Age time.Duration
}

// Claim is what a node says of one of its units.
type Claim struct {
	Unit     string
	Policy   Policy
	State    State
	StateAge time.Duration // how long before sending it began
	Wants    Want
	Eligible bool
	// Released says that Tenure has ended and its addresses are verified to
	// be gone.
	Released bool
	Tenure   Tenure
	Priority uint8 // effective, now
	Primary  netip.Addr

	// Yielded is the tenure that won when this node let go in a conflict.
	Yielded TenureID
	// Reserved says, beside Released, for whom this node let go.
	Reserved Reservation

	VIPHash uint64
	VIPs    []netip.Addr // in order of address, as far as MaxClaimVIPs allows

	// The last advert heard, and how long before sending. Heard is the zero
	// address when there was none.
	Heard         netip.Addr
	HeardPriority uint8
	HeardAge      time.Duration

	// What its own probes show on the unit's networks, and how long before
	// sending the latest probe that was answered had been sent; 0 also where
	// none ever was.
	Path    PathState
	PathAge time.Duration
	// What its probes of the unit's addresses show, while it does not hold it.
	Sight Sight
}

// Reservation is the right of one requester to take over a released unit
// before all others. The zero value reserves for nobody.
type Reservation struct {
	Request uint64 // the request that it answers
	For     BootID
	Span    time.Duration // R of rule R4
	Age     time.Duration // time from the release to the sending of this record
}

// Request asks the holder of a tenure to hand its unit over to the sender.
type Request struct {
	ID      uint64
	Unit    string
	Tenure  TenureID // asked to end
	Preempt bool     // by priority; otherwise a person or a drain asks, or
	Silence Silence  // what does not answer there
}

// Silence is what a request says of the holder's data path.
type Silence uint8

// Silences.
const (
	SilenceNone Silence = iota
	SilenceVIP          // its own address answers the requester, the unit's addresses do not
	SilencePath         // neither does, while others answer the requester
	SilenceSaid         // the holder itself says that its path is lost
)

// Refusal answers a request.
type Refusal struct {
	ID     uint64
	To     BootID // the requester's
	Reason string // for people
}

// Invite asks a member to request a unit from its holder.
type Invite struct {
	ID   uint64
	Unit string
	To   string // node name
}

// Datagram is a Record, or a part of one, with the way that it came.
type Datagram struct {
	// Via is the member that relayed it; empty when it came from its author.
	Via string
	// Age is how old the record was when Via sent it.
	Age    time.Duration
	Record Record
}
