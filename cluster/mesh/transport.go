package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// transport carries memberlist: packets on a datagram socket, streams through
// the caller's layer. It implements memberlist.NodeAwareTransport.
type transport struct {
	conn      PacketConn
	streams   StreamLayer
	advertise netip.AddrPort
	log       *slog.Logger

	packets chan *memberlist.Packet
	conns   chan net.Conn
	closed  chan struct{}
	running sync.WaitGroup

	shutdown func() error
}

// readPause is waited after a socket error that is not its end, so that a
// lasting one does not spin.
const readPause = 100 * time.Millisecond

// newTransport starts two readers, which end with Shutdown.
func newTransport(conn PacketConn, streams StreamLayer, advertise netip.AddrPort, log *slog.Logger) *transport {
	t := &transport{
		conn: conn, streams: streams, advertise: advertise, log: log,
		packets: make(chan *memberlist.Packet, 64), // memberlist drains it at once; the kernel's buffer is behind it
		conns:   make(chan net.Conn),
		closed:  make(chan struct{}),
	}
	t.shutdown = sync.OnceValue(func() error {
		close(t.closed)
		err := errors.Join(conn.Close(), streams.Close())
		t.running.Wait()
		return err
	})
	t.running.Go(t.readPackets)
	t.running.Go(t.acceptStreams)
	return t
}

func (t *transport) readPackets() {
	buf := make([]byte, 65536)
	for {
		n, from, _, err := t.conn.ReadFrom(buf)
		if err != nil {
			if t.ended(err, "read gossip") {
				return
			}
			continue
		}
		packet := &memberlist.Packet{
			Buf:       append([]byte(nil), buf[:n]...),
			From:      net.UDPAddrFromAddrPort(from),
			Timestamp: time.Now(),
		}
		select {
		case t.packets <- packet:
		case <-t.closed:
			return
		}
	}
}

func (t *transport) acceptStreams() {
	for {
		conn, err := t.streams.Accept()
		if err != nil {
			if t.ended(err, "accept gossip stream") {
				return
			}
			continue
		}
		select {
		case t.conns <- conn:
		case <-t.closed:
			conn.Close()
			return
		}
	}
}

// ended says whether a reader is to end; otherwise it has waited a little.
func (t *transport) ended(err error, what string) bool {
	if errors.Is(err, net.ErrClosed) {
		return true
	}
	t.log.Warn("gossip is hindered", "what", what, "err", err)
	select {
	case <-time.After(readPause):
		return false
	case <-t.closed:
		return true
	}
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IP(t.advertise.Addr().AsSlice()), int(t.advertise.Port()), nil
}

// WriteTo implements memberlist.Transport.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("gossip to %s: %w", addr, err)
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if err := t.conn.WriteTo(b, to); err != nil {
		return time.Time{}, fmt.Errorf("gossip to %s: %w", addr, err)
	}
	return time.Now(), nil
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *transport) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, addr.Addr)
}

// PacketCh implements memberlist.Transport.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout implements memberlist.Transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr.Addr)
	if err != nil {
		return nil, fmt.Errorf("gossip stream to %v: %w", &addr, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	go func() { // ends with ctx, which the return cancels
		select {
		case <-t.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	conn, err := t.streams.Dial(ctx, addr.Name, to)
	if err != nil {
		return nil, fmt.Errorf("gossip stream to %v: %w", &addr, err)
	}
	return conn, nil
}

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.conns }

// Shutdown implements memberlist.Transport. It waits for the readers; calling
// it again changes nothing.
func (t *transport) Shutdown() error { return t.shutdown() }
