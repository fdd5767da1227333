package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/mmsg"
	"github.com/hacluster/hacluster/splitbrain"
)

// Bounds of one port.
const (
	reopenAfter = time.Second     // after an interface could not be used
	forgetAfter = time.Minute     // without a probe, an address is not heard of any more
	maxHeard    = 4 * maxFiltered // addresses of one port

	// bufferSize holds a burst of probes, and the answers to it while the reader
	// waits for a processor: the kernel counts about 1 KiB for a short frame.
	bufferSize = 2 * rateBurst << 10

	readBatch = 16
	maxFrame  = 2048 // what is longer is cut
)

// portKey names the socket of one interface and family.
type portKey struct {
	iface string
	v6    bool
}

// port is one packet socket with what is asked and heard there. It belongs to
// Run's goroutine; its reader has the connection and nothing else.
type port struct {
	portKey
	conn   *packet.Conn  // nil: not open
	out    *mmsg.Writer  // of conn
	queue  []probeFrame  // to be sent by flush
	done   chan struct{} // closed when the reader has ended
	index  int
	hw     net.HardwareAddr
	source netip.Addr // link-local, for IPv6; zero: none yet
	broken time.Time  // when it could not be used; zero: it can
	why    string     // as last logged
	heard  map[netip.Addr]*interest
	narrow bool // the filter lacks an address
}

// probeFrame is a probe and the Ethernet frame that asks it.
type probeFrame struct {
	probe *splitbrain.Probe
	frame []byte
}

// interest is an address that is heard of.
type interest struct {
	watched bool
	asked   time.Time
}

var errNotEthernet = errors.New("not an Ethernet interface")

// open opens the socket, unless it is, or was tried a moment ago.
func (p *port) open(now time.Time, read func(*mmsg.Reader, chan struct{})) error {
	if p.conn != nil {
		return p.widen()
	}
	if now.Sub(p.broken) < reopenAfter {
		return errors.New("interface cannot be used")
	}
	p.broken = now
	ifi, err := net.InterfaceByName(p.iface)
	if err != nil {
		return err
	}
	if len(ifi.HardwareAddr) != 6 || ifi.Flags&net.FlagLoopback != 0 {
		return errNotEthernet
	}
	f, err := filter(p.v6, p.heard)
	if err != nil {
		return err
	}
	protocol := unix.ETH_P_ARP
	if p.v6 {
		protocol = unix.ETH_P_IPV6
	}
	conn, err := packet.Listen(ifi, packet.Raw, protocol, &packet.Config{Filter: f})
	if err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(enlarge)
	}
	if err != nil {
		conn.Close()
		return err
	}
	p.out = mmsg.NewWriter(raw)
	p.conn, p.index, p.hw, p.narrow, p.broken = conn, ifi.Index, ifi.HardwareAddr, false, time.Time{}
	p.source = netip.Addr{}
	p.done = make(chan struct{})
	read(mmsg.NewReader(raw, readBatch, maxFrame), p.done)
	return nil
}

// enlarge makes a socket's buffers larger than the default, which hold fewer frames
// than one burst has and is answered with. The larger size is a wish.
func enlarge(fd uintptr) {
	for force, plain := range map[int]int{
		unix.SO_RCVBUFFORCE: unix.SO_RCVBUF,
		unix.SO_SNDBUFFORCE: unix.SO_SNDBUF,
	} {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, force, bufferSize) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, plain, bufferSize)
		}
	}
}

// widen renews the filter when an address has come.
func (p *port) widen() error {
	if !p.narrow {
		return nil
	}
	f, err := filter(p.v6, p.heard)
	if err != nil {
		return err
	}
	p.narrow = false
	return p.conn.SetBPF(f)
}

// close closes the socket and waits for its reader.
func (p *port) close() {
	if p.conn == nil {
		return
	}
	p.conn.Close()
	<-p.done
	p.conn = nil
}

// hear makes the port hear of an address.
func (p *port) hear(a netip.Addr) *interest {
	i := p.heard[a]
	if i == nil && len(p.heard) < maxHeard {
		i = &interest{}
		p.heard[a], p.narrow = i, true
	}
	return i
}

// forget drops addresses that nobody asks for any more.
func (p *port) forget(now time.Time) {
	for a, i := range p.heard {
		if !i.watched && now.Sub(i.asked) > forgetAfter {
			delete(p.heard, a)
			p.narrow = true
		}
	}
}

// put makes the frame of a probe, for flush to send.
func (p *port) put(pr *splitbrain.Probe) error {
	var frame []byte
	var err error
	if !p.v6 {
		source := pr.Source
		if !source.Is4() {
			source = netip.IPv4Unspecified()
		}
		frame, err = arpRequest(p.hw, source, pr.Addr)
	} else {
		if !p.source.IsValid() {
			if p.source, err = linkLocal(p.index); err != nil {
				return err
			}
		}
		frame, err = solicitation(p.hw, p.source, pr.Addr)
	}
	if err != nil {
		return err
	}
	p.queue = append(p.queue, probeFrame{pr, frame})
	return nil
}

// flush sends the frames together. It does not wait for room, and calls failed for
// each probe that did not go.
func (p *port) flush(failed func(pr *splitbrain.Probe, err error)) {
	if len(p.queue) == 0 {
		return
	}
	messages, parts := make([]mmsg.Message, len(p.queue)), make([]unix.Iovec, len(p.queue))
	for i := range p.queue {
		parts[i].Base = unsafe.SliceData(p.queue[i].frame)
		parts[i].SetLen(len(p.queue[i].frame))
		// No name: the socket is bound to its interface and protocol, and the frame
		// says who gets it.
		messages[i].Header.Iov = &parts[i]
		messages[i].Header.SetIovlen(1)
	}
	p.out.Offer(messages, func(i int, err error) { failed(p.queue[i].probe, err) })
	clear(p.queue)
	p.queue = p.queue[:0]
}

var errNoLinkLocal = errors.New("no link-local address yet")

// linkLocal is the link-local address of an interface.
func linkLocal(index int) (netip.Addr, error) {
	ifi, err := net.InterfaceByIndex(index)
	if err != nil {
		return netip.Addr{}, err
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is6() && prefix.Addr().IsLinkLocalUnicast() {
			return prefix.Addr().WithZone(""), nil
		}
	}
	return netip.Addr{}, errNoLinkLocal
}

// changed reports whether the interface is another one than when the socket was
// opened, or has other addresses that matter.
func (p *port) changed() bool {
	ifi, err := net.InterfaceByName(p.iface)
	if err != nil || ifi.Index != p.index || !slices.Equal(ifi.HardwareAddr, p.hw) {
		return true
	}
	p.source = netip.Addr{} // looked up again by the next probe
	return false
}

// read delivers what is heard until the socket is closed or fails. What came
// together is delivered together.
func read(in *mmsg.Reader, name string, deliver func(...splitbrain.Sighting)) error {
	for {
		n, err := in.Receive(readBatch)
		if err != nil {
			return fmt.Errorf("read probes on %s: %w", name, err)
		}
		now := time.Now()
		var heard []splitbrain.Sighting
		for i := range n {
			if addr, mac, err := parse(in.Payload(i)); err == nil {
				heard = append(heard, splitbrain.Sighting{Interface: name, Addr: addr, MAC: mac, At: now})
			}
		}
		if len(heard) > 0 {
			deliver(heard...)
		}
	}
}
