package lab

import (
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// probeEvery is the pace of the watcher's questions.
	probeEvery = 10 * time.Millisecond

	// echoID marks the watcher's echo requests.
	echoID = 0x4841
)

// prober asks for addresses from one node; it keeps no results: the capture
// sees questions and answers alike.
type prober struct {
	from *Node
	out  *sender
	stop chan struct{}
	done chan struct{}
}

// spareProcessors lets the prober go on at once: a thread that has waited in the
// kernel needs one of the runtime's processors, and on a busy machine those few
// belong to threads that are not running.
var spareProcessors = sync.OnceFunc(func() { runtime.GOMAXPROCS(max(16, runtime.GOMAXPROCS(0))) })

func newProber(from *Node, addrs []netip.Addr) (*prober, error) {
	spareProcessors()
	out, err := newSender(from, Service)
	if err != nil {
		return nil, err
	}
	p := &prober{from: from, out: out, stop: make(chan struct{}), done: make(chan struct{})}
	go p.run(addrs)
	return p, nil
}

// run owns the sending socket until close. It keeps its pace by the kernel's
// timer on a realtime thread of its own: on a busy machine a Go timer would
// wait for other threads.
func (p *prober) run(addrs []netip.Addr) {
	defer close(p.done)
	runtime.LockOSThread()                                  // for good: the thread ends with this goroutine
	_ = unix.SchedSetAttr(0, scheduling(proberPriority), 0) // without it the pace is less even
	next := time.Now()
	for round := uint16(0); ; round++ {
		nodes := p.from.lan.Nodes()
		for _, addr := range addrs {
			p.out.send(p.who(addr))
			for _, n := range nodes {
				if n != p.from {
					p.out.send(p.echo(addr, n.MAC(Service), round))
				}
			}
		}
		select {
		case <-p.stop:
			return
		default:
		}
		next = next.Add(probeEvery)
		if rest := time.Until(next); rest > 0 {
			pause := unix.NsecToTimespec(rest.Nanoseconds())
			_ = unix.Nanosleep(&pause, nil) // woken early is asked early
		} else {
			next = time.Now()
		}
	}
}

func (p *prober) close() {
	close(p.stop)
	<-p.done
	p.out.close()
}

// who asks everybody for an address: an ARP probe with sender address zero
// (RFC 5227 section 1.1), or a neighbour solicitation from the link-local
// address, since one from the unspecified address is answered to all nodes.
func (p *prober) who(addr netip.Addr) []byte {
	own := p.from.MAC(Service)
	if addr.Is4() {
		b := ethernet(broadcast, own, etherARP, 28)
		arp := b[14:]
		copy(arp, []byte{0, 1, 8, 0, 6, 4, 0, 1})
		copy(arp[8:], own)
		copy(arp[24:], addr.AsSlice())
		return b
	}
	a := addr.As16()
	group := netip.AddrFrom16([16]byte{0xff, 0x02, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
	hw := net.HardwareAddr{0x33, 0x33, 0xff, a[13], a[14], a[15]}
	icmp := make([]byte, 32)
	icmp[0] = 135
	copy(icmp[8:], a[:])
	icmp[24], icmp[25] = 1, 1 // source link-layer address, 8 bytes
	copy(icmp[26:], own)
	return p.icmpv6(hw, p.from.LinkLocal(Service), group, icmp)
}

// echo asks one node, by its MAC, for an address that it may hold.
func (p *prober) echo(addr netip.Addr, to net.HardwareAddr, seq uint16) []byte {
	icmp := make([]byte, 8)
	binary.BigEndian.PutUint16(icmp[4:], echoID)
	binary.BigEndian.PutUint16(icmp[6:], seq)
	if addr.Is6() {
		icmp[0] = 128
		return p.icmpv6(to, p.from.Addr6(Service), addr, icmp)
	}
	icmp[0] = 8
	binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
	b := ethernet(to, p.from.MAC(Service), etherIPv4, 20+len(icmp))
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, protoICMP
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(icmp)))
	copy(ip[12:], p.from.Addr4(Service).AsSlice())
	copy(ip[16:], addr.AsSlice())
	binary.BigEndian.PutUint16(ip[10:], checksum(ip[:20]))
	copy(ip[20:], icmp)
	return b
}

func (p *prober) icmpv6(to net.HardwareAddr, src, dst netip.Addr, icmp []byte) []byte {
	pseudo := append(append(append(make([]byte, 0, 80), src.AsSlice()...), dst.AsSlice()...),
		0, 0, 0, byte(len(icmp)), 0, 0, 0, protoICMPv6)
	binary.BigEndian.PutUint16(icmp[2:], checksum(append(pseudo, icmp...)))
	b := ethernet(to, p.from.MAC(Service), etherIPv6, 40+len(icmp))
	ip := b[14:]
	ip[0], ip[6], ip[7] = 0x60, protoICMPv6, 255
	binary.BigEndian.PutUint16(ip[4:], uint16(len(icmp)))
	copy(ip[8:], src.AsSlice())
	copy(ip[24:], dst.AsSlice())
	copy(ip[40:], icmp)
	return b
}

func ethernet(dst, src net.HardwareAddr, kind uint16, size int) []byte {
	b := make([]byte, 14+size)
	copy(b, dst)
	copy(b[6:], src)
	binary.BigEndian.PutUint16(b[12:], kind)
	return b
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
