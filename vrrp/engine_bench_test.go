package vrrp

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/vrrp/packet"
)

// nullNetwork takes everything and brings nothing.
type nullNetwork struct{ sent int }

type nullSocket struct {
	network *nullNetwork
	closed  chan struct{}
}

func (n *nullNetwork) Open(SocketSpec) (Socket, error) {
	return &nullSocket{n, make(chan struct{})}, nil
}

func (s *nullSocket) Subscribe(VRIDSet, []netip.Addr) error     { return nil }
func (s *nullSocket) Send(batch []Datagram, _ func(int, error)) { s.network.sent += len(batch) }
func (s *nullSocket) Close() error                              { close(s.closed); return nil }

func (s *nullSocket) Receive([]Packet) (int, error) {
	<-s.closed
	return 0, net.ErrClosed
}

// newTestLoop is an engine's loop, driven by hand.
func newTestLoop(t testing.TB, gate Gate, specs ...UnitSpec) (*loop, *nullNetwork) {
	network := &nullNetwork{}
	var published atomic.Pointer[[]UnitStatus]
	opts := &Options{
		Log: slog.New(slog.DiscardHandler), Network: network, Kernel: newMemoryKernel(), Gate: gate,
		Alarm: kclock.NewTimer(), RenewEvery: time.Hour, Lease: time.Hour,
	}
	l := newLoop(opts, &published, func(*openSocket) {}) // nobody reads
	t.Cleanup(l.closeSockets)
	l.setLink(Link{Name: "eth0", Index: 2, Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}})
	l.apply(specs, ApplyOptions{})
	l.settle()
	return l, network
}

// unitSpecs is a unit for each VRID there is.
func unitSpecs(priority Priority) []UnitSpec {
	var specs []UnitSpec
	for vrid := 1; vrid <= 255; vrid++ {
		specs = append(specs, unitSpec(VRID(vrid), priority))
	}
	return specs
}

// at makes the loop do what is due at a time.
func (l *loop) at(now time.Time) {
	l.now = now
	l.settle()
	l.publish()
}

func TestSteadyStateNeedsNoMemory(t *testing.T) {
	backup, _ := newTestLoop(t, nil, unitSpec(51, 100))
	s := backup.sockets[socketKey{"eth0", IPv4}]
	advert := received{
		advert: packet.Advert{Version: 2, VRID: 51, Priority: 150, Interval: time.Second,
			Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.51")}},
		src: testPeer, dst: testGroup, ttl: 255,
	}.packet(t)
	hear := func() {
		backup.now = backup.now.Add(time.Second)
		backup.hear(s, &advert)
		backup.settle()
	}
	hear()
	if got := testing.AllocsPerRun(100, hear); got > 0 {
		t.Errorf("a backup allocates %v times for an advert, want none", got)
	}

	master, _ := newTestLoop(t, nil, unitSpec(51, 150))
	send := func() { master.at(master.now.Add(time.Second)) }
	for range 60 { // until the second burst of announcements is over
		send()
	}
	payload := &master.units[0].instances[0].out.datagrams[0].Payload[0]
	// The one is the unit's action.
	if got := testing.AllocsPerRun(100, send); got > 1 {
		t.Errorf("a master allocates %v times for an advert, want at most once", got)
	}
	if &master.units[0].instances[0].out.datagrams[0].Payload[0] != payload {
		t.Error("the packet was built anew although nothing changed")
	}
}

func BenchmarkMasterSends255Adverts(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchmarkMaster(b, nil) })
	b.Run("behind gates", func(b *testing.B) { benchmarkMaster(b, nullGate{}) })
}

// nullGate guards nothing. Its clock stands still, so that no lease runs out.
type nullGate struct{}

type nullSlot struct{ deadline time.Duration }

func (nullGate) Now() time.Duration                { return 0 }
func (nullGate) At(kclock.Instant) time.Duration   { return 0 }
func (nullGate) Guards(int) error                  { return nil }
func (nullGate) NewSlot() (GateSlot, error)        { return new(nullSlot), nil }
func (s *nullSlot) Guard(Guarded) error            { return nil }
func (s *nullSlot) Open(deadline, _ time.Duration) { s.deadline = deadline }
func (s *nullSlot) Close()                         { s.deadline = 0 }
func (s *nullSlot) Deadline() time.Duration        { return s.deadline }
func (s *nullSlot) Free() error                    { return nil }

func benchmarkMaster(b *testing.B, gate Gate) {
	specs := unitSpecs(150)
	l, network := newTestLoop(b, gate, specs...)
	now := l.now
	for range 60 { // until the second burst of announcements is over
		now = now.Add(time.Second)
		l.at(now)
	}
	if gate != nil { // which comes in the middle of a tenure: the loop's time is not the clock's
		specs = slices.Clone(specs)
		for n := range specs {
			specs[n].KernelLease = LeaseByAdverts
		}
		l.apply(specs, ApplyOptions{})
		l.settle()
		if l.units[254].gate.slot == nil {
			b.Fatal("a unit has no gate")
		}
	}
	network.sent = 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		l.at(now)
	}
	if network.sent != 255*b.N {
		b.Fatalf("%d adverts in %d rounds, want 255 in each", network.sent, b.N)
	}
}

func BenchmarkBackupHears255Adverts(b *testing.B) {
	l, _ := newTestLoop(b, nil, unitSpecs(100)...)
	s := l.sockets[socketKey{"eth0", IPv4}]
	packets := make([]Packet, 255)
	for n := range packets {
		unit := l.units[n]
		packets[n] = received{
			advert: packet.Advert{Version: 2, VRID: uint8(unit.instances[0].spec.VRID), Priority: 150, Interval: time.Second,
				Addrs: []netip.Addr{unit.instances[0].spec.Addresses[0].Prefix.Addr()}},
			src: testPeer, dst: testGroup, ttl: 255,
		}.packet(b)
	}
	now := l.now
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		l.now = now
		for n := range packets {
			l.hear(s, &packets[n])
		}
		l.settle()
		l.publish()
	}
	if got := l.units[254].instances[0].received; got != uint64(b.N) {
		b.Fatalf("the last instance heard %d adverts in %d rounds", got, b.N)
	}
}
