package cluster

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/cluster/mesh"
	"github.com/hacluster/hacluster/cluster/store"
)

// DefaultPort is the TCP port of the cluster and the UDP port of its gossip; the
// heartbeats have the UDP port after it.
const DefaultPort = 7112

// Options are what a daemon's flags say of the cluster.
type Options struct {
	DataDir string // for example /var/lib/haclusterd; made when missing, 0700
	PID     int    // that the lock of DataDir names; default: this process
	Name    string // of the node: 1 to 63 of a-z 0-9 . -
	Version string // of the program, told to the other members

	Listen    string         // of the TLS port; default [::]:7112
	Advertise netip.AddrPort // where the other members reach this one; may be given to Init and Join instead
	// GossipListen and HeartbeatListen are local UDP addresses. They default to
	// Listen, and to Listen with the next port.
	GossipListen    netip.AddrPort
	HeartbeatListen netip.AddrPort
	// GossipAddr and HeartbeatAddrs are told to the other members. They default to
	// Advertise, and to Advertise with the next port.
	GossipAddr     netip.AddrPort
	HeartbeatAddrs []netip.AddrPort

	// Receive gets each heartbeat; see mesh.Options. It must not block.
	Receive func(mesh.Receipt)

	// Twin is told from where somebody called with this node's own certificate:
	// its identity is on a second machine. It must not block. Nil: nobody asks.
	Twin func(from net.Addr)

	// Memory is the number of what this process and those before it remember together;
	// 0: nothing. Stale is called when the last process that had DataDir had no part in
	// that, before this one counts as the last: it may have done what is not remembered.
	Memory uint64
	Stale  func()

	// Alone asks the network whether another machine has this node's own address; its
	// error ends Open before anything is said in this node's name. It gets the revision
	// that this node ran last, or the zero one. Nil: nobody asks.
	Alone func(own netip.Addr, ran store.Revision) error

	// Machines makes the further parts of the replicated state, empty: it is called
	// each time that the node becomes a member, or starts as one. Apply changes
	// them. Nil: there are none.
	Machines func() []store.Machine

	Timing store.Timing // zero: store.LAN

	// Register adds services to the gRPC server of the TLS port. Every caller of
	// theirs is a member; Peer says which.
	Register func(grpc.ServiceRegistrar)
	// Ready, when closed, lets calls through to the services; nil: at once. A
	// member answers from within Open, before its caller has the Cluster.
	Ready <-chan struct{}

	Logger *slog.Logger // default: slog.Default()
}

// State is where a node stands.
type State string

// The states.
const (
	Waiting State = "waiting" // for init or join
	Joining State = "joining"
	Member  State = "member"
	Removed State = "removed" // the others took it out; leave clears its data
	Failed  State = "failed"  // the disk has stalled or refuses writes, for now, or the state is newer than the program: see Status.Err
)

// InitOptions are what init asks.
type InitOptions struct {
	ClusterName string // for people: 1 to 63 of a-z 0-9 . -
	Advertise   netip.AddrPort
	Text        string // of the first revision
	Author      string
	Message     string
	RequestID   string
}

// JoinOptions are what join asks.
type JoinOptions struct {
	Token     string   // as printed by token create
	Addrs     []string // host:port of members; those in the token are tried after them
	Advertise netip.AddrPort
	Witness   bool           // vote and hold nothing, with a token for a voter or for a witness
	Progress  func(JoinStep) // called for each step, may be nil
	// Examine looks at the node among the others, when it knows all that they do and
	// before it becomes a member that may hold anything; its error ends the join.
	// The detail is for the step. May be nil.
	Examine func(context.Context, Candidate) (detail string, err error)
	Timeout time.Duration // for the whole; default 60 s
}

// Candidate is a node that was let in and is no member yet.
type Candidate struct {
	Role     store.Role
	Members  []store.Member // all that have joined
	Revision store.Revision // the newest
	// Conn is the connection to a member.
	Conn func(node string) (grpc.ClientConnInterface, error)
	// Trial is the node's own.
	Trial Trial
}

// JoinStep is one step of a join, begun or ended.
type JoinStep struct {
	Name   string // one of the Step constants
	Done   bool   // false: begun
	Err    error  // why it ended without success
	Detail string // which address answered, how far the log has come
}

// The steps of a join, in order.
const (
	StepParse       = "check token"
	StepDial        = "reach a member"
	StepPin         = "check the cluster's fingerprint"
	StepAdmit       = "ask for admission"
	StepCertificate = "store certificate"
	StepCatchUp     = "catch up"
	StepExamine     = "test the networks"
	StepPromote     = "become a member"
)

// TokenOptions are what token create asks.
type TokenOptions struct {
	Role store.Role    // default voter
	TTL  time.Duration // default one hour; 1 minute to 30 days
	Uses int           // default 1; AnyUses: until it expires
	By   string        // who asks
}

// AnyUses lets a token be used until it expires.
const AnyUses = -1

// Status is what a node knows of its cluster without asking anybody.
type Status struct {
	State       State
	Err         error // of state Failed
	Name        string
	NodeID      string
	ClusterID   string
	ClusterName string
	Fingerprint string // of the cluster's authority
	Advertise   netip.AddrPort
	Role        store.Role // empty while the node is in no cluster
	Leader      string     // name; empty when none is known
	Term        uint64
	Applied     uint64 // Raft index of the last command in the local state
	Revision    uint64 // newest known
	CertEnds    time.Time
	Voters      []Voter
}

// Voter is a member with a vote, as this node sees it.
type Voter struct {
	Name     string
	Addr     netip.AddrPort
	Leader   bool
	LastSeen time.Time // of its last answer to this node; zero: never; now for itself
}
