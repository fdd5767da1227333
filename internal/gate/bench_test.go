package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// The benchmarks of this file are what docs/bench-gate.md shows (make bench-gate):
// what a renewal costs, here and as two timed slots of nftables, and what a packet
// costs.

// BenchmarkRenew renews units once in each round, as the engine does with those that
// are due together: one reading of the clock before the adverts, one after, and for
// each unit a look at the deadline in force and a new one.
func BenchmarkRenew(b *testing.B) {
	for _, units := range []int{1, 255} {
		b.Run(fmt.Sprintf("gate/%d", units), func(b *testing.B) {
			g := newMachine(b).idleGate(nil)
			list := make([]*Slot, units)
			for n := range list {
				list[n] = guard(b, g, time.Hour, netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}).String())
			}
			for b.Loop() {
				before := Now()
				after := Now()
				for _, s := range list {
					if after < s.Deadline() {
						s.Open(before+2*time.Second, before+time.Minute)
					}
				}
			}
		})
		b.Run(fmt.Sprintf("nftables/%d", units), func(b *testing.B) {
			n := newTimedSlots(b, newMachine(b), units)
			for b.Loop() {
				n.renew()
			}
		})
	}
}

// timedSlots is the other way to build a gate: each unit has two elements with a
// timeout, and a map says which of the two is in force.
type timedSlots struct {
	b       *testing.B
	conn    *nftables.Conn
	slots   *nftables.Set
	inForce *nftables.Set
	units   int
	turn    uint32 // which of the two is armed next
}

func newTimedSlots(b *testing.B, m *machine, units int) *timedSlots {
	conn, err := nftables.New(nftables.WithNetNSFd(int(m.handle)), nftables.AsLasting())
	must(b, err)
	b.Cleanup(func() { _ = conn.CloseLasting() })
	table := conn.AddTable(&nftables.Table{Name: "gate", Family: nftables.TableFamilyINet})
	t := &timedSlots{b: b, conn: conn, units: units}
	t.slots = &nftables.Set{Table: table, Name: "slots", KeyType: nftables.TypeMark, HasTimeout: true}
	t.inForce = &nftables.Set{Table: table, Name: "in_force", KeyType: nftables.TypeMark, DataType: nftables.TypeMark, IsMap: true}
	must(b, conn.AddSet(t.slots, t.slot(0)))
	must(b, conn.AddSet(t.inForce, t.points(0)))
	must(b, conn.Flush())
	t.turn = 1
	return t
}

func mark(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// slot is one of the two elements of each unit.
func (t *timedSlots) slot(which uint32) []nftables.SetElement {
	list := make([]nftables.SetElement, t.units)
	for n := range list {
		list[n] = nftables.SetElement{Key: mark(uint32(n)<<1 | which), Timeout: 2 * time.Second}
	}
	return list
}

// points is the map when one of the two is in force.
func (t *timedSlots) points(which uint32) []nftables.SetElement {
	list := make([]nftables.SetElement, t.units)
	for n := range list {
		list[n] = nftables.SetElement{Key: mark(uint32(n)), Val: mark(uint32(n)<<1 | which)}
	}
	return list
}

// renew arms the slots that are not in force, and when the kernel has said so,
// switches to them in one transaction that deletes the others.
func (t *timedSlots) renew() {
	next, old := t.turn, 1-t.turn
	must(t.b, t.conn.SetAddElements(t.slots, t.slot(next)))
	must(t.b, t.conn.Flush())
	must(t.b, t.conn.SetDeleteElements(t.inForce, t.points(old)))
	must(t.b, t.conn.SetAddElements(t.inForce, t.points(next)))
	must(t.b, t.conn.SetDeleteElements(t.slots, t.slot(old)))
	must(t.b, t.conn.Flush())
	t.turn = old
}

// BenchmarkPacket runs the programs alone, by the kernel's own test run: what the
// gate adds to a packet.
func BenchmarkPacket(b *testing.B) {
	m := newMachine(b)
	g := m.idleGate(nil)
	loopback := make(net.HardwareAddr, 6) // on which a test run takes place
	other := eth(loopback, loopback, unix.ETH_P_IP, echo4(peer4, own4))
	to := eth(loopback, loopback, unix.ETH_P_IP, echo4(peer4, vip4))
	from := eth(loopback, loopback, unix.ETH_P_IP, echo4(vip4, peer4))
	run := func(b *testing.B, d direction, frame []byte) {
		const repeat = 100_000
		var total time.Duration
		for b.Loop() {
			var took time.Duration
			must(b, m.do(func() (err error) {
				_, took, err = g.programs[programIndex(d, ethernet)].Benchmark(frame, repeat, func() {})
				return err
			}))
			total += took
		}
		b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/packet")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("in/passed_over", func(b *testing.B) {
		run(b, ingress, eth(net.HardwareAddr{2, 0, 0, 0, 0, 1}, loopback, unix.ETH_P_IP, echo4(peer4, own4)))
	})
	b.Run("in/no_slot", func(b *testing.B) { run(b, ingress, other) })
	b.Run("out/no_slot", func(b *testing.B) { run(b, egress, other) })
	for n := range 255 {
		guard(b, g, time.Hour, netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}).String())
	}
	guard(b, g, time.Hour, vip4.String())
	b.Run("in/256_slots,_another_address", func(b *testing.B) { run(b, ingress, other) })
	b.Run("in/256_slots,_an_open_address", func(b *testing.B) { run(b, ingress, to) })
	b.Run("out/256_slots,_another_address", func(b *testing.B) { run(b, egress, other) })
	b.Run("out/256_slots,_an_open_address", func(b *testing.B) { run(b, egress, from) })
}

// BenchmarkFlow sends between two namespaces, from and to an address that a slot
// guards and keeps open.
func BenchmarkFlow(b *testing.B) {
	for _, gated := range []bool{false, true} {
		name := map[bool]string{false: "without", true: "with"}[gated]
		prepare := func(b *testing.B) (m, peer *machine) {
			m, peer = newMachine(b), newMachine(b)
			cable(m, "eth0", peer, "eth0")
			m.addr("eth0", vip4.String()+"/24")
			peer.addr("eth0", peer4.String()+"/24")
			if gated {
				guard(b, m.idleGate(nil), time.Hour, vip4.String())
			}
			return m, peer
		}
		b.Run("TCP/"+name, func(b *testing.B) { tcpFlow(b, prepare) })
		b.Run("UDP/"+name, func(b *testing.B) { udpFlow(b, prepare) })
	}
}

// tcpFlow sends a megabyte to the guarded address in each round.
func tcpFlow(b *testing.B, prepare func(*testing.B) (m, peer *machine)) {
	m, peer := prepare(b)
	var listener net.Listener
	must(b, m.do(func() (err error) {
		listener, err = net.Listen("tcp", net.JoinHostPort(vip4.String(), "4242"))
		return err
	}))
	defer listener.Close()
	drained := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
			err = errors.Join(err, conn.Close())
		}
		drained <- err
	}()
	var conn net.Conn
	must(b, peer.do(func() (err error) {
		conn, err = net.Dial("tcp", listener.Addr().String())
		return err
	}))
	chunk := make([]byte, 1<<20)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := conn.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	must(b, conn.Close())
	must(b, <-drained)
}

// udpFlow sends one small datagram in each round. A veth hands it over within the
// system call, so that the time of the sender is that of both ends.
func udpFlow(b *testing.B, prepare func(*testing.B) (m, peer *machine)) {
	m, peer := prepare(b)
	socket := func(m *machine, bind unix.Sockaddr) (fd int) {
		must(b, m.do(func() (err error) {
			if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
				err = unix.Bind(fd, bind)
			}
			return err
		}))
		b.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	to := &unix.SockaddrInet4{Port: 4242, Addr: peer4.As4()}
	socket(peer, to) // nobody reads: what does not fit is dropped
	fd := socket(m, &unix.SockaddrInet4{Addr: vip4.As4()})
	payload := make([]byte, 64)
	for b.Loop() {
		if err := unix.Sendto(fd, payload, 0, to); err != nil && !errors.Is(err, unix.ENOBUFS) {
			b.Fatal(err)
		}
	}
}
