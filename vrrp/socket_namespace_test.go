package vrrp

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/kclock"
)

// The tests in this file and those that use it need root: they make network
// namespaces of their own and open raw sockets in them.

// namespace is a network namespace with one interface, eth0.
type namespace struct {
	t      *testing.T
	handle netns.NsHandle
	link   *netlink.Handle
	addr4  netip.Addr
	addr6  netip.Addr
}

// newNamespacePair makes two namespaces with a cable between them: .1 and .2
// of 192.0.2.0/24, fe80::1 and fe80::2.
func newNamespacePair(t *testing.T) (a, b *namespace) {
	t.Helper()
	a, b = newNamespace(t), newNamespace(t)
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: "eth0"},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsFd(int(b.handle)),
	}
	must(t, a.link.LinkAdd(veth))
	for n, ns := range []*namespace{a, b} {
		ns.addr4 = netip.AddrFrom4([4]byte{192, 0, 2, byte(n + 1)})
		ns.addr6 = netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(n + 1)})
		eth0, err := ns.link.LinkByName("eth0")
		must(t, err)
		// Only the link-local address given here, and usable at once.
		must(t, ns.link.LinkSetIP6AddrGenMode(eth0, nl.IN6_ADDR_GEN_MODE_NONE))
		must(t, ns.link.LinkSetUp(eth0))
		for _, addr := range []string{ns.addr4.String() + "/24", ns.addr6.String() + "/64"} {
			parsed, err := netlink.ParseAddr(addr)
			must(t, err)
			if parsed.IP.To4() == nil {
				parsed.Flags = unix.IFA_F_NODAD
			}
			must(t, ns.link.AddrAdd(eth0, parsed))
		}
	}
	return a, b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	ns := &namespace{t: t}
	made := make(chan error)
	go func() {
		// Never unlocked: the thread is in the wrong namespace and ends here.
		runtime.LockOSThread()
		var err error
		ns.handle, err = netns.New()
		made <- err
	}()
	must(t, <-made)
	var err error
	ns.link, err = netlink.NewHandleAt(ns.handle)
	must(t, err)
	t.Cleanup(func() {
		ns.link.Close()
		ns.handle.Close()
	})
	return ns
}

// do calls f on a thread that is in the namespace.
func (ns *namespace) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // as above
		if err := netns.Set(ns.handle); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// Open opens a real socket in the namespace.
func (ns *namespace) Open(spec SocketSpec) (s Socket, err error) {
	err = ns.do(func() error {
		s, err = RawNetwork{}.Open(spec)
		return err
	})
	return s, err
}

// state is eth0 as the engine wants to know it.
func (ns *namespace) state() Link {
	ns.t.Helper()
	eth0, err := ns.link.LinkByName("eth0")
	must(ns.t, err)
	link := Link{Name: "eth0", Index: eth0.Attrs().Index, Up: true, MTU: eth0.Attrs().MTU}
	link.Addrs = []netip.Prefix{netip.PrefixFrom(ns.addr4, 24), netip.PrefixFrom(ns.addr6, 64)}
	return link
}

// has says whether eth0 has an address.
func (ns *namespace) has(addr netip.Addr) bool {
	ns.t.Helper()
	eth0, err := ns.link.LinkByName("eth0")
	must(ns.t, err)
	addrs, err := ns.link.AddrList(eth0, netlink.FAMILY_ALL)
	must(ns.t, err)
	for _, a := range addrs {
		if got, ok := netip.AddrFromSlice(a.IP); ok && got.Unmap() == addr {
			return true
		}
	}
	return false
}

// realNode is an engine in a namespace: real sockets and alarm, no addresses.
type realNode struct {
	t      *testing.T
	engine *Engine
	kernel *memoryKernel
	stop   func()
}

func startRealNode(t *testing.T, ns *namespace, name string) *realNode {
	t.Helper()
	alarm, err := kclock.NewTimerfd()
	must(t, err)
	n := &realNode{t: t, kernel: newMemoryKernel()}
	n.engine, err = NewEngine(Options{
		Log:       slog.New(slog.NewTextHandler(t.Output(), nil)).With("node", name),
		Network:   ns,
		Kernel:    n.kernel,
		Alarm:     alarm,
		Suspended: kclock.Suspended,
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = n.engine.Run(ctx)
	}()
	n.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(n.stop)
	must(t, n.engine.SetLink(t.Context(), ns.state()))
	return n
}

func (n *realNode) apply(specs ...UnitSpec) {
	n.t.Helper()
	must(n.t, n.engine.Apply(n.t.Context(), specs, ApplyOptions{}))
}

// unit is a fresh status of the only unit.
func (n *realNode) unit() UnitStatus {
	n.t.Helper()
	statuses, err := n.engine.Snapshot(n.t.Context())
	must(n.t, err)
	return statuses[0]
}

func (n *realNode) wantState(want State) {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("the unit is %v", want), func() bool { return n.unit().State == want })
}

// eventually waits for a condition, 15 s at most.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 15s: %s", what)
		}
	}
}
