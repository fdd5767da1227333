package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// announceTimeout bounds the wait of one call for an interface that takes no
// frames.
const announceTimeout = 50 * time.Millisecond

// Announcer sends gratuitous ARP and unsolicited neighbour advertisements,
// through one packet socket for each interface. One goroutine uses it.
type Announcer struct {
	index *indexer
	ports map[string]*port // by interface name
}

// port is where frames leave.
type port struct {
	index int
	conn  *packet.Conn
	hw    net.HardwareAddr // nil: the interface speaks neither ARP nor NDP
}

// NewAnnouncer returns an Announcer that has no packet socket open yet.
func NewAnnouncer() (*Announcer, error) {
	index, err := newIndexer()
	if err != nil {
		return nil, err
	}
	return &Announcer{index: index, ports: map[string]*port{}}, nil
}

// Announce sends one message for each announcement, in the order given. It
// tries all of them; the error joins one for each interface that failed. On an
// interface that is not Ethernet there is nothing to announce.
func (a *Announcer) Announce(list []Announcement) error {
	views := map[string]*view{}
	var errs []error
	for _, n := range list {
		v, ok := views[n.Interface]
		if !ok {
			v = a.look(n.Interface)
			views[n.Interface] = v
		}
		if v.err == nil && v.port.hw != nil {
			v.err = v.announce(n.Addr)
		}
	}
	for name, v := range views {
		if v.err != nil {
			errs = append(errs, fmt.Errorf("announce on %s: %w", name, v.err))
			a.drop(name) // the next call begins with a new socket
		}
	}
	return errors.Join(errs...)
}

// view is what one call of Announce knows of an interface.
type view struct {
	port   *port
	router bool
	err    error
}

// look finds the port of an interface with its present hardware address. An
// interface that was made again under its name gets a new socket.
func (a *Announcer) look(name string) *view {
	index, err := a.index.of(name)
	if err != nil {
		return &view{err: err}
	}
	p := a.ports[name]
	if p != nil && p.index != index {
		a.drop(name)
		p = nil
	}
	if p == nil {
		// Protocol 0: the socket receives nothing.
		conn, err := packet.Listen(&net.Interface{Index: index, Name: name}, packet.Raw, 0, nil)
		if err != nil {
			return &view{err: err}
		}
		p = &port{index: index, conn: conn}
		a.ports[name] = p
	}
	p.hw, err = hardwareAddr(p.conn)
	err = errors.Join(err, p.conn.SetWriteDeadline(time.Now().Add(announceTimeout)))
	return &view{port: p, router: forwards(name), err: err}
}

func (a *Announcer) drop(name string) {
	if p := a.ports[name]; p != nil {
		p.conn.Close()
		delete(a.ports, name)
	}
}

// hardwareAddr asks the kernel for the present address of the interface that
// the socket is bound to; it is nil when that is not Ethernet.
func hardwareAddr(conn *packet.Conn) (net.HardwareAddr, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var sa unix.Sockaddr
	var nameErr error
	if err := raw.Control(func(fd uintptr) { sa, nameErr = unix.Getsockname(int(fd)) }); err != nil {
		return nil, err
	}
	ll, ok := sa.(*unix.SockaddrLinklayer)
	if nameErr != nil || !ok {
		return nil, os.NewSyscallError("getsockname", nameErr)
	}
	if ll.Hatype != unix.ARPHRD_ETHER || ll.Halen != 6 {
		return nil, nil
	}
	return net.HardwareAddr(ll.Addr[:6]), nil
}

// forwards reports whether the machine forwards IPv6 from the interface.
func forwards(name string) bool {
	b, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name + "/forwarding")
	return err == nil && len(b) > 0 && b[0] != '0'
}

func (v *view) announce(addr netip.Addr) error {
	var frame []byte
	var err error
	if addr.Is4() {
		frame, err = gratuitousARP(v.port.hw, addr)
	} else {
		frame, err = unsolicitedNA(v.port.hw, addr, v.router)
	}
	if err != nil {
		return err
	}
	_, err = v.port.conn.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:6]})
	return err
}

// Close closes all sockets.
func (a *Announcer) Close() error {
	for name := range a.ports {
		a.drop(name)
	}
	return a.index.close()
}

// gratuitousARP is an ARP announcement (RFC 5227 section 3) as keepalived sends
// it: a request whose sender and target address are the virtual one. The
// target hardware address, which receivers ignore, is the broadcast address.
func gratuitousARP(hw net.HardwareAddr, addr netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(arp.OperationRequest, hw, addr, ethernet.Broadcast, addr)
	if err != nil {
		return nil, err
	}
	payload, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return frame(hw, ethernet.Broadcast, ethernet.EtherTypeARP, payload)
}

// allNodes is ff02::1, and allNodesHW the Ethernet address that it maps to
// (RFC 2464 section 7).
var (
	allNodes   = netip.IPv6LinkLocalAllNodes()
	allNodesHW = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}
)

// unsolicitedNA is an unsolicited neighbour advertisement (RFC 4861 section
// 7.2.6) from the virtual address itself.
func unsolicitedNA(hw net.HardwareAddr, addr netip.Addr, router bool) ([]byte, error) {
	message, err := ndp.MarshalMessageChecksum(&ndp.NeighborAdvertisement{
		Router:        router,
		Override:      true,
		TargetAddress: addr,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: hw}},
	}, addr, allNodes)
	if err != nil {
		return nil, err
	}
	// RFC 8200 section 3; the hop limit is 255 by RFC 4861 section 7.1.2.
	b := make([]byte, 0, 40+len(message))
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(message)))
	b = append(b, unix.IPPROTO_ICMPV6, 255)
	b = append(b, addr.AsSlice()...)
	b = append(b, allNodes.AsSlice()...)
	b = append(b, message...)
	return frame(hw, allNodesHW, ethernet.EtherTypeIPv6, b)
}

func frame(from, to net.HardwareAddr, typ ethernet.EtherType, payload []byte) ([]byte, error) {
	return (&ethernet.Frame{Destination: to, Source: from, EtherType: typ, Payload: payload}).MarshalBinary()
}
