package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// ListenUDP opens a UDP socket of the kernel. The unspecified IPv6 address
// means both families, or IPv4 alone on a machine without IPv6.
func ListenUDP(addr netip.AddrPort) (PacketConn, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil && addr.Addr() == netip.IPv6Unspecified() && errors.Is(err, unix.EAFNOSUPPORT) {
		addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	}
	if err != nil {
		return nil, fmt.Errorf("listen on udp %v: %w", addr, err)
	}
	// With the interface of each datagram; a socket for both families reports
	// those of IPv4 in the IPv6 form too.
	c := &udpConn{UDPConn: conn, ipv4: addr.Addr().Is4(), oob: make([]byte, 128), names: make(map[int]string)}
	if c.ipv4 {
		p := ipv4.NewPacketConn(conn)
		c.pack, err = p, p.SetControlMessage(ipv4.FlagInterface, true)
	} else {
		p := ipv6.NewPacketConn(conn)
		c.pack, err = p, p.SetControlMessage(ipv6.FlagInterface, true)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask for the interface on udp %v: %w", addr, err), conn.Close())
	}
	return c, nil
}

type udpConn struct {
	*net.UDPConn
	ipv4 bool
	pack interface {
		WriteBatch([]ipv6.Message, int) (int, error)
	}

	mu    sync.Mutex // of what follows, for readers
	oob   []byte
	names map[int]string // of interfaces
}

// ReadFrom implements PacketConn.
func (c *udpConn) ReadFrom(b []byte) (int, netip.AddrPort, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, oobn, _, from, err := c.ReadMsgUDPAddrPort(b, c.oob)
	if err != nil {
		return 0, netip.AddrPort{}, "", err
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	return n, from, c.name(c.index(c.oob[:oobn])), nil
}

// index reads the interface's index out of the control messages; 0: none.
func (c *udpConn) index(oob []byte) int {
	if c.ipv4 {
		var cm ipv4.ControlMessage
		if cm.Parse(oob) == nil {
			return cm.IfIndex
		}
		return 0
	}
	var cm ipv6.ControlMessage
	if cm.Parse(oob) == nil {
		return cm.IfIndex
	}
	return 0
}

// name looks an interface up once: a renamed one keeps its old name here until
// the next start, which only people read.
func (c *udpConn) name(index int) string {
	if name, known := c.names[index]; known || index == 0 {
		return name
	}
	iface, err := net.InterfaceByIndex(index)
	if err != nil {
		return ""
	}
	c.names[index] = iface.Name
	return iface.Name
}

// WriteTo implements PacketConn.
func (c *udpConn) WriteTo(b []byte, to netip.AddrPort) error {
	_, err := c.WriteToUDPAddrPort(b, to)
	return err
}

// WriteAll implements batchWriter: in steady state it is one system call.
func (c *udpConn) WriteAll(datagrams [][]byte, to []netip.AddrPort) (failed int, err error) {
	batch := make([]ipv6.Message, 0, len(datagrams)*len(to))
	for _, addr := range to {
		peer := net.UDPAddrFromAddrPort(addr)
		for i := range datagrams {
			batch = append(batch, ipv6.Message{Buffers: datagrams[i : i+1], Addr: peer})
		}
	}
	for len(batch) > 0 {
		n, e := c.pack.WriteBatch(batch, 0)
		if e != nil {
			// It is the first one that failed.
			n, failed, err = 1, failed+1, e
		}
		batch = batch[n:]
	}
	return failed, err
}

// LocalAddr implements PacketConn.
func (c *udpConn) LocalAddr() netip.AddrPort { return c.UDPConn.LocalAddr().(*net.UDPAddr).AddrPort() }
