package clustertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// Streams dials from one host and accepts on all its addresses.
type Streams struct {
	host     *Host
	accepted chan net.Conn
	once     sync.Once
	closed   chan struct{}
}

// Streams opens the host for streams until Close. Only the last one opened
// accepts.
func (h *Host) Streams() *Streams {
	s := &Streams{host: h, accepted: make(chan net.Conn), closed: make(chan struct{})}
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	h.streams = s
	return s
}

var errReset = errors.New("connection reset by peer")

// Dial connects to the host that has the address; the name is not looked at.
// Without a connection in both directions it waits until ctx is done.
func (s *Streams) Dial(ctx context.Context, _ string, addr netip.AddrPort) (net.Conn, error) {
	l := s.host.lan
	l.mu.Lock()
	target := l.hosts[addr.Addr()]
	var listener *Streams
	if target != nil {
		listener = target.streams
	}
	l.mu.Unlock()
	if target == nil || !l.connected(s.host, target) {
		<-ctx.Done()
		return nil, fmt.Errorf("dial %v: %w", addr, ctx.Err())
	}
	if listener == nil {
		return nil, fmt.Errorf("dial %v: connection refused", addr)
	}
	near, far := net.Pipe()
	select {
	case listener.accepted <- &stream{Conn: far, lan: l, here: target, there: s.host}:
		return &stream{Conn: near, lan: l, here: s.host, there: target}, nil
	case <-listener.closed:
		return nil, fmt.Errorf("dial %v: connection refused", addr)
	case <-ctx.Done():
		return nil, fmt.Errorf("dial %v: %w", addr, ctx.Err())
	}
}

// Accept waits for the next stream; net.ErrClosed after Close.
func (s *Streams) Accept() (net.Conn, error) {
	select {
	case conn := <-s.accepted:
		return conn, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (s *Streams) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.host.lan.mu.Lock()
		defer s.host.lan.mu.Unlock()
		if s.host.streams == s {
			s.host.streams = nil
		}
	})
	return nil
}

// stream is one end of a connection. It breaks when it is used across a cut.
type stream struct {
	net.Conn
	lan         *LAN
	here, there *Host
}

func (s *stream) Write(b []byte) (int, error) {
	if !s.lan.connected(s.here, s.there) {
		s.Conn.Close()
		return 0, errReset
	}
	return s.Conn.Write(b)
}
