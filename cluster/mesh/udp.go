package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/mmsg"
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
	c := &udpConn{UDPConn: conn, ipv4: addr.Addr().Is4(), names: make(map[int]string)}
	if c.ipv4 {
		err = ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagInterface, true)
	} else {
		err = ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagInterface, true)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask for the interface on udp %v: %w", addr, err), conn.Close())
	}
	if c.raw, err = conn.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on udp %v: %w", addr, err), conn.Close())
	}
	c.out = newOutbound(c.raw)
	return c, nil
}

type udpConn struct {
	*net.UDPConn
	ipv4 bool
	raw  syscall.RawConn

	sending sync.Mutex
	out     *outbound // guarded by sending

	mu    sync.Mutex     // of what follows, for readers
	in    *mmsg.Reader   // nil before the first ReadFrom or ReadAll; a socket is read by one of them
	came  []Receipt      // in the last ReadAll
	names map[int]string // of interfaces
}

// ReadFrom implements PacketConn.
func (c *udpConn) ReadFrom(b []byte) (int, netip.AddrPort, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in == nil {
		c.in = mmsg.NewReader(c.raw, 1, longest)
	}
	if _, err := c.in.Receive(1); err != nil {
		return 0, netip.AddrPort{}, "", err
	}
	return copy(b, c.in.Payload(0)), c.in.From(0), c.name(c.index(c.in.Control(0))), nil
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
	_, err := c.WriteAll([][]byte{b}, []netip.AddrPort{to})
	return err
}

// LocalAddr implements PacketConn.
func (c *udpConn) LocalAddr() netip.AddrPort { return c.UDPConn.LocalAddr().(*net.UDPAddr).AddrPort() }
