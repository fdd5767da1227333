package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hacluster/hacluster/cluster/pki"
)

// raftStream carries Raft over the TLS port. It implements raft.StreamLayer.
type raftStream struct {
	*routeListener
	identity  func() *pki.Identity
	advertise net.Addr
	accepted  *connSet
}

// Accept implements net.Listener.
func (s raftStream) Accept() (net.Conn, error) {
	conn, err := s.routeListener.Accept()
	if err != nil {
		return nil, err
	}
	return s.accepted.add(conn), nil
}

// Close ends the listener, and the connections that came over it: Raft leaves
// those to whoever dialled them.
func (s raftStream) Close() error {
	err := s.routeListener.Close()
	s.accepted.closeAll()
	return err
}

// Addr returns the address that the other nodes use, not the one that is listened
// on.
func (s raftStream) Addr() net.Addr { return s.advertise }

// Dial implements raft.StreamLayer.
func (s raftStream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return dialTLS(ctx, string(address), s.identity().Client("", protoRaft))
}

// dialTLS connects and finishes the handshake, all within ctx.
func dialTLS(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	raw = quiet(raw)
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("tls with %s: %w", address, err)
	}
	return &streamConn{Conn: conn}, nil
}

// streamConn is a TLS connection that ends without a goodbye when a write on it
// failed. crypto/tls counts a record as sent before it writes it; when a deadline
// then keeps the record from being sent, as happens on a starved machine, the
// close_notify alert that Close sends has a number that the other end does not
// expect. It would report a bad record MAC, as if somebody had tampered.
type streamConn struct {
	*tls.Conn
	broken atomic.Bool
}

// Write implements net.Conn.
func (c *streamConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

// Close implements net.Conn.
func (c *streamConn) Close() error {
	if c.broken.Load() {
		return c.NetConn().Close()
	}
	return c.Conn.Close()
}

// connSet remembers open connections.
type connSet struct {
	mu     sync.Mutex
	conns  map[*setConn]struct{}
	closed bool
}

type setConn struct {
	net.Conn
	set *connSet
}

func (c *setConn) Close() error {
	c.set.mu.Lock()
	delete(c.set.conns, c)
	c.set.mu.Unlock()
	return c.Conn.Close()
}

func newConnSet() *connSet { return &connSet{conns: make(map[*setConn]struct{})} }

func (s *connSet) add(conn net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return conn
	}
	c := &setConn{Conn: conn, set: s}
	s.conns[c] = struct{}{}
	return c
}

func (s *connSet) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		c.Conn.Close()
	}
	clear(s.conns)
}
