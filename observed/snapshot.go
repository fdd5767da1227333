package observed

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/vrrp"
)

// Snapshot is what one node knows at one moment. It is a value: nothing in it
// changes after it was published.
type Snapshot struct {
	Time       time.Time
	Observer   string // the node whose view it is
	Standalone bool   // one daemon without a cluster
	Removed    bool   // the others removed the observer: it is in a cluster no more, and has yet to leave it
	Cluster    Cluster
	Nodes      []Node // every member, the observer too, by name
	Links      []Link
	Alerts     []Alert           // open ones, the newest first
	Disarmed   *Disarmed         // nil: fencing and quick take-over are armed
	Policies   map[string]string // split_brain policy of each unit, of the observer's document

	Unconfirmed *Unconfirmed // nil: no revision waits to be confirmed
}

// Unconfirmed is a revision that is taken back unless somebody confirms it.
type Unconfirmed struct {
	Revision uint64 // the present one
	Base     uint64 // which comes back
	By       string
	Until    time.Time // by the observer's clock
}

// Disarmed is a person's decision to freeze fencing and quick take-over.
type Disarmed struct {
	By, Reason string
	Since      time.Time // by the clock of the node that was asked
	Until      time.Time // by the observer's clock
}

// Node returns the member of that name.
func (s *Snapshot) Node(name string) (*Node, bool) {
	for i := range s.Nodes {
		if s.Nodes[i].Name == name {
			return &s.Nodes[i], true
		}
	}
	return nil, false
}

// Cluster is what belongs to no single node.
type Cluster struct {
	Name     string
	ID       string
	Leader   string // empty: none is known
	Voters   []string
	Majority bool   // enough voters answer to change the configuration
	Revision uint64 // committed: what every node should run
}

// Role is what a member is there for.
type Role string

// Roles.
const (
	RoleVoter    Role = "voter"
	RoleWitness  Role = "witness"   // votes and holds nothing
	RoleNonVoter Role = "non-voter" // holds, and does not vote, or not yet
)

// Node is one member.
type Node struct {
	Name          string
	Address       string // host:port of its TLS port
	Role          Role
	Alive         bool      // heard on any channel just now
	Silent        bool      // Alive by its last words, which count no more: nothing came since
	LastSeen      time.Time // on any channel; zero for the observer itself
	Started       time.Time // zero: not known
	Version       string    // empty: not known
	Revision      uint64    // that it runs; 0: not known
	RevisionError string    // why it does not run the cluster's; empty: it does, or is about to
	// StoreError is why its part of the store does not work (the disk stalls or is
	// full, the state is newer): it has no vote meanwhile. Empty: it works.
	StoreError string
	// RestartingUntil is when its daemon, which restarts on purpose, is back at the
	// latest; zero: it does not restart.
	RestartingUntil time.Time
	// ClockAhead is how far its clock is ahead of the observer's; nil: not measured.
	ClockAhead *time.Duration
	Gaps       []string         // where a guarantee has a known gap on this node
	Leases     map[string]Lease // by unit; policy quorum only
	Channels   []Channel
	Sources    []netip.Addr // that it sends adverts from, by its last word; of another member only
	Units      []vrrp.UnitStatus
	Lapsed     []string // units of which it has said nothing for so long, or since before another node took them, that its claim counts no more (R0)
}

// Lease is a unit's right to hold on one node, or that node's attempt to get it
// (policy quorum).
type Lease struct {
	Left    time.Duration // when the snapshot was made; 0: it does not run
	Ballot  string        // for people
	Waiting string        // what is missing to it; empty: nothing
}

// Unit returns the unit of that name.
func (n *Node) Unit(name string) (*vrrp.UnitStatus, bool) {
	for i := range n.Units {
		if n.Units[i].Name == name {
			return &n.Units[i], true
		}
	}
	return nil, false
}

// ChannelKind is a way in which one node hears another.
type ChannelKind string

// Channels.
const (
	Mesh   ChannelKind = "mesh"   // heartbeats
	VRRP   ChannelKind = "vrrp"   // advertisements
	Gossip ChannelKind = "gossip" // membership: what it thinks of the member
	Probe  ChannelKind = "probe"  // ARP and ND
	API    ChannelKind = "api"    // answers to this node's questions
)

// Channel is how the observer hears a member.
type Channel struct {
	Kind      ChannelKind
	Alive     bool
	LastSeen  time.Time     // zero: as for a Link
	RoundTrip time.Duration // 0: not measured
}

// Link says whether one node hears another. A missing pair is not known.
type Link struct {
	From, To string // From listens to To
	Channel  ChannelKind
	Alive    bool
	LastSeen time.Time // zero: adverts arrive steadily, and the time of each is not noted
}

// Event is something that happened on one node.
type Event struct {
	Seq      uint64 // on its node, from 1; anew with each start of the daemon
	Time     time.Time
	Node     string
	Kind     EventKind
	Unit     string
	Instance string // empty: the whole unit
	From, To string // states, revisions, nodes; by kind
	Reason   string
	Evidence []string // which channel said what, how long ago
	Peer     string   // of AlertChanged: the member or stranger concerned
}

// EventKind is what an event is about.
type EventKind string

// Kinds of events.
const (
	StateChanged   EventKind = "state"    // From and To are VRRP states
	ConfigChanged  EventKind = "config"   // From and To are revisions
	MemberChanged  EventKind = "member"   // To is joined, left, removed (told by the node that was asked), restarting, restarted
	AlertChanged   EventKind = "alert"    // To is open or resolved; Reason is the summary
	HandoverAsked  EventKind = "handover" // From and To are nodes
	DaemonChanged  EventKind = "daemon"   // To is started, stopping
	ServiceChanged EventKind = "service"  // Unit is a virtual service, Instance its real server or empty; To is up, down, ...
	VerdictChanged EventKind = "verdict"  // To is Verified or not: who answers after a change of holder
)

// Verified is what an event of kind VerdictChanged goes to when the new holder
// answers, and nobody else: at its Time, when the answer came.
const Verified = "verified"

// Severity is how urgent an alert is.
type Severity uint8

// Severities.
const (
	Info Severity = iota + 1
	Warning
	Critical
)

// IncidentAlert begins the ID of an alert that tells of an incident.
const IncidentAlert = "incident/"

// Alert is a condition that an operator should know of.
type Alert struct {
	Seq      uint64 // of this change on its node, from 1; anew with each start of the daemon
	ID       string // the same condition keeps it until it is resolved
	Code     string // stable: "split_brain", "vrrp_channel_lost", ...
	Severity Severity
	Node     string // that raised it
	Unit     string
	Peer     string // the member or stranger that it is about; empty: none
	Summary  string // what is wrong, one line
	Evidence []string
	Action   string // what hacluster did about it
	Next     string // what a person should do or run
	Since    time.Time
	Resolved time.Time // zero: open
}

// addressOf is where a member's claims say that a virtual address is: without
// the prefix length of the document.
func addressOf(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
