package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// Server is a node as Raft knows it.
type Server struct {
	ID    string // Member.ID
	Addr  string // host:port of its TLS port
	Voter bool
}

// Forwarder carries what only the leader can do to the leader. Both methods
// return ErrNotLeader (wrapped) when the other end does not lead.
type Forwarder interface {
	// Apply has the leader call Store.ApplyEncoded.
	Apply(ctx context.Context, leader Server, command []byte) (reply []byte, err error)
	// ReadIndex has the leader call Store.ReadIndex.
	ReadIndex(ctx context.Context, leader Server) (uint64, error)
}

// Options say what a store works with.
type Options struct {
	Server Server // this node; Voter is not looked at

	// Dir is where the log and the snapshots are; made when missing.
	Dir string
	// Stream makes what carries Raft between the nodes. It is called for each time
	// that the store opens its disk; the store closes what it returns.
	Stream func() raft.StreamLayer
	// Forward reaches the leader from a follower.
	Forward Forwarder

	Timing    Timing    // zero: LAN
	Retention Retention // zero: DefaultRetention
	// Machines are further parts of the state, besides the store's own.
	Machines []Machine
	Logger   *slog.Logger // default: slog.Default()

	// SnapshotAfter is the number of commands after which a snapshot is taken;
	// zero: 1024. As many commands stay in the log behind it.
	SnapshotAfter uint64

	// open opens what Raft works with; nil: openParts. Tests have other disks.
	open func(Options) (*parts, error)
}

// parts are what Raft works with.
type parts struct {
	transport wire
	logs      raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
	close     func() error // everything above
}

// Store is one node's copy of the replicated state and its part in replicating.
//
// The copy lives as long as the Store; Raft below it ends when the disk fails, and
// is opened anew when the disk answers again.
type Store struct {
	o       Options
	self    Server
	forward Forwarder
	log     *slog.Logger

	fsm       *fsm
	revisions *Revisions
	members   *Members
	tokens    *Tokens
	secrets   *Secrets

	replica atomic.Pointer[replica] // replaced by keepOpen only

	closeOnce sync.Once
	closing   chan struct{}
	ended     chan struct{} // closed when keepOpen has ended
	running   sync.WaitGroup
	closeErr  error // set before ended is closed
}

// Open opens or creates the store in o.Dir. A new store is empty and waits:
// Bootstrap makes it a cluster of one, or a leader adds it to its own.
func Open(o Options) (*Store, error) {
	if o.Timing == (Timing{}) {
		o.Timing = LAN()
	}
	if err := o.Timing.check(); err != nil {
		return nil, err
	}
	if o.Retention == (Retention{}) {
		o.Retention = DefaultRetention()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.open == nil {
		o.open = openParts
	}
	if o.SnapshotAfter == 0 {
		o.SnapshotAfter = 1024
	}
	s := &Store{
		o: o, self: o.Server, forward: o.Forward, log: o.Logger,
		closing: make(chan struct{}), ended: make(chan struct{}),
		revisions: newRevisions(o.Retention), members: newMembers(), tokens: newTokens(), secrets: newSecrets(),
	}
	s.fsm = newFSM(append([]Machine{s.revisions, s.members, s.tokens, s.secrets}, o.Machines...), o.Logger)
	r, err := openReplica(o, s.fsm)
	if err != nil {
		return nil, err
	}
	s.use(r)
	go s.keepOpen() // ends with Close
	return s, nil
}

func raftConfig(o Options) *raft.Config {
	c := raft.DefaultConfig()
	c.ProtocolVersion = raft.ProtocolVersionMax // 3, the only one in use
	c.LocalID = raft.ServerID(o.Server.ID)
	c.HeartbeatTimeout = o.Timing.Heartbeat
	c.ElectionTimeout = o.Timing.Election
	c.LeaderLeaseTimeout = o.Timing.Lease
	c.CommitTimeout = min(c.CommitTimeout, o.Timing.Heartbeat/3)
	c.SnapshotThreshold = o.SnapshotAfter
	c.SnapshotInterval = 30 * time.Second
	c.TrailingLogs = o.SnapshotAfter
	c.Logger = newRaftLogger(o.Logger)
	c.NoLegacyTelemetry = true
	return c
}

// openParts opens the log and the snapshots on disk, and the transport.
func openParts(o Options) (*parts, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(o.Dir, "log.db")
	logs, err := raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bbolt.Options{
			Timeout: 2 * time.Second, // for the lock of the file
			// The list of free pages is found again at open, which costs less than
			// writing it at each commit.
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
		},
		MsgpackUseNewTimeFormat: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	logger := newRaftLogger(o.Logger)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(o.Dir, 2, logger)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshots in %s: %w", o.Dir, err), logs.Close())
	}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:                  o.Stream(),
		MaxPool:                 3,
		Timeout:                 5 * o.Timing.Heartbeat,
		Logger:                  logger,
		MsgpackUseNewTimeFormat: true,
	})
	return &parts{
		transport: transport, logs: logs, stable: logs, snapshots: snapshots,
		close: func() error { return errors.Join(transport.Close(), logs.Close()) },
	}, nil
}

// Bootstrap makes an empty store the only voter of a new cluster, and waits until
// it leads.
func (s *Store) Bootstrap(ctx context.Context) error {
	err := s.raft().BootstrapCluster(raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(s.self.ID), Address: raft.ServerAddress(s.self.Addr),
	}}}).Error()
	if err != nil {
		return fmt.Errorf("make a cluster of one node: %w", err)
	}
	return s.Sync(ctx)
}

// Err returns why the store does not work: the disk failed and has not answered
// again yet, or refused the last write, or the state is halted by a command of a
// newer version. Nil while it works.
func (s *Store) Err() error {
	if err := s.disk().problem(); err != nil {
		return err
	}
	return s.fsm.haltReason()
}

// Close stops Raft and closes its files. It does not hand leadership over; see
// HandOver. While something hangs in the disk, the files below it stay open until
// that has ended, and Close returns why.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	<-s.ended
	s.running.Wait()
	return s.closeErr
}

// Revisions gives the configuration's history.
func (s *Store) Revisions() *Revisions { return s.revisions }

// Members gives the members.
func (s *Store) Members() *Members { return s.members }

// Tokens gives the join tokens.
func (s *Store) Tokens() *Tokens { return s.tokens }

// Secrets gives the cluster's secrets.
func (s *Store) Secrets() *Secrets { return s.secrets }
