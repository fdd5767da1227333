package vrrp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	mdpacket "github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/vrrp/packet"
)

// fast makes an instance of version 3 that advertises each 50 ms.
func fast(i *InstanceSpec) {
	i.Version = 3
	i.AdvertInterval = 50 * time.Millisecond
}

func overIPv6(i *InstanceSpec) {
	i.Family = IPv6
	i.Addresses = []Address{
		{Prefix: netip.MustParsePrefix("fe80::51/64"), Interface: "eth0"},
		{Prefix: netip.MustParsePrefix("2001:db8::51/64"), Interface: "eth0"},
	}
}

func unicastTo(peer netip.Addr) func(*InstanceSpec) {
	return func(i *InstanceSpec) {
		i.Wire.Unicast = true
		i.Wire.CheckSource = true
		i.Wire.Peers = []Peer{{Addr: peer}}
	}
}

func TestEnginesFailOverOnRealSockets(t *testing.T) {
	tests := []struct {
		name   string
		change func(i *InstanceSpec, peer *namespace)
	}{{
		name:   "IPv4 multicast",
		change: func(*InstanceSpec, *namespace) {},
	}, {
		name:   "IPv6 multicast",
		change: func(i *InstanceSpec, _ *namespace) { overIPv6(i) },
	}, {
		name:   "IPv4 unicast",
		change: func(i *InstanceSpec, peer *namespace) { unicastTo(peer.addr4)(i) },
	}, {
		name:   "IPv6 unicast",
		change: func(i *InstanceSpec, peer *namespace) { overIPv6(i); unicastTo(peer.addr6)(i) },
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			nsA, nsB := newNamespacePair(t)
			a, b := startRealNode(t, nsA, "a"), startRealNode(t, nsB, "b")
			a.apply(unitSpec(51, 150, fast, func(i *InstanceSpec) { tt.change(i, nsB) }))
			b.apply(unitSpec(51, 100, fast, func(i *InstanceSpec) { tt.change(i, nsA) }))
			a.wantState(Master)
			b.wantState(Backup)
			eventually(t, "the backup hears the master", func() bool { return b.unit().Instances[0].Received >= 3 })

			a.stop()
			b.wantState(Master)
			for reason, count := range b.unit().Instances[0].Rejected {
				t.Errorf("%d adverts were refused: %s", count, reason)
			}
		})
	}
}

func TestMembershipOutlivesALinkThatWasDown(t *testing.T) {
	nsA, nsB := newNamespacePair(t)
	a, b := startRealNode(t, nsA, "a"), startRealNode(t, nsB, "b")
	a.apply(unitSpec(51, 150, fast))
	b.apply(unitSpec(51, 100, fast))
	a.wantState(Master)

	eth0, err := nsB.link.LinkByName("eth0")
	must(t, err)
	down := nsB.state()
	down.Up = false
	must(t, nsB.link.LinkSetDown(eth0))
	must(t, b.engine.SetLink(t.Context(), down))
	b.wantState(Fault)
	must(t, nsB.link.LinkSetUp(eth0))
	must(t, b.engine.SetLink(t.Context(), nsB.state()))

	heard := b.unit().Instances[0].Received
	eventually(t, "the backup hears the master again", func() bool { return b.unit().Instances[0].Received >= heard+5 })
	b.wantState(Backup)
}

func TestIPv4HeadersLookLikeThoseOfKeepalived(t *testing.T) {
	nsA, nsB := newNamespacePair(t)
	var sniffer *mdpacket.Conn
	must(t, nsB.do(func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		sniffer, err = mdpacket.Listen(ifi, mdpacket.Datagram, unix.ETH_P_IP, nil)
		return err
	}))
	defer sniffer.Close()
	must(t, sniffer.SetReadDeadline(time.Now().Add(10*time.Second)))

	a := startRealNode(t, nsA, "a")
	a.apply(unitSpec(51, 150, fast))

	frame := make([]byte, 1500)
	for want := uint16(1); want <= 3; {
		n, _, err := sniffer.ReadFrom(frame)
		must(t, err)
		h := frame[:n]
		if len(h) < 20 || h[9] != packet.Number {
			continue // IGMP and the like
		}
		if h[1] != 0xc0 {
			t.Errorf("TOS = %#x, want 0xc0", h[1])
		}
		if got := binary.BigEndian.Uint16(h[4:]); got != want {
			t.Errorf("identification = %d, want %d", got, want)
		}
		if got := binary.BigEndian.Uint16(h[6:]); got != 0 {
			t.Errorf("flags and fragment offset = %#x, want 0", got)
		}
		if h[8] != 255 {
			t.Errorf("TTL = %d, want 255", h[8])
		}
		if src, _ := netip.AddrFromSlice(h[12:16]); src != nsA.addr4 {
			t.Errorf("source = %v, want %v", src, nsA.addr4)
		}
		if dst, _ := netip.AddrFromSlice(h[16:20]); dst != netip.MustParseAddr("224.0.0.18") {
			t.Errorf("destination = %v, want 224.0.0.18", dst)
		}
		want++
	}
}

func TestSendGoesOnBehindADatagramThatFails(t *testing.T) {
	nsA, nsB := newNamespacePair(t)
	sender, err := nsA.Open(SocketSpec{Interface: "eth0", Index: nsA.state().Index, Family: IPv4})
	must(t, err)
	defer sender.Close()
	receiver, err := nsB.Open(SocketSpec{Interface: "eth0", Index: nsB.state().Index, Family: IPv4})
	must(t, err)
	defer receiver.Close()
	group := netip.MustParseAddr("224.0.0.18")
	var vrids VRIDSet
	vrids.Add(51)
	must(t, receiver.Subscribe(vrids, []netip.Addr{group}))

	good := Datagram{Src: nsA.addr4, Dst: group, TTL: 255, Payload: []byte{0x31, 51, 100, 0, 0, 100, 0, 0}}
	tooBig := good
	tooBig.Payload = make([]byte, 2000) // longer than the MTU, and DF is not the reason
	unknown := good
	unknown.Payload = []byte{0x31, 52, 100, 0, 0, 100, 0, 0} // a VRID that is not subscribed
	batch := []Datagram{tooBig, good, unknown, tooBig}
	for range writeBatch {
		batch = append(batch, good)
	}
	var failures []int
	sender.Send(batch, func(index int, err error) {
		if !errors.Is(err, unix.EMSGSIZE) {
			t.Errorf("datagram %d: %v, want %v", index, err, unix.EMSGSIZE)
		}
		failures = append(failures, index)
	})
	if len(failures) != 2 || failures[0] != 0 || failures[1] != 3 {
		t.Errorf("datagrams %v failed, want 0 and 3", failures)
	}

	got := 0
	packets := make([]Packet, batchSize)
	for got < writeBatch+1 {
		n, err := receiver.Receive(packets)
		must(t, err)
		for _, p := range packets[:n] {
			if p.Src != nsA.addr4 || p.Dst != group || p.TTL != 255 || len(p.Payload) != 8 || p.Payload[1] != 51 {
				t.Errorf("received %+v, want what was sent", p)
			}
		}
		got += n
	}
}

func TestClosedSocketEndsItsReader(t *testing.T) {
	ns, _ := newNamespacePair(t)
	for _, family := range []Family{IPv4, IPv6} {
		s, err := ns.Open(SocketSpec{Interface: "eth0", Index: ns.state().Index, Family: family})
		must(t, err)
		ended := make(chan error)
		go func() {
			_, err := s.Receive(make([]Packet, 1))
			ended <- err
		}()
		must(t, s.Close())
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v: Receive = %v, want %v", family, err, net.ErrClosed)
		}
	}
}

func TestOpenOnAMissingInterfaceSaysWhich(t *testing.T) {
	ns, _ := newNamespacePair(t)
	_, err := ns.Open(SocketSpec{Interface: "eth9", Index: 99, Family: IPv4})
	if !errors.Is(err, unix.ENODEV) {
		t.Fatalf("Open = %v, want %v", err, unix.ENODEV)
	}
}
