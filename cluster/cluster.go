package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
)

// operationTime bounds an operation. It is several elections long: who waits
// longer for a leader waits for a majority that is not there, and wants to be told.
const operationTime = 10 * time.Second

// Cluster is one node's part in its cluster.
type Cluster struct {
	o    Options
	dir  *dataDir
	port *demux

	// operating is held by Init, Join, Leave and Close: one at a time.
	operating sync.Mutex

	mu      sync.Mutex
	state   State
	session *session      // nil in states Waiting and, until admitted, Joining
	changed chan struct{} // closed and replaced when state or session changes
}

// Open takes the data directory and the TLS port, and starts what this node was
// when it last ran. It waits for no other node, but for seconds at most to see
// whether another machine answers at this node's address, and changes nothing when
// it fails: *RunningError, *TwinError, what Options.Alone says, data of a newer
// version or of another node, port in use.
func Open(o Options) (*Cluster, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	dir, err := openDataDir(o)
	if err != nil {
		return nil, err
	}
	node, member, err := dir.load(o.Name)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	port, err := listen(o.Listen, o.Logger)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	c := &Cluster{o: o, dir: dir, port: port, state: Waiting, changed: make(chan struct{})}
	if !member {
		// What an interrupted init or join has left belongs to nobody.
		if err := dir.clear(); err != nil {
			return nil, errors.Join(err, port.Close(), dir.Close())
		}
		return c, nil
	}
	if err = refuseTwin(dir, node); err == nil && o.Alone != nil {
		ran, _ := store.LoadCache(dir.cache(), node.ClusterID) // a damaged one is said when it is to run
		err = o.Alone(node.Advertise.Addr(), ran)
	}
	if err == nil {
		c.session, err = startSession(o, dir, port, node)
	}
	if err != nil {
		return nil, errors.Join(err, port.Close(), dir.Close())
	}
	c.state = Member
	return c, nil
}

func (o *Options) complete() error {
	if err := pki.CheckNodeName(o.Name); err != nil {
		return err
	}
	if o.Listen == "" {
		o.Listen = fmt.Sprintf("[::]:%d", DefaultPort)
	}
	listen, err := netip.ParseAddrPort(o.Listen)
	if err != nil || listen.Port() == 0 || listen.Port() == 65535 {
		return fmt.Errorf("--listen %q is no ADDRESS:PORT that can be used; the default is [::]:%d", o.Listen, DefaultPort)
	}
	if !o.GossipListen.IsValid() {
		o.GossipListen = listen
	}
	if !o.HeartbeatListen.IsValid() {
		o.HeartbeatListen = heartbeatOf(listen)
	}
	if o.PID == 0 {
		o.PID = os.Getpid()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Timing == (store.Timing{}) {
		o.Timing = store.LAN()
	}
	return nil
}

// Run serves until ctx is done, then leaves politely and releases everything. It
// is to be called once after Open; Init, Join and the rest may be called before.
func (c *Cluster) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		c.checkHealth()
		select {
		case <-ticker.C:
		case <-c.removal():
		case <-ctx.Done():
			return c.Close()
		}
	}
}

// removal is closed when the others have removed this node; nil when there is nothing
// to wait for. The node must not wait for the next look: it may be about to take over.
func (c *Cluster) removal() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != Member && c.state != Failed {
		return nil
	}
	return c.session.removed
}

// StepDown lets another node lead, if this one does: it is about to stop for a
// moment, and nobody should wait for an election.
func (c *Cluster) StepDown() {
	s, err := c.current()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.store.HandOver(ctx); err != nil {
		c.o.Logger.Debug("leadership not handed over", "err", err)
	}
}

// Close ends everything. Run calls it.
func (c *Cluster) Close() error {
	c.operating.Lock()
	defer c.operating.Unlock()
	if s := c.setSession(nil, Waiting); s != nil {
		s.stop(true)
	}
	return errors.Join(c.port.Close(), c.dir.Close())
}

// checkHealth notices that the state failed, or that the others removed this node.
func (c *Cluster) checkHealth() {
	s, err := c.current()
	if err != nil {
		return
	}
	state := Member
	switch {
	case s.removedByOthers():
		state = Removed
	case s.store.Err() != nil:
		state = Failed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != s || c.state == state || c.state == Joining {
		return
	}
	c.o.Logger.Info("cluster state changed", "from", string(c.state), "to", string(state))
	c.publish(state)
}

// publish sets the state; c.mu is held.
func (c *Cluster) publish(state State) {
	c.state = state
	close(c.changed)
	c.changed = make(chan struct{})
}

// setSession replaces the session and returns the one before.
func (c *Cluster) setSession(s *session, state State) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.session
	c.session = s
	c.publish(state)
	return before
}

// current returns the session of a node that is a member.
func (c *Cluster) current() (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil || c.state == Joining {
		return nil, ErrNotMember
	}
	return c.session, nil
}

// StateChanged returns a channel that is closed when Status().State changes next.
func (c *Cluster) StateChanged() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Status returns what this node knows without asking anybody.
func (c *Cluster) Status() Status {
	c.mu.Lock()
	state, s := c.state, c.session
	c.mu.Unlock()
	status := Status{State: state, Name: c.o.Name, Advertise: c.o.Advertise}
	if s == nil {
		return status
	}
	leader, _ := s.store.Leader()
	identity := s.identity.Load()
	status.Err = s.store.Err()
	status.NodeID = s.node.ID
	status.ClusterID = s.node.ClusterID
	status.ClusterName = s.node.ClusterName
	status.Fingerprint = identity.Pin().String()
	status.Advertise = s.node.Advertise
	status.Role = s.node.Role
	status.Leader = nameOf(leader.ID)
	status.Term = s.store.Term()
	status.Applied = s.store.Applied()
	status.CertEnds = identity.NotAfter()
	status.Voters = s.voters()
	if list := s.store.Revisions().History(1); len(list) > 0 {
		status.Revision = list[0].Number
	}
	return status
}

// explain turns the lack of a leader into words that say which voters are missing.
func (s *session) explain(operation string, err error) error {
	if err == nil {
		return nil
	}
	_, unknown := errors.AsType[*store.UnknownOutcomeError](err)
	if !unknown && (errors.Is(err, store.ErrNoLeader) || errors.Is(err, store.ErrNotLeader)) {
		return &NoMajorityError{Operation: operation, Voters: s.voters(), Now: time.Now()}
	}
	return err
}

// Propose commits a revision and returns it without its text: *store.ConflictError,
// *NoMajorityError (nothing changed), *store.UnknownOutcomeError.
func (c *Cluster) Propose(ctx context.Context, p store.Proposal) (store.Revision, error) {
	s, err := c.current()
	if err != nil {
		return store.Revision{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	rev, err := s.store.Propose(ctx, p)
	return rev, s.explain("commit a revision", err)
}

// Apply has a command of one of Options.Machines carried out, and returns its
// result when this node's state has it: *store.Refusal and *NoMajorityError
// (nothing changed), *store.UnknownOutcomeError (asking again with the same
// request id is safe). The operation names it in errors, as in "commit a revision".
func (c *Cluster) Apply(ctx context.Context, operation string, cmd store.Command) ([]byte, error) {
	s, err := c.current()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	result, err := s.store.Apply(ctx, cmd)
	return result, s.explain(operation, err)
}

// Sync makes the reads after it linearizable: they see all that was acknowledged
// on any node before. It fails with a *NoMajorityError.
func (c *Cluster) Sync(ctx context.Context) error {
	s, err := c.current()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	return s.explain("read the present state", s.store.Sync(ctx))
}

// Revisions gives the local history: Latest, Get, History, ByRequest, Watch. It is
// nil while the node is in no cluster, and another one after it has joined anew.
func (c *Cluster) Revisions() *store.Revisions {
	s, err := c.current()
	if err != nil {
		return nil
	}
	return s.store.Revisions()
}

// Members lists the members that this node knows, by name.
func (c *Cluster) Members() []store.Member {
	s, err := c.current()
	if err != nil {
		return nil
	}
	return s.members()
}

// MembersChanged returns a channel that is closed when Members changes next, or
// the node's own state does.
func (c *Cluster) MembersChanged() <-chan struct{} {
	s, err := c.current()
	if err != nil {
		return c.StateChanged()
	}
	return s.store.Members().Changed()
}

// Conn returns the connection to another member, made when needed and closed when
// the member goes. It may not stand yet: calls wait for it within their context
// when they ask with grpc.WaitForReady.
func (c *Cluster) Conn(node string) (grpc.ClientConnInterface, error) {
	s, err := c.current()
	if err != nil {
		return nil, err
	}
	return s.conn(node)
}

func (s *session) conn(node string) (grpc.ClientConnInterface, error) {
	for _, m := range s.members() {
		if m.Name == node {
			return s.peers.get(m.Name, m.Addr.String())
		}
	}
	return nil, fmt.Errorf("there is no member %s", node)
}

// CachedRevision returns the revision that this node last applied, from its own
// disk: store.ErrNoRevision, or a *store.CorruptCacheError.
func (c *Cluster) CachedRevision() (store.Revision, error) {
	s, err := c.current()
	if err != nil {
		return store.Revision{}, err
	}
	return store.LoadCache(c.dir.cache(), s.node.ClusterID)
}

// CacheRevision keeps the revision that this node has applied, so that it can start
// from it without anybody.
func (c *Cluster) CacheRevision(rev store.Revision) error {
	s, err := c.current()
	if err != nil {
		return err
	}
	return store.SaveCache(c.dir.cache(), s.node.ClusterID, rev)
}

// advertise chooses the address that the other nodes are told.
func (o Options) advertise(asked netip.AddrPort) (netip.AddrPort, error) {
	addr := asked
	if !addr.IsValid() {
		addr = o.Advertise
	}
	if !addr.IsValid() {
		return netip.AddrPort{}, ErrNoAdvertise
	}
	addr, err := usableAddr(addr.String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--advertise: %w", err)
	}
	return addr, nil
}

// gossipAddrs returns the addresses of gossip and heartbeats that the other nodes
// are told.
func (o Options) gossipAddrs(advertise netip.AddrPort) (gossip netip.AddrPort, heartbeats []netip.AddrPort) {
	gossip, heartbeats = o.GossipAddr, o.HeartbeatAddrs
	if !gossip.IsValid() {
		gossip = advertise
	}
	if len(heartbeats) == 0 {
		heartbeats = []netip.AddrPort{heartbeatOf(advertise)}
	}
	return gossip, heartbeats
}

// heartbeatOf returns the heartbeats' address beside the cluster's: the next port.
func heartbeatOf(addr netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(addr.Addr(), addr.Port()+1)
}
