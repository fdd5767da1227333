package cluster

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/cluster/store"
)

var errSkeleton = errors.New("cluster: under construction")

// Cluster is one node's part in its cluster.
type Cluster struct{ o Options }

// Open takes the data directory and reads who this node is. It changes nothing
// when it fails: *RunningError, or data of a newer version or another node.
func Open(o Options) (*Cluster, error) { return nil, errSkeleton }

// Run serves until ctx is done, then releases everything.
func (c *Cluster) Run(ctx context.Context) error { return errSkeleton }

// Status returns what this node knows without asking anybody.
func (c *Cluster) Status() Status { return Status{} }

// StateChanged returns a channel that is closed when Status.State changes next.
func (c *Cluster) StateChanged() <-chan struct{} { return nil }

// Init makes a cluster of this one node, with a first revision.
func (c *Cluster) Init(ctx context.Context, o InitOptions) error { return errSkeleton }

// Join makes this node a member. Any failure leaves the host as it was.
func (c *Cluster) Join(ctx context.Context, o JoinOptions) error { return errSkeleton }

// Leave takes this node out of its cluster and deletes its keys.
func (c *Cluster) Leave(ctx context.Context, last bool) (remaining []store.Member, err error) {
	return nil, errSkeleton
}

// CreateToken makes a token and returns its text, which is not kept, and members
// to join at.
func (c *Cluster) CreateToken(ctx context.Context, o TokenOptions) (text string, token store.Token, addrs []string, err error) {
	return "", store.Token{}, nil, errSkeleton
}

// Tokens lists the tokens.
func (c *Cluster) Tokens(ctx context.Context) ([]store.Token, error) { return nil, errSkeleton }

// RevokeToken makes a token useless.
func (c *Cluster) RevokeToken(ctx context.Context, id, by string) error { return errSkeleton }

// Propose commits a revision and returns it without its text: *store.ConflictError,
// *NoMajorityError (nothing changed), *store.UnknownOutcomeError.
func (c *Cluster) Propose(ctx context.Context, p store.Proposal) (store.Revision, error) {
	return store.Revision{}, errSkeleton
}

// Sync makes the reads after it linearizable, or fails with a *NoMajorityError.
func (c *Cluster) Sync(ctx context.Context) error { return errSkeleton }

// Revisions gives the local history: Latest, Get, History, ByRequest, Watch. Nil
// before Status.State is Member.
func (c *Cluster) Revisions() *store.Revisions { return nil }

// Members lists the members that this node knows.
func (c *Cluster) Members() []store.Member { return nil }

// MembersChanged returns a channel that is closed when Members changes next.
func (c *Cluster) MembersChanged() <-chan struct{} { return nil }

// Conn returns the connection to a member, made when needed and closed when the
// member goes.
func (c *Cluster) Conn(node string) (grpc.ClientConnInterface, error) { return nil, errSkeleton }

// Peer returns the name of the member that made the call of ctx on the TLS port.
func Peer(ctx context.Context) (node string, ok bool) { return "", false }
