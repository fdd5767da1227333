package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The protocols of the TLS port (ALPN, RFC 7301).
const (
	protoGRPC   = "h2"
	protoRaft   = "hacluster-raft/1"
	protoGossip = "hacluster-gossip/1"
)

const (
	// handshakeTime bounds a handshake, so that a peer that says nothing does not
	// keep a goroutine and a socket.
	handshakeTime = 5 * time.Second
	// maxHandshakes and maxFromOne bound how many are under way, in all and from one
	// address. What is beyond is closed at once: machines that connect and say
	// nothing must not keep the members out.
	maxHandshakes = 512
	maxFromOne    = 16
)

// demux accepts TLS connections on one port and hands them on by protocol. It has
// no certificate while the node is in no cluster, and then closes what connects.
type demux struct {
	listener net.Listener
	log      *slog.Logger
	routes   map[string]*route

	mu     sync.Mutex
	config *tls.Config // nil: in no cluster

	handshakes handshakes

	closing chan struct{}
	running sync.WaitGroup
}

// listen opens the port. It serves from the first moment, so that a caller never
// hangs in the kernel's queue.
func listen(address string, log *slog.Logger) (*demux, error) {
	listener, err := net.Listen("tcp", address)
	if port, all := strings.CutPrefix(address, "[::]:"); all && errors.Is(err, unix.EAFNOSUPPORT) {
		listener, err = net.Listen("tcp4", ":"+port) // a machine without IPv6
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the other nodes on tcp %s: %w", address, err)
	}
	d := &demux{
		listener: listener, log: log,
		routes: make(map[string]*route), closing: make(chan struct{}),
		handshakes: handshakes{from: make(map[netip.Addr]int)},
	}
	for _, proto := range []string{protoGRPC, protoRaft, protoGossip} {
		d.routes[proto] = &route{addr: listener.Addr(), conns: make(chan net.Conn), closing: d.closing}
	}
	d.running.Go(d.accept)
	return d, nil
}

// use sets the certificate; nil takes it away.
func (d *demux) use(config *tls.Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.config = config
}

func (d *demux) current() *tls.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// accept runs until Close.
func (d *demux) accept() {
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: others may give some back.
			d.log.Warn("accept", "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-d.closing:
				return
			}
		}
		release, ok := d.handshakes.begin(conn.RemoteAddr())
		if !ok {
			conn.Close()
			continue
		}
		d.running.Go(func() {
			defer release()
			d.handshake(quiet(conn), release)
		})
	}
}

// handshakes counts the handshakes under way.
type handshakes struct {
	mu    sync.Mutex
	total int
	from  map[netip.Addr]int
}

// begin counts one more, unless there are too many; release, which may be called
// more than once, ends it.
func (h *handshakes) begin(remote net.Addr) (release func(), ok bool) {
	var from netip.Addr
	if tcp, isTCP := remote.(*net.TCPAddr); isTCP {
		from = tcp.AddrPort().Addr().Unmap()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.total >= maxHandshakes || h.from[from] >= maxFromOne {
		return nil, false
	}
	h.total++
	h.from[from]++
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.total--
		if h.from[from]--; h.from[from] == 0 {
			delete(h.from, from)
		}
	}), true
}

// handshake finishes one connection's TLS, calls finished, and hands it on.
func (d *demux) handshake(raw net.Conn, finished func()) {
	config := d.current()
	if config == nil {
		raw.Close()
		return
	}
	conn := tls.Server(raw, config)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	go func() { // ends with ctx; a closing port does not wait for slow peers
		select {
		case <-d.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := conn.HandshakeContext(ctx); err != nil {
		d.log.Debug("handshake", "from", raw.RemoteAddr().String(), "err", err)
		raw.Close()
		return
	}
	state := conn.ConnectionState()
	target := d.routes[state.NegotiatedProtocol]
	grpc := target == d.routes[protoGRPC]
	if target == nil || (!grpc && len(state.PeerCertificates) == 0) {
		d.log.Debug("connection refused", "from", raw.RemoteAddr().String(), "protocol", state.NegotiatedProtocol)
		conn.Close()
		return
	}
	finished() // handing on waits for the receiver
	if grpc {
		target.deliver(conn) // as it is: gRPC asks it for the certificate
	} else {
		target.deliver(&streamConn{Conn: conn})
	}
}

// Close ends the port and all that waits on it.
func (d *demux) Close() error {
	close(d.closing)
	err := d.listener.Close()
	d.running.Wait()
	return err
}

// route is the stream of connections of one protocol. Whoever serves the protocol
// takes a listener from it, for as long as the node is a member.
type route struct {
	addr    net.Addr
	conns   chan net.Conn
	closing <-chan struct{} // of the port
}

// deliver waits for a receiver, as long as a handshake may last.
func (r *route) deliver(conn net.Conn) {
	timer := time.NewTimer(handshakeTime)
	defer timer.Stop()
	select {
	case r.conns <- conn:
	case <-timer.C:
		conn.Close()
	case <-r.closing:
		conn.Close()
	}
}

// listener returns a net.Listener of the route; closing it leaves the port open.
func (r *route) listener() *routeListener {
	return &routeListener{route: r, closed: make(chan struct{})}
}

type routeListener struct {
	route  *route
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener. The connections have finished handshakes; those
// for gRPC are *tls.Conn, the others *streamConn.
func (l *routeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.route.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-l.route.closing:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *routeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *routeListener) Addr() net.Addr { return l.route.addr }
