package vrrp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// memoryLAN is one segment in memory. What is sent is received at once.
type memoryLAN struct {
	mu      sync.Mutex
	sockets []*memorySocket
	cut     map[string]bool // hosts that nobody hears
	sent    []sentDatagram
	quiet   bool   // do not record
	onSend  func() // called before a batch leaves
}

type sentDatagram struct {
	at   time.Time
	host string
	Datagram
}

func newMemoryLAN() *memoryLAN { return &memoryLAN{cut: make(map[string]bool)} }

func (lan *memoryLAN) setCut(host string, cut bool) {
	lan.mu.Lock()
	defer lan.mu.Unlock()
	lan.cut[host] = cut
}

func (lan *memoryLAN) setOnSend(f func()) {
	lan.mu.Lock()
	defer lan.mu.Unlock()
	lan.onSend = f
}

// lastSent is when a host last sent an advert that was not a goodbye.
func (lan *memoryLAN) lastSent(host string) time.Time {
	lan.mu.Lock()
	defer lan.mu.Unlock()
	var at time.Time
	for _, d := range lan.sent {
		if d.host == host && d.Payload[2] != 0 {
			at = d.at
		}
	}
	return at
}

// count counts the datagrams of a host that match.
func (lan *memoryLAN) count(host string, match func(Datagram) bool) int {
	lan.mu.Lock()
	defer lan.mu.Unlock()
	n := 0
	for _, d := range lan.sent {
		if d.host == host && match(d.Datagram) {
			n++
		}
	}
	return n
}

// inject puts a packet on the segment that none of its hosts sent.
func (lan *memoryLAN) inject(p Packet, family Family) {
	lan.mu.Lock()
	defer lan.mu.Unlock()
	for _, s := range lan.sockets {
		if s.spec.Family == family {
			s.deliver(p)
		}
	}
}

// memoryNetwork is the LAN as one host sees it.
type memoryNetwork struct {
	lan  *memoryLAN
	host string

	mu    sync.Mutex
	fail  error
	delay time.Duration // of Open
}

func (n *memoryNetwork) setFailure(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail = err
}

func (n *memoryNetwork) Open(spec SocketSpec) (Socket, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return nil, n.fail
	}
	time.Sleep(n.delay)
	s := &memorySocket{
		lan: n.lan, host: n.host, spec: spec,
		queue: make(chan Packet, 4096), closed: make(chan struct{}),
	}
	n.lan.mu.Lock()
	defer n.lan.mu.Unlock()
	n.lan.sockets = append(n.lan.sockets, s)
	return s, nil
}

type memorySocket struct {
	lan    *memoryLAN
	host   string
	spec   SocketSpec
	vrids  VRIDSet
	groups []netip.Addr
	queue  chan Packet
	closed chan struct{}
}

func (s *memorySocket) Subscribe(vrids VRIDSet, groups []netip.Addr) error {
	s.lan.mu.Lock()
	defer s.lan.mu.Unlock()
	s.vrids, s.groups = vrids, groups
	return nil
}

// deliver needs the LAN's lock.
func (s *memorySocket) deliver(p Packet) {
	if p.Dst.IsMulticast() && !slices.Contains(s.groups, p.Dst) {
		return
	}
	if len(p.Payload) > 1 && !s.vrids.Has(VRID(p.Payload[1])) {
		return
	}
	p.Payload = slices.Clone(p.Payload)
	select {
	case s.queue <- p:
	default: // a full receive buffer
	}
}

func (s *memorySocket) Send(batch []Datagram, _ func(int, error)) {
	s.lan.mu.Lock()
	if hook := s.lan.onSend; hook != nil {
		s.lan.mu.Unlock()
		hook()
		s.lan.mu.Lock()
	}
	defer s.lan.mu.Unlock()
	for _, d := range batch {
		if !s.lan.quiet {
			s.lan.sent = append(s.lan.sent, sentDatagram{time.Now(), s.host, d})
		}
		if s.lan.cut[s.host] {
			continue
		}
		for _, other := range s.lan.sockets {
			if other.host != s.host && other.spec.Family == s.spec.Family && !s.lan.cut[other.host] {
				other.deliver(Packet(d))
			}
		}
	}
}

func (s *memorySocket) Receive(batch []Packet) (int, error) {
	select {
	case batch[0] = <-s.queue:
	case <-s.closed:
		return 0, net.ErrClosed
	}
	for n := 1; n < len(batch); n++ {
		select {
		case batch[n] = <-s.queue:
		default:
			return n, nil
		}
	}
	return len(batch), nil
}

func (s *memorySocket) Close() error {
	s.lan.mu.Lock()
	defer s.lan.mu.Unlock()
	s.lan.sockets = slices.DeleteFunc(s.lan.sockets, func(o *memorySocket) bool { return o == s })
	close(s.closed)
	return nil
}

// memoryKernel records what an engine asks of the kernel.
type memoryKernel struct {
	mu        sync.Mutex
	held      map[netip.Prefix]string
	claimErr  error
	renewErr  error
	calls     []string
	announced []Announcement
	batches   int           // calls of Announce
	lifetime  time.Duration // of the last claim
	renewed   int
	renewedAt []time.Time
	prolonged map[string]time.Time // by instance: the last claim or renewal
}

func newMemoryKernel() *memoryKernel {
	return &memoryKernel{held: make(map[netip.Prefix]string), prolonged: make(map[string]time.Time)}
}

func (k *memoryKernel) Claim(instance string, addrs []Address, _ []Route, lifetime time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = append(k.calls, "claim "+instance)
	k.lifetime = lifetime
	if k.claimErr != nil {
		return k.claimErr
	}
	k.prolonged[instance] = time.Now()
	for _, a := range addrs {
		k.held[a.Prefix] = instance
	}
	return nil
}

func (k *memoryKernel) Release(instance string, addrs []Address, _ []Route) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = append(k.calls, "release "+instance)
	for _, a := range addrs {
		delete(k.held, a.Prefix)
	}
	return nil
}

func (k *memoryKernel) Renew(except ...string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.renewed++
	for _, instance := range k.held {
		if !slices.Contains(except, instance) {
			k.prolonged[instance] = time.Now()
		}
	}
	k.renewedAt = append(k.renewedAt, time.Now())
	return k.renewErr
}

func (k *memoryKernel) Announce(batch []Announcement) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.announced = append(k.announced, batch...)
	k.batches++
	return nil
}

func (k *memoryKernel) holds() []netip.Prefix {
	k.mu.Lock()
	defer k.mu.Unlock()
	var prefixes []netip.Prefix
	for p := range k.held {
		prefixes = append(prefixes, p)
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return prefixes
}

// with changes or reads the kernel under its lock.
func (k *memoryKernel) with(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// testNode is one engine on a memoryLAN.
type testNode struct {
	t       *testing.T
	name    string
	addr    netip.Addr
	engine  *Engine
	kernel  *memoryKernel
	network *memoryNetwork
	stop    context.CancelFunc
	ended   chan struct{}

	mu          sync.Mutex
	transitions []Transition
	observed    []Observation
	published   int
	suspended   time.Duration
	renewEvery  time.Duration // 0: the engine's default
	gate        *memoryGate   // nil: none
	will        Will          // the last one
}

// startNode runs an engine on interface eth0 with the given address until the
// test ends.
func startNode(t *testing.T, lan *memoryLAN, name, addr string) *testNode {
	t.Helper()
	n := newTestNode(t, lan, name, addr)
	n.start(n.kernel)
	return n
}

// bubbleClock is the bubble's clock as the one of leases.
func bubbleClock() kclock.Instant { return kclock.Instant(time.Now().UnixNano()) }

func newTestNode(t *testing.T, lan *memoryLAN, name, addr string) *testNode {
	return &testNode{
		t: t, name: name, addr: netip.MustParseAddr(addr), kernel: newMemoryKernel(),
		network: &memoryNetwork{lan: lan, host: name}, ended: make(chan struct{}),
	}
}

func (n *testNode) start(kernel Kernel) {
	n.t.Helper()
	t, name := n.t, n.name
	var gate Gate
	if n.gate != nil {
		gate = n.gate
	}
	engine, err := NewEngine(Options{
		Gate:    gate,
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)).With("node", name),
		Network: n.network,
		Kernel:  kernel,
		Alarm:   kclock.NewTimer(),
		Clock:   bubbleClock,

		RenewEvery: n.renewEvery,
		Notify: func(tr Transition) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.transitions = append(n.transitions, tr)
		},
		Observe: func(o Observation) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.observed = append(n.observed, o)
		},
		Publish: func([]UnitStatus) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.published++
		},
		Will: func(w Will) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.will = w
		},
		Suspended: func() time.Duration {
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.suspended
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.engine = engine
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = func() {
		cancel()
		<-n.ended
	}
	go func() {
		defer close(n.ended)
		if err := engine.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
	}()
	t.Cleanup(n.stop)
	n.setLink(true)
}

// setLink tells the engine that eth0 is up or down, with its own address and
// what the kernel holds.
func (n *testNode) setLink(up bool) {
	n.t.Helper()
	link := Link{Name: "eth0", Index: 2, Up: up, MTU: 1500}
	link.Addrs = append(link.Addrs, netip.PrefixFrom(n.addr, 24))
	link.Addrs = append(link.Addrs, n.kernel.holds()...)
	if err := n.engine.SetLink(n.t.Context(), link); err != nil {
		n.t.Fatal(err)
	}
}

func (n *testNode) apply(specs ...UnitSpec) {
	n.t.Helper()
	if err := n.engine.Apply(n.t.Context(), specs, ApplyOptions{}); err != nil {
		n.t.Fatal(err)
	}
}

func (n *testNode) state(unit string) State {
	n.t.Helper()
	for _, s := range n.engine.Status() {
		if s.Name == unit {
			return s.State
		}
	}
	n.t.Fatalf("node %s has no unit %s", n.name, unit)
	return Init
}

func (n *testNode) wantState(unit string, want State) {
	n.t.Helper()
	synctest.Wait()
	if got := n.state(unit); got != want {
		n.t.Errorf("node %s: unit %s is %v, want %v", n.name, unit, got, want)
	}
}

// lastTransition is the last one to a state.
func (n *testNode) lastTransition(to State) Transition {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, tr := range slices.Backward(n.transitions) {
		if tr.To == to {
			return tr
		}
	}
	n.t.Errorf("node %s never became %v", n.name, to)
	return Transition{}
}

func (n *testNode) transitionCount() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.transitions)
}

// unitSpec is a unit of one instance on eth0 with keepalived's defaults.
func unitSpec(vrid VRID, priority Priority, change ...func(*InstanceSpec)) UnitSpec {
	name := fmt.Sprintf("vi_%d", vrid)
	i := InstanceSpec{
		Name: name, Interface: "eth0", Family: IPv4, VRID: vrid, Version: 2,
		Priority: priority, AdvertInterval: time.Second, DownTimerAdverts: 3, Preempt: true,
		Addresses: []Address{{
			Prefix:    netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(vrid)}), 32),
			Interface: "eth0",
		}},
		Announce: Announce{Repeat: 5, Delay: 5 * time.Second, LowerPrioRepeat: 5, LowerPrioDelay: 5 * time.Second},
	}
	for _, f := range change {
		f(&i)
	}
	return UnitSpec{Name: name, Instances: []InstanceSpec{i}}
}
