package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
	haclusterv1 "github.com/hacluster/hacluster/proto/hacluster/v1"
)

const (
	// maxMessage bounds a gRPC message: the largest command, and some room.
	maxMessage = 40 << 20
	// connectTime is how long a call waits for a connection to a peer.
	connectTime = 500 * time.Millisecond
	// attemptTime is how long one forwarded call may take before another leader is
	// looked for.
	attemptTime = 3 * time.Second
)

// peers holds the gRPC connections to the other members, and when each was last
// heard.
type peers struct {
	self     string // name
	identity func() *pki.Identity

	mu     sync.Mutex
	conns  map[string]peerConn // by name
	seen   map[string]time.Time
	closed bool
}

type peerConn struct {
	addr string
	conn *grpc.ClientConn
}

func newPeers(self string, identity func() *pki.Identity) *peers {
	return &peers{self: self, identity: identity, conns: make(map[string]peerConn), seen: make(map[string]time.Time)}
}

// dialOptions are what every connection to the TLS port has in common.
func dialOptions(config *tls.Config) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: handshakeTime,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithNoProxy(),
	}
}

// get returns the connection to a member at an address, made when there is none.
func (p *peers) get(name, addr string) (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrNotMember
	}
	if have, ok := p.conns[name]; ok {
		if have.addr == addr {
			return have.conn, nil
		}
		have.conn.Close()
		delete(p.conns, name)
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, dialOptions(p.identity().Client(name, protoGRPC))...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s at %s: %w", name, addr, err)
	}
	p.conns[name] = peerConn{addr: addr, conn: conn}
	return conn, nil
}

// keep closes the connections to all but the given members.
func (p *peers) keep(members []store.Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.conns, func(name string, have peerConn) bool {
		for _, m := range members {
			if m.Name == name && m.Addr.String() == have.addr {
				return false
			}
		}
		have.conn.Close()
		return true
	})
}

// renew closes all connections, so that the next ones are made with the present
// certificate.
func (p *peers) renew() { p.keep(nil) }

// Close closes all connections for good.
func (p *peers) Close() {
	p.keep(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

func (p *peers) heard(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[name] = time.Now()
}

// lastSeen returns when a member last answered; zero when it never did.
func (p *peers) lastSeen(name string) time.Time {
	if name == p.self {
		return time.Now()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[name]
}

// ready waits until the connection stands. A call on one that stands was sent; one
// that could not be made has certainly changed nothing, and that difference is
// what an operator wants to know. Somebody waits, so it is tried at once, however
// long gRPC would still rest after earlier attempts: the peer may be back by now.
func ready(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	if conn.GetState() == connectivity.TransientFailure {
		conn.ResetConnectBackoff()
	}
	for {
		switch state := conn.GetState(); state {
		case connectivity.Ready:
			return nil
		case connectivity.Shutdown:
			return errors.New("connection closed")
		default:
			conn.Connect()
			if !conn.WaitForStateChange(ctx, state) {
				return fmt.Errorf("no connection (%s)", strings.ToLower(state.String()))
			}
		}
	}
}

// client returns the peer service of a member whose connection stands.
func (p *peers) client(ctx context.Context, name, addr string) (haclusterv1.PeerServiceClient, error) {
	conn, err := p.get(name, addr)
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, conn); err != nil {
		return nil, fmt.Errorf("%s at %s: %w", name, addr, err)
	}
	return haclusterv1.NewPeerServiceClient(conn), nil
}

// leaderClient returns the peer service of the leader. Its error is a
// store.ErrNoLeader: nothing was sent.
func (p *peers) leaderClient(ctx context.Context, leader store.Server) (haclusterv1.PeerServiceClient, error) {
	client, err := p.client(ctx, nameOf(leader.ID), leader.Addr)
	if err != nil {
		return nil, fmt.Errorf("%w: leader %w", store.ErrNoLeader, err)
	}
	return client, nil
}

// Apply implements store.Forwarder.
func (p *peers) Apply(ctx context.Context, leader store.Server, command []byte) ([]byte, error) {
	client, err := p.leaderClient(ctx, leader)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	answer, err := client.Apply(ctx, &haclusterv1.PeerApplyRequest{Command: command})
	if err != nil {
		return nil, fmt.Errorf("leader %s: %w", nameOf(leader.ID), fromWire(err))
	}
	p.heard(nameOf(leader.ID))
	return answer.GetReply(), nil
}

// ReadIndex implements store.Forwarder.
func (p *peers) ReadIndex(ctx context.Context, leader store.Server) (uint64, error) {
	client, err := p.leaderClient(ctx, leader)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	answer, err := client.ReadIndex(ctx, &haclusterv1.PeerReadIndexRequest{})
	if err != nil {
		return 0, fmt.Errorf("leader %s: %w", nameOf(leader.ID), fromWire(err))
	}
	p.heard(nameOf(leader.ID))
	return answer.GetIndex(), nil
}

// nameOf returns the name in a node id, NAME#RANDOM.
func nameOf(id string) string {
	name, _, _ := strings.Cut(id, "#")
	return name
}
