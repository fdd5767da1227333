package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/hacluster/hacluster/cluster/mesh"
	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
	haclusterv1 "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// session is what runs while the node is a member: the state, the connections and
// the services.
type session struct {
	o       Options
	node    nodeFile
	version string
	dir     *dataDir
	port    *demux
	log     *slog.Logger

	remembered meshFacts // of the last run

	identity atomic.Pointer[pki.Identity]
	store    *store.Store
	peers    *peers
	mesh     atomic.Pointer[mesh.Mesh] // nil while it does not run
	paths    atomic.Pointer[map[string][]netip.Addr]
	server   *grpc.Server
	admits   chan struct{} // one for each admission under way

	confirmed   chan struct{} // closed when another member has said that we are one
	confirm     func()        // closes it, once
	removed     chan struct{} // closed when another member has proved that we are none any more
	proveGone   func()        // closes it, once
	refused     atomic.Int32  // pings in a row by which others said that we are no member
	halfRemoved atomic.Bool   // the last answer of one as far as we: in the members and not in Raft

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// startSession starts everything for the node whose identity is in dir. It does
// not wait for other nodes.
func startSession(o Options, dir *dataDir, port *demux, node nodeFile) (*session, error) {
	identity, err := pki.Load(dir.pki())
	if err != nil {
		return nil, err
	}
	s := &session{
		o: o, node: node, version: o.Version, dir: dir, port: port, log: o.Logger,
		admits: make(chan struct{}, 4), confirmed: make(chan struct{}), removed: make(chan struct{}),
	}
	s.confirm = sync.OnceFunc(func() { close(s.confirmed) })
	s.proveGone = sync.OnceFunc(func() { close(s.removed) })
	if s.remembered, err = dir.recall(); err != nil {
		o.Logger.Error("members and gossip keys of the last run are lost, waiting for the cluster", "err", err)
	}
	s.identity.Store(identity)
	s.peers = newPeers(node.Name, s.identity.Load)
	var machines []store.Machine
	if o.Machines != nil {
		machines = o.Machines()
	}
	s.store, err = store.Open(store.Options{
		Server: store.Server{ID: node.ID, Addr: node.Advertise.String()},
		Dir:    dir.raft(),
		Stream: func() raft.StreamLayer {
			return raftStream{
				routeListener: port.routes[protoRaft].listener(),
				identity:      s.identity.Load,
				advertise:     net.TCPAddrFromAddrPort(node.Advertise),
				accepted:      newConnSet(),
			}
		},
		Forward:  s.peers,
		Timing:   o.Timing,
		Machines: machines,
		Logger:   o.Logger,
	})
	if err != nil {
		s.peers.Close()
		return nil, fmt.Errorf("open the replicated state in %s: %w", dir.raft(), err)
	}
	s.server = grpc.NewServer(
		grpc.Creds(handedOn{}),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(s.guardUnary), grpc.StreamInterceptor(s.guardStream),
	)
	haclusterv1.RegisterPeerServiceServer(s.server, peerService{session: s})
	if o.Register != nil {
		o.Register(s.server)
	}
	port.use(&tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return s.watchForTwins(s.identity.Load().Server(protoGRPC, protoRaft, protoGossip), hello.Conn.RemoteAddr()), nil
		},
	})

	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	// The gRPC server, until stop.
	listener := port.routes[protoGRPC].listener()
	s.running.Go(func() {
		if err := s.server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			s.log.Error("grpc server ended", "err", err)
		}
	})
	// The helpers, until stop.
	s.running.Go(func() { s.followMembers(ctx) })
	s.running.Go(func() { s.runMesh(ctx) })
	s.running.Go(func() { s.pingPeers(ctx) })
	s.running.Go(func() { s.keepOwnRecord(ctx) })
	s.running.Go(func() { s.keepCertificate(ctx) })
	return s, nil
}

// stop ends the session: leadership is handed over first when polite, so that
// nobody waits for an election.
func (s *session) stop(polite bool) {
	if polite {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if err := s.store.HandOver(ctx); err != nil {
			s.log.Debug("leadership not handed over", "err", err)
		}
		cancel()
	}
	if m := s.mesh.Load(); m != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if err := m.Leave(ctx); err != nil {
			s.log.Debug("gossip goodbye", "err", err)
		}
		cancel()
	}
	s.cancel()
	s.port.use(nil)
	s.server.Stop()
	if err := s.store.Close(); err != nil {
		s.log.Warn("close state", "err", err)
	}
	s.peers.Close()
	s.running.Wait()
}

const pingEvery = time.Second

// pingPeers asks every other member each second whether it is there, which is what
// status and the errors about a lost majority tell. It ends with ctx.
func (s *session) pingPeers(ctx context.Context) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		round, cancel := context.WithTimeout(ctx, pingEvery*9/10)
		var group sync.WaitGroup
		for _, m := range s.members() {
			if m.ID != s.node.ID {
				group.Go(func() { s.ping(round, m) })
			}
		}
		group.Wait()
		cancel()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *session) ping(ctx context.Context, m store.Member) {
	client, err := s.peers.client(ctx, m.Name, m.Addr.String())
	if err != nil {
		return
	}
	answer, err := client.Ping(ctx, &haclusterv1.PeerPingRequest{Version: s.version})
	refused, isRefused := errors.AsType[*notMemberError](fromWire(err))
	switch {
	case err == nil:
		s.peers.heard(m.Name)
		s.refused.Store(0)
		if answer.GetApplied() >= s.meshFacts().Applied {
			s.confirm()
			s.halfRemoved.Store(answer.GetHalfRemoved())
		}
	case isRefused:
		s.peers.heard(m.Name)
		s.noteRefusal(refused)
	}
}

// noteRefusal takes the word of a member that this node is none. One whose state is
// older may not have heard of this node yet. One that has all by which this node
// knows itself a member, and more, proves that it was removed since.
func (s *session) noteRefusal(refused *notMemberError) {
	known := s.meshFacts()
	if refused.Applied < known.Applied {
		return
	}
	s.refused.Add(1)
	if slices.ContainsFunc(known.Members, func(m store.Member) bool { return m.ID == s.node.ID }) {
		s.proveGone()
	}
}

// removedByOthers says whether the other members have proved to this node that it is
// none of them, or have told it so several times and without contradiction.
func (s *session) removedByOthers() bool {
	select {
	case <-s.removed:
		return true
	default:
		return s.refused.Load() >= 5
	}
}

// keepOwnRecord finishes a join that was interrupted, and tells the cluster the
// version of this program after an upgrade. It ends with ctx.
func (s *session) keepOwnRecord(ctx context.Context) {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if own, ok := s.store.Members().ByID(s.node.ID); ok {
			if err := s.fixOwnRecord(ctx, own); err != nil && ctx.Err() == nil {
				s.log.Debug("own record not up to date", "err", err)
			}
		}
	}
}

func (s *session) fixOwnRecord(ctx context.Context, own store.Member) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if !own.Joined {
		if _, err := s.dir.stat(); err != nil {
			return nil // the join is under way
		}
		return s.promote(ctx)
	}
	if own.Version == s.version || s.version == "" {
		return nil
	}
	own.Version = s.version
	return s.store.PutMember(ctx, own)
}

// keepCertificate asks for a new certificate when a third of the present one's
// life is left. It ends with ctx.
func (s *session) keepCertificate(ctx context.Context) {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		if left := time.Until(s.identity.Load().NotAfter()); left < pki.RenewBefore {
			if err := s.renew(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("certificate not renewed", "ends_in", left.Round(time.Minute).String(), "err", err)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// renew has the leader sign a new certificate for the node's key and uses it.
func (s *session) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	csr, err := pki.RequestFrom(s.dir.pki(), s.node.Name)
	if err != nil {
		return err
	}
	var cert []byte
	err = s.onLeader(ctx, func(ctx context.Context) (err error) {
		cert, err = s.sign(s.node.Name, csr)
		return err
	}, func(ctx context.Context, leader haclusterv1.PeerServiceClient) error {
		answer, err := leader.Renew(ctx, &haclusterv1.RenewRequest{Csr: csr})
		cert = answer.GetCertificate()
		return err
	})
	if err != nil {
		return err
	}
	identity, err := pki.Replace(s.dir.pki(), cert)
	if err != nil {
		return err
	}
	s.identity.Store(identity)
	s.peers.renew()
	s.log.Info("certificate renewed", "ends", identity.NotAfter().UTC().Format(time.RFC3339))
	return nil
}

// onLeader does something where the leader is, here or there, and goes on looking
// for it until ctx is done. It tries again only when nothing was done.
func (s *session) onLeader(ctx context.Context, here func(context.Context) error, there func(context.Context, haclusterv1.PeerServiceClient) error) error {
	for {
		err := s.onLeaderOnce(ctx, here, there)
		if _, unknown := errors.AsType[*store.UnknownOutcomeError](err); unknown {
			return err
		}
		if !errors.Is(err, store.ErrNotLeader) && !errors.Is(err, store.ErrNoLeader) {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", store.ErrNoLeader, err)
		}
	}
}

func (s *session) onLeaderOnce(ctx context.Context, here func(context.Context) error, there func(context.Context, haclusterv1.PeerServiceClient) error) error {
	leader, ok := s.store.Leader()
	if !ok {
		return store.ErrNoLeader
	}
	if leader.ID == s.node.ID {
		return here(ctx)
	}
	client, err := s.peers.leaderClient(ctx, leader)
	if err != nil {
		return err
	}
	return fromWire(there(ctx, client))
}

// voters lists the members with a vote, as this node sees them.
func (s *session) voters() []Voter {
	servers, err := s.store.Servers()
	if err != nil {
		return nil
	}
	leader, _ := s.store.Leader()
	var list []Voter
	for _, server := range servers {
		if !server.Voter {
			continue
		}
		v := Voter{Name: nameOf(server.ID), Leader: server.ID == leader.ID, LastSeen: s.peers.lastSeen(nameOf(server.ID))}
		if m, ok := s.member(server.ID); ok {
			v.Addr = m.Addr
		}
		list = append(list, v)
	}
	return list
}
