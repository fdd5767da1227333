package api

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/confirm"
	"github.com/hacluster/hacluster/observed/incident"
	"github.com/hacluster/hacluster/observed/override"
	"github.com/hacluster/hacluster/splitbrain"
)

// Options are what a Server serves.
type Options struct {
	Node    string
	Started time.Time
	Version string
	Commit  string
	Logger  *slog.Logger // default: slog.Default()

	Hub *observed.Hub
	// Refresh brings what the hub says of this node up to date, as far as that is
	// published at changes only. Nil: nothing is.
	Refresh func(ctx context.Context)
	Runner  Runner
	Arbiter Arbiter

	// Examiner looks at this node, for the doctor.
	Examiner Examiner

	// Cluster is nil when the daemon runs standalone.
	Cluster Cluster
	// Revisions is the local history. It is asked only while the node is a
	// member.
	Revisions func() Revisions
	// Apply has a command of the cluster's further machines carried out:
	// *store.Refusal and *cluster.NoMajorityError mean that nothing changed. A
	// standalone daemon carries out those of weights given by hand.
	Apply func(ctx context.Context, operation string, cmd store.Command) ([]byte, error)
	// Confirm is what waits to be confirmed. It is asked only while the node is a
	// member.
	Confirm func() *confirm.Machine
	// Incidents are all that this node knows, the oldest first, in its time. Nil
	// when the daemon runs standalone.
	Incidents func() []incident.Story
	// Decisions are what this node decided around an incident, as far as it has
	// kept that.
	Decisions func(*incident.Story) ([]*splitbrain.Traced, error)
	// Services are the virtual services that this node runs, as it sees them, with
	// their connections. Nil: it runs none.
	Services func(ctx context.Context) ([]director.ServiceStatus, error)
	// Verdicts are Services without connections and counters, which are asked of the
	// kernel. Nil: Services serves.
	Verdicts func(ctx context.Context) ([]director.ServiceStatus, error)
	// Table is how far the kernel's table is what is wanted. Nil: nothing is.
	Table func() lvs.Status
	// Connections calls each with the entries of the kernel's table of connections,
	// until it returns false. Nil: there is none.
	Connections func(ctx context.Context, each func(lvs.Connection) bool) error
	// Overrides are the weights that people gave by hand.
	Overrides func() []override.Override
	// Restart begins a planned restart of the daemon.
	Restart func() error
	// Standalone gives the text that a standalone daemon runs.
	Standalone func() (file, text string)
}

// Cluster is this node's part in its cluster; *cluster.Cluster is one.
type Cluster interface {
	Status() cluster.Status
	Members() []store.Member
	Membership
	Tokens
	// Propose commits a revision: *store.ConflictError and
	// *cluster.NoMajorityError mean that nothing changed,
	// *store.UnknownOutcomeError that nobody knows.
	Propose(ctx context.Context, p store.Proposal) (store.Revision, error)
	// Sync makes the reads after it linearizable.
	Sync(ctx context.Context) error
	// Conn is the connection to another member.
	Conn(node string) (grpc.ClientConnInterface, error)
	// Trial tries whether heartbeats pass.
	Trial() cluster.Trial
}

// Membership is how a node comes into a cluster and out of it.
type Membership interface {
	Init(ctx context.Context, o cluster.InitOptions) (store.Revision, error)
	Join(ctx context.Context, o cluster.JoinOptions) error
	Leave(ctx context.Context, last bool) (remaining []store.Member, err error)
	Remove(ctx context.Context, node string) (remaining []store.Member, err error)
}

// Tokens are the secrets with which nodes join.
type Tokens interface {
	CreateToken(ctx context.Context, o cluster.TokenOptions) (text string, token store.Token, addrs []string, err error)
	Tokens(ctx context.Context) ([]store.Token, error)
	RevokeToken(ctx context.Context, id, by string) error
}

// Revisions is the history of the configuration; *store.Revisions is one.
type Revisions interface {
	Latest() (store.Revision, error)
	Get(number uint64) (store.Revision, error)
	History(limit int) []store.Revision
	ByRequest(requestID string) (store.Revision, bool)
}

// Runner runs revisions on this node.
type Runner interface {
	// Prepare tries a document against this node's interfaces, scripts and
	// kernel, and changes nothing.
	Prepare(ctx context.Context, file, text string) config.Findings
	// Await returns when this node runs the revision or a later one, with an
	// error when it cannot run it, or when ctx is done.
	Await(ctx context.Context, revision uint64) (running uint64, err error)
}

// Arbiter moves units.
type Arbiter interface {
	// RequestHandover asks that the unit move to the named node. Whether it
	// did is seen in the units' states.
	RequestHandover(unit, to string)
}
