package clustertest

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// PacketConn is a datagram socket.
type PacketConn struct {
	host  *Host
	local netip.AddrPort

	arrived chan packet
	once    sync.Once
	closed  chan struct{}
}

type packet struct {
	from    netip.AddrPort
	payload []byte
}

// queue is how many datagrams wait in a socket; more are lost.
const queue = 1024

// ListenPacket opens a datagram socket on one of the host's addresses.
func (h *Host) ListenPacket(addr netip.AddrPort) (*PacketConn, error) {
	l := h.lan
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.hosts[addr.Addr()] != h:
		return nil, fmt.Errorf("listen on udp %v: cannot assign requested address", addr)
	case h.packets[addr] != nil:
		return nil, fmt.Errorf("listen on udp %v: address already in use", addr)
	}
	c := &PacketConn{host: h, local: addr, arrived: make(chan packet, queue), closed: make(chan struct{})}
	h.packets[addr] = c
	return c, nil
}

// ReadFrom waits for a datagram; net.ErrClosed after Close. The interface is
// always lan0.
func (c *PacketConn) ReadFrom(b []byte) (n int, from netip.AddrPort, iface string, err error) {
	select {
	case p := <-c.arrived:
		return copy(b, p.payload), p.from, "lan0", nil
	case <-c.closed:
		return 0, netip.AddrPort{}, "", net.ErrClosed
	}
}

// WriteTo sends a datagram. As on a real network, it does not fail when nobody
// gets it.
func (c *PacketConn) WriteTo(b []byte, to netip.AddrPort) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
	}
	l := c.host.lan
	l.mu.Lock()
	defer l.mu.Unlock()
	target := l.hosts[to.Addr()]
	if target == nil || !l.reaches(c.host, target) || (l.loss > 0 && l.rand.Float64() < l.loss) {
		return nil
	}
	p := packet{from: c.local, payload: slices.Clone(b)}
	time.AfterFunc(l.delay, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if socket := target.packets[to]; socket != nil && l.reaches(c.host, target) {
			select {
			case socket.arrived <- p:
			default: // the queue is full
			}
		}
	})
	return nil
}

// LocalAddr is where the socket listens.
func (c *PacketConn) LocalAddr() netip.AddrPort { return c.local }

// Close ends the socket.
func (c *PacketConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.host.lan.mu.Lock()
		defer c.host.lan.mu.Unlock()
		delete(c.host.packets, c.local)
	})
	return nil
}
