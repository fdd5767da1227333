package gate

import (
	"net/netip"
	"testing"
	"time"
)

// pair is a machine with a gate and its neighbour, which watches it.
type pair struct {
	*machine
	g    *Gate
	peer *machine
	far  *wire // the neighbour's end of the cable
}

var (
	own4  = netip.MustParseAddr("192.0.2.1")
	peer4 = netip.MustParseAddr("192.0.2.2")
	vip4  = netip.MustParseAddr("192.0.2.100")
	own6  = netip.MustParseAddr("2001:db8::1")
	peer6 = netip.MustParseAddr("2001:db8::2")
	vip6  = netip.MustParseAddr("2001:db8::100")
	// solicited is the solicited-node group of vip6.
	solicited    = netip.MustParseAddr("ff02::1:ff00:100")
	solicitedMAC = []byte{0x33, 0x33, 0xff, 0, 1, 0}
)

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{machine: newMachine(t), peer: newMachine(t)}
	cable(p.machine, "eth0", p.peer, "eth0")
	p.g = p.gate(nil)
	p.dress("eth0")
	return p
}

// dress gives both ends of the cable their addresses, and the machine's link the
// virtual ones.
func (p *pair) dress(link string) {
	p.t.Helper()
	for _, a := range []string{own4.String() + "/24", vip4.String() + "/32", own6.String() + "/64", vip6.String() + "/128"} {
		p.addr(link, a)
	}
	p.peer.addr(link, peer4.String()+"/24")
	p.peer.addr(link, peer6.String()+"/64")
	p.far = p.peer.wire(link)
}

// wantAnswers asks for the virtual addresses in every way, and for the machine's
// own ones, which always answer.
func (p *pair) wantAnswers(link string, want bool) {
	p.t.Helper()
	mac := p.link(link).Attrs().HardwareAddr
	w := p.far
	w.wantAnswer("who-has", eth(broadcast, w.mac, 0x0806, arp(1, w.mac, peer4, vip4)), isARP(vip4), want)
	w.wantAnswer("who-has by unicast", eth(mac, w.mac, 0x0806, arp(1, w.mac, peer4, vip4)), isARP(vip4), want)
	w.wantAnswer("probe with sender 0", eth(broadcast, w.mac, 0x0806, arp(1, w.mac, netip.IPv4Unspecified(), vip4)), isARP(vip4), want)
	w.wantAnswer("echo", eth(mac, w.mac, 0x0800, echo4(peer4, vip4)), isFrom4(1, vip4), want)
	w.wantAnswer("echo with options", eth(mac, w.mac, 0x0800, ip4(1, peer4, vip4, []byte{1, 1, 1, 1}, 0, echo(8))), isFrom4(1, vip4), want)
	w.wantAnswer("neighbour solicitation", eth(solicitedMAC, w.mac, 0x86dd, neighbour(135, peer6, solicited, vip6, w.mac)), isNeighbour(vip6), want)
	w.wantAnswer("neighbour solicitation by unicast", eth(mac, w.mac, 0x86dd, neighbour(135, peer6, vip6, vip6, w.mac)), isNeighbour(vip6), want)
	w.wantAnswer("echo6", eth(mac, w.mac, 0x86dd, echo6(peer6, vip6)), isFrom6(58, vip6), want)
	p.wantOwn(link)
}

func (p *pair) wantOwn(link string) {
	p.t.Helper()
	mac, w := p.link(link).Attrs().HardwareAddr, p.far
	w.wantAnswer("own echo", eth(mac, w.mac, 0x0800, echo4(peer4, own4)), isFrom4(1, own4), true)
	w.wantAnswer("own echo6", eth(mac, w.mac, 0x86dd, echo6(peer6, own6)), isFrom6(58, own6), true)
}

// TestGateOpensAndClosesAtAbsoluteTimes is the whole life of a slot: what is behind
// it answers while it is open, is silent while it is closed, and answers again when
// the entry has ended.
func TestGateOpensAndClosesAtAbsoluteTimes(t *testing.T) {
	p := newPair(t)
	p.wantAnswers("eth0", true) // no entry at all

	s := guard(t, p.g, time.Hour, vip4.String(), vip6.String())
	if s.State() != Open {
		t.Fatalf("State = %v, want %v", s.State(), Open)
	}
	p.wantAnswers("eth0", true)

	s.Open(Now()+20*time.Millisecond, Now()+time.Hour)
	eventually(t, 10*time.Second, "the deadline passes", func() bool { return s.State() == Closed })
	p.wantAnswers("eth0", false)
	if stats, err := p.g.Stats(); err != nil || stats.In == 0 {
		t.Errorf("Stats = %+v, %v; want packets dropped", stats, err)
	}

	s.Open(0, Now()+20*time.Millisecond)
	eventually(t, 10*time.Second, "the entry ends", func() bool { return s.State() == Absent })
	p.wantAnswers("eth0", true)

	s.Open(Now()+time.Hour, Now()+2*time.Hour)
	must(t, p.g.CloseSlots([]uint32{uint32(s.Index())}))
	p.wantAnswers("eth0", false)
	must(t, s.Free())
	p.wantAnswers("eth0", true)
}

// The same link-local address may be there on several links, as VRRP for IPv6 wants
// it: each belongs to the slot of its link.
func TestLinkLocalAddressesAreGuardedByLink(t *testing.T) {
	p := newPair(t)
	cable(p.machine, "eth1", p.peer, "eth1")
	eventually(t, 10*time.Second, "the new link is guarded", func() bool { return p.g.Guards(p.index("eth1")) == nil })
	router := netip.MustParseAddr("fe80::cafe")
	for _, link := range []string{"eth0", "eth1"} {
		p.addr(link, router.String()+"/64")
	}
	far := map[string]*wire{"eth0": p.far, "eth1": p.peer.wire("eth1")}
	ask := func(link string, want bool) {
		t.Helper()
		w, mac := far[link], p.link(link).Attrs().HardwareAddr
		client := netip.MustParseAddr("fe80::2")
		w.wantAnswer("solicitation on "+link, eth(mac, w.mac, 0x86dd, neighbour(135, client, router, router, w.mac)), isNeighbour(router), want)
		w.wantAnswer("echo6 on "+link, eth(mac, w.mac, 0x86dd, echo6(client, router)), isFrom6(58, router), want)
	}
	s, err := p.g.NewSlot()
	must(t, err)
	if err := s.Guard(Guarded{Addresses: []netip.Addr{router}}); err == nil {
		t.Error("a link-local address was guarded without its link")
	}
	must(t, s.Guard(Guarded{Addresses: []netip.Addr{OnLink(router, p.index("eth1"))}}))
	s.Open(0, Now()+time.Hour)
	ask("eth0", true)
	ask("eth1", false)
	if list, err := p.g.Slots(); err != nil || len(list) != 1 || list[0].Addresses[0] != OnLink(router, p.index("eth1")) {
		t.Errorf("Slots = %+v, %v; want %v on its link", list, err, router)
	}
	must(t, s.Free())
	ask("eth1", true)
}
