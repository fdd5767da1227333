package lab

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
)

// Network is one of the two segments that every node is on.
type Network int

// Networks. Virtual addresses live on Service; Control can carry the mesh, so
// that the two need not share fate.
const (
	Service Network = iota
	Control
)

// Interface is the network's interface name on every node.
func (n Network) Interface() string { return [...]string{"eth0", "eth1"}[n] }

func (n Network) String() string { return [...]string{"service", "control"}[n] }

func (n Network) bridge() string { return [...]string{"br-service", "br-control"}[n] }

// prefixes are the documentation prefixes (RFC 5737, RFC 3849) of a network.
func (n Network) prefixes() [2]netip.Prefix {
	if n == Control {
		return [2]netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:1::/64")}
	}
	return [2]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")}
}

// LAN is two bridges in a namespace of their own and the nodes on them.
type LAN struct {
	t      T
	prefix string // of the names of its namespaces
	sw     *namespace

	mu    sync.Mutex
	nodes []*Node
}

var sweepOnce = sync.OnceFunc(Sweep)

// New builds an empty LAN that lives as long as the test.
func New(t T) *LAN {
	t.Helper()
	return NewNamed(t, short(t.Name()))
}

// NewNamed is New for stories with more than one LAN: name tells them apart.
func NewNamed(t T, name string) *LAN {
	t.Helper()
	sweepOnce()
	t.ArtifactDir() // made now, a temporary one outlives the cleanups that write to it
	lan := &LAN{t: t, prefix: fmt.Sprintf("%s%v-%s", namePrefix, self(), name)}
	sw, err := newNamespace(lan.prefix + "-switch")
	if err != nil {
		t.Fatalf("lab: %v", err)
	}
	t.Cleanup(sw.close)
	lan.sw = sw
	for _, network := range []Network{Service, Control} {
		if err := lan.addBridge(network); err != nil {
			t.Fatalf("lab: %v", err)
		}
	}
	return lan
}

func (l *LAN) addBridge(network Network) error {
	for _, key := range []string{"ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6"} {
		if err := l.sw.sysctl(key, "1"); err != nil { // the switch itself says nothing
			return err
		}
	}
	snooping := false
	br := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs(), MulticastSnooping: &snooping}
	br.Name = network.bridge()
	if err := l.sw.nl.LinkAdd(br); err != nil {
		return fmt.Errorf("add bridge %s: %w", br.Name, err)
	}
	return l.sw.nl.LinkSetUp(br)
}

// Node adds a machine to both networks. Nodes are numbered from 1 in the order
// of their making: node k has 192.0.2.k and 2001:db8::k on Service,
// 198.51.100.k and 2001:db8:1::k on Control, and a MAC that ends in k.
func (l *LAN) Node(name string) *Node {
	l.t.Helper()
	return l.add(name, Service, Control)
}

// Host adds a machine to the service network only: a client, a gateway, a
// watcher.
func (l *LAN) Host(name string) *Node {
	l.t.Helper()
	return l.add(name, Service)
}

// Nodes are all machines of the LAN in the order of their making.
func (l *LAN) Nodes() []*Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.nodes)
}

func (l *LAN) add(name string, networks ...Network) *Node {
	l.t.Helper()
	if len(name) > 12 {
		l.t.Fatalf("lab: node name %q is longer than the 12 characters that fit an interface name", name)
	}
	l.mu.Lock()
	number := len(l.nodes) + 1
	l.mu.Unlock()
	ns, err := newNamespace(l.prefix + "-" + name)
	if err != nil {
		l.t.Fatalf("lab: %v", err)
	}
	n := &Node{Name: name, lan: l, t: l.t, ns: ns, number: number, networks: networks}
	l.t.Cleanup(ns.close)
	if err := n.connect(); err != nil {
		l.t.Fatalf("lab: node %s: %v", name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes = append(l.nodes, n)
	return n
}

// mac is node number's hardware address on a network, locally administered.
func mac(network Network, number int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 0xac, 0, 0, byte(network), byte(number)}
}
