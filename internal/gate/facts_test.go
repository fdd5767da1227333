package gate

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The tests of this file are findings about other ways to build such a gate (T1,
// T2, T5, T7, T13): each of those let something pass, or caught too much.

// closed guards the virtual addresses of p by a slot that has run out.
func (p *pair) closed(what Guarded) *Slot {
	p.t.Helper()
	s := guard(p.t, p.g, 0, vip4.String(), vip6.String())
	if len(what.Routers) > 0 {
		what.Addresses = []netip.Addr{vip4, vip6}
		must(p.t, s.Guard(what))
	}
	return s
}

// wantLeaves sends a frame by a packet socket of the machine itself, and wants it
// to arrive at the neighbour or not.
func (p *pair) wantLeaves(w *wire, what string, frame []byte, arrived func([]byte) bool, want bool) {
	p.t.Helper()
	before := p.far.count(arrived)
	w.send(frame)
	if want {
		eventually(p.t, 10*time.Second, what+" arrives", func() bool { return p.far.count(arrived) > before })
		return
	}
	time.Sleep(settle)
	if p.far.count(arrived) > before {
		p.t.Errorf("%s left a closed machine", what)
	}
}

// S23, T1: what a packet socket sends leaves below the firewall's output hook.
func TestAnnouncementsByPacketSocketDoNotLeave(t *testing.T) {
	p := newPair(t)
	s := p.closed(Guarded{})
	w := p.wire("eth0")
	garp := eth(broadcast, w.mac, 0x0806, arp(1, w.mac, vip4, vip4))
	answer := eth(broadcast, w.mac, 0x0806, arp(2, w.mac, vip4, vip4))
	na := eth([]byte{0x33, 0x33, 0, 0, 0, 1}, w.mac, 0x86dd,
		neighbour(136, own6, netip.MustParseAddr("ff02::1"), vip6, w.mac))

	for _, closed := range []bool{true, false} {
		p.wantLeaves(w, "a gratuitous request", garp, isARP(vip4), !closed)
		p.wantLeaves(w, "a gratuitous answer", answer, isARP(vip4), !closed)
		p.wantLeaves(w, "the same with a tag of priority", tag(0, answer), isARP(vip4), !closed)
		p.wantLeaves(w, "a neighbour advertisement", na, isNeighbour(vip6), !closed)
		p.wantLeaves(w, "ARP of another address", eth(broadcast, w.mac, 0x0806, arp(1, w.mac, own4, own4)), isARP(own4), true)
		s.Open(Now()+time.Hour, Now()+2*time.Hour)
	}
}

// A packet socket may say one protocol and send another.
func TestSocketThatLiesAboutItsProtocolIsSeenThrough(t *testing.T) {
	p := newPair(t)
	p.closed(Guarded{})
	var fd int
	must(t, p.do(func() (err error) {
		fd, err = packetSocket(p.index("eth0"), unix.ETH_P_RARP)
		return err
	}))
	defer unix.Close(fd)
	w := &wire{t: t, fd: fd, mac: p.link("eth0").Attrs().HardwareAddr}
	p.wantLeaves(w, "an announcement", eth(broadcast, w.mac, 0x0806, arp(2, w.mac, vip4, vip4)), isARP(vip4), false)
}

// S24, T2: any packet from the address makes the kernel ask for the next hop in its
// name, and neighbours learn from the question.
func TestPacketsFromAClosedAddressDisturbNobody(t *testing.T) {
	p := newPair(t)
	s := p.closed(Guarded{})
	stranger := netip.MustParseAddr("192.0.2.77") // nobody: the kernel must ask
	talk := func() {
		p.sendFrom(unix.AF_INET, &unix.SockaddrInet4{Addr: vip4.As4()}, &unix.SockaddrInet4{Port: 9, Addr: stranger.As4()})
		p.sendFrom(unix.AF_INET, &unix.SockaddrInet4{Addr: vip4.As4()}, &unix.SockaddrInet4{Port: 9, Addr: peer4.As4()})
		p.sendFrom(unix.AF_INET6, &unix.SockaddrInet6{Addr: vip6.As16()}, &unix.SockaddrInet6{Port: 9, Addr: peer6.As16()})
	}
	heard := func() int {
		return p.far.count(isARP(vip4)) + p.far.count(isFrom4(unix.IPPROTO_UDP, vip4)) + p.far.count(isFrom6(unix.IPPROTO_UDP, vip6)) +
			p.far.count(isFrom6(unix.IPPROTO_ICMPV6, vip6))
	}
	talk()
	time.Sleep(settle)
	if n := heard(); n > 0 {
		t.Errorf("the neighbour heard %d frames in the name of a closed address", n)
	}
	s.Open(Now()+time.Hour, Now()+2*time.Hour)
	eventually(t, 10*time.Second, "an open address asks and sends", func() bool {
		talk()
		return p.far.count(isARP(vip4)) > 0 && p.far.count(isFrom4(unix.IPPROTO_UDP, vip4)) > 0 && p.far.count(isFrom6(unix.IPPROTO_UDP, vip6)) > 0
	})
}

// sendFrom sends a UDP datagram from an address of the machine, or has it dropped.
func (p *pair) sendFrom(family int, from, to unix.Sockaddr) {
	p.t.Helper()
	must(p.t, p.do(func() error {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, from); err != nil {
			return err
		}
		_ = unix.Sendto(fd, []byte("x"), 0, to) // a drop is told as an error
		return nil
	}))
}

// S24, T5: a port of the address that another table sends elsewhere (containers,
// kube-proxy) never reaches the input hook under the address's name.
func TestDNATDoesNotPassTheGateBy(t *testing.T) {
	p := newPair(t)
	const port = 4242
	p.redirect(port)
	server := p.udpEcho(port)
	defer unix.Close(server)

	mac, w := p.link("eth0").Attrs().HardwareAddr, p.far
	question := eth(mac, w.mac, 0x0800, ip4(unix.IPPROTO_UDP, peer4, vip4, nil, 0, udp(5555, port, "hello")))
	w.wantAnswer("a redirected port", question, isFrom4(unix.IPPROTO_UDP, vip4), true)
	s := p.closed(Guarded{})
	// Another port of ours: the connection is known to the kernel by now, and a
	// new one must be stopped as well.
	w.wantAnswer("a known connection", question, isFrom4(unix.IPPROTO_UDP, vip4), false)
	question = eth(mac, w.mac, 0x0800, ip4(unix.IPPROTO_UDP, peer4, vip4, nil, 0, udp(5556, port, "hello")))
	w.wantAnswer("a new connection", question, isFrom4(unix.IPPROTO_UDP, vip4), false)
	must(t, s.Free())
	w.wantAnswer("without an entry", question, isFrom4(unix.IPPROTO_UDP, vip4), true)
}

func udp(from, to int, text string) []byte {
	b := be16(be16(nil, from), to)
	return append(be16(be16(b, 8+len(text)), 0), text...)
}

// redirect sends a UDP port of the virtual address to the machine's own address.
func (p *pair) redirect(port int) {
	p.t.Helper()
	conn, err := nftables.New(nftables.WithNetNSFd(int(p.handle)))
	must(p.t, err)
	table := conn.AddTable(&nftables.Table{Name: "nat", Family: nftables.TableFamilyIPv4})
	chain := conn.AddChain(&nftables.Chain{
		Name: "prerouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
	})
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: vip4.AsSlice()},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(uint16(port))},
		&expr.Immediate{Register: 1, Data: own4.AsSlice()},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegAddrMax: 1},
	}})
	must(p.t, conn.Flush())
}

// udpEcho answers on the machine's own address until the test ends.
func (p *pair) udpEcho(port int) int {
	p.t.Helper()
	var fd int
	must(p.t, p.do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: own4.As4()})
	}))
	must(p.t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000}))
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 100)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if n, from, err := unix.Recvfrom(fd, buf, 0); err == nil {
				_ = unix.Sendto(fd, buf[:n], 0, from)
			}
		}
	}()
	p.t.Cleanup(func() {
		close(stop)
		<-ended
	})
	return fd
}

// S24, T7: the address on a macvlan of its own MAC, as virtual MACs are made.
func TestAddressOnAMacvlanIsGuardedToo(t *testing.T) {
	p := &pair{machine: newMachine(t), peer: newMachine(t)}
	cable(p.machine, "eth0", p.peer, "eth0")
	p.g = p.gate(nil)
	mac := []byte{0, 0, 0x5e, 0, 1, 51}
	must(t, p.route.LinkAdd(&netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "vrrp.51", ParentIndex: p.index("eth0"), HardwareAddr: mac},
		Mode:      netlink.MACVLAN_MODE_BRIDGE,
	}))
	p.up("vrrp.51")
	eventually(t, 10*time.Second, "the new link is guarded", func() bool { return p.g.Guards(p.index("vrrp.51")) == nil })
	p.addr("eth0", own4.String()+"/24")
	p.addr("vrrp.51", vip4.String()+"/32")
	p.peer.addr("eth0", peer4.String()+"/24")
	p.far = p.peer.wire("eth0")
	w := p.far
	fromVMAC := func(f []byte) bool { return string(f[6:12]) == string(mac) && isARP(vip4)(f) }

	who := eth(broadcast, w.mac, 0x0806, arp(1, w.mac, peer4, vip4))
	ping := eth(mac, w.mac, 0x0800, echo4(peer4, vip4))
	w.wantAnswer("who-has", who, isARP(vip4), true)
	w.wantAnswer("echo to the virtual MAC", ping, isFrom4(1, vip4), true)
	p.closed(Guarded{})
	w.wantAnswer("who-has", who, isARP(vip4), false)
	w.wantAnswer("echo to the virtual MAC", ping, isFrom4(1, vip4), false)
	p.wantLeaves(&wire{t: t, fd: p.wire("vrrp.51").fd, mac: mac}, "an announcement from the virtual MAC",
		eth(broadcast, mac, 0x0806, arp(1, mac, vip4, vip4)), fromVMAC, false)
}

// S23, S25a, T13: adverts of the unit's routers are stopped by VRID, link and family; the
// farewell, and those of other routers, pass.
func TestAdvertsOfAClosedUnitDoNotLeaveButItsFarewell(t *testing.T) {
	p := newPair(t)
	index := p.index("eth0")
	s := p.closed(Guarded{Routers: []Router{{index, 4, 51}, {index, 6, 51}, {index + 1000, 4, 60}}})
	w := p.wire("eth0")
	group4, group6 := netip.MustParseAddr("224.0.0.18"), netip.MustParseAddr("ff02::12")
	macs := map[netip.Addr][]byte{group4: {1, 0, 0x5e, 0, 0, 18}, group6: {0x33, 0x33, 0, 0, 0, 18}}
	advert := func(vrid, priority byte) []byte { return []byte{0x31, vrid, priority, 1, 0, 100, 0, 0, 192, 0, 2, 100} }
	heard := func(vrid, priority byte) func([]byte) bool {
		return func(f []byte) bool {
			for _, at := range []int{34, 38, 54} { // IPv4, with options, IPv6
				if len(f) >= at+3 && (f[23] == 112 || f[20] == 112) && f[at+1] == vrid && f[at+2] == priority {
					return true
				}
			}
			return false
		}
	}
	v4 := func(options []byte, fragment int, payload []byte) []byte {
		return eth(macs[group4], w.mac, 0x0800, ip4(112, own4, group4, options, fragment, payload))
	}
	v6 := func(payload []byte) []byte { return eth(macs[group6], w.mac, 0x86dd, ip6(112, own6, group6, payload)) }
	const firstFragment = 0x2000

	for _, closed := range []bool{true, false} {
		p.wantLeaves(w, "an advert", v4(nil, 0, advert(51, 100)), heard(51, 100), !closed)
		p.wantLeaves(w, "an advert with options", v4([]byte{1, 1, 1, 1}, 0, advert(51, 101)), heard(51, 101), !closed)
		p.wantLeaves(w, "the first fragment of an advert", v4(nil, firstFragment, advert(51, 102)), heard(51, 102), !closed)
		p.wantLeaves(w, "an advert of IPv6", v6(advert(51, 103)), heard(51, 103), !closed)
		p.wantLeaves(w, "a farewell", v4(nil, 0, advert(51, 0)), heard(51, 0), true)
		p.wantLeaves(w, "a farewell of IPv6", v6(advert(51, 0)), heard(51, 0), true)
		p.wantLeaves(w, "an advert of another router", v4(nil, 0, advert(52, 104)), heard(52, 104), true)
		p.wantLeaves(w, "an advert of the same VRID on another link", v4(nil, 0, advert(60, 105)), heard(60, 105), true)
		s.Open(Now()+time.Hour, Now()+2*time.Hour)
	}
	// Adverts of others always come in.
	near := p.wire("eth0")
	s.Close()
	p.far.send(eth(macs[group4], p.far.mac, 0x0800, ip4(112, peer4, group4, nil, 0, advert(51, 150))))
	eventually(t, 10*time.Second, "an advert comes in", func() bool { return near.count(heard(51, 150)) > 0 })
}

// The kernel's own raw sockets, which the daemon uses, are told of nothing and
// send nothing.
func TestRawSocketOfAClosedRouterSendsNothing(t *testing.T) {
	p := newPair(t)
	p.closed(Guarded{Routers: []Router{{p.index("eth0"), 4, 51}}})
	heard := func(f []byte) bool { return isFrom4(112, own4)(f) }
	send := func(priority byte) {
		must(t, p.do(func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 112)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			body := []byte{0x31, 51, priority, 1, 0, 100, 0, 0}
			binary.BigEndian.PutUint16(body[6:], uint16(sum(body)))
			return unix.Sendto(fd, body, 0, &unix.SockaddrInet4{Addr: peer4.As4()})
		}))
	}
	// The neighbour's address is resolved by a farewell first.
	send(0)
	eventually(t, 10*time.Second, "a farewell arrives", func() bool { return p.far.count(heard) == 1 })
	send(100)
	time.Sleep(settle)
	if n := p.far.count(heard); n != 1 {
		t.Errorf("%d packets arrived, want the farewell only", n)
	}
}
