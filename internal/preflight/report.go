package preflight

import (
	"net/netip"
	"time"
)

// Severity is how much a finding matters.
type Severity string

// Severities, the gravest last.
const (
	OK      Severity = "ok"
	Note    Severity = "note"    // to know, nothing to do
	Warning Severity = "warning" // works now, and a further fault would hurt
	Error   Severity = "error"   // does not work
)

// Finding is the result of one check.
type Finding struct {
	Severity Severity
	Check    string // stable word, for scripts: "l2", "vrid", "vip", ...
	Node     string // where; empty: the cluster
	Summary  string
	Evidence []string
	Remedy   string
	// TwoHolders says that, left so, two machines may answer for one address: who
	// is about to join does not.
	TwoHolders bool
	// NoVote says that, left so, the vote of a witness that is about to join would not
	// count, and it has nothing else to give: it does not join either.
	NoVote bool
}

// Network is one interface and family on which a node serves virtual addresses.
type Network struct {
	Interface string
	IPv6      bool
	Source    netip.Addr // of the node, there; zero: none
	Group     netip.Addr // multicast group of the adverts
	Unicast   bool       // no instance there uses multicast
	Instances []string
	VRIDs     []int        // in the order of Instances
	VIPs      []netip.Addr // of this family

	AllowForeign []netip.Addr // routers outside the cluster that may advertise there

	// DropsOwn: the kernel drops what arrives there from an address that the node
	// has itself (IPv4, accept_local 0).
	DropsOwn bool
}

// Peer is another node that takes part, or a member that may not answer.
type Peer struct {
	Name  string
	Addrs []netip.Addr // from which it sends on the networks of virtual addresses
	MACs  []string
}

// Plan is what one node is to examine.
type Plan struct {
	Node     string
	Session  uint64
	Networks []Network
	Peers    []Peer
	Window   time.Duration // how long is listened; see ShortWindow
	Findings []Finding     // what is known of the machine; the report begins with it
	Trial    Trial         // of heartbeats; nil: they are not tried, as between members, whose own show the same
}

// Trial tries whether heartbeats pass between this node and others: who sends none
// yet would otherwise find out when it is a member.
type Trial interface {
	Try(id uint64, members []string) error // sends one
	Tried(id uint64) []string              // whose came
}

// Heard is a test datagram that arrived.
type Heard struct {
	From      string
	Interface string
	IPv6      bool
	Kind      Kind
}

// Router is a router that was heard to advertise.
type Router struct {
	Interface string
	IPv6      bool
	Source    netip.Addr
	VRID      int
	Version   int
	Priority  int
}

// Responder is a hardware address that answers for a virtual address, or for one
// of a member's own.
type Responder struct {
	Interface string
	Addr      netip.Addr
	MAC       string
}

// Link is what a node knows of its channels from another member.
type Link struct {
	Peer      string
	Heartbeat time.Duration // age of the last heartbeat received directly; negative: none ever was
	Gossip    string        // alive, lost, left or empty: unknown
}

// Report is what one node found. It travels as JSON: a reader ignores fields that
// it does not know.
type Report struct {
	Node       string
	Witness    bool
	At         time.Time // by the node's clock, when the report was made
	Networks   []Network
	Peers      []Peer       // whom it knows
	Addrs      []netip.Addr // all addresses of the node
	MACs       []string     // of all its interfaces
	Heard      []Heard
	Routers    []Router
	Responders []Responder
	Links      []Link
	Tries      bool      // trials of heartbeats are sent and looked for
	Tried      []string  // of whom such a trial came
	Calls      bool      // the node that is about to join is called back by TCP
	Called     bool      // and it answered
	Findings   []Finding // of its own: about the machine, and what could not be tested
}
