package sim

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// This file is the service network below VRRP: who answers when an address is asked
// for, and what the gateway there has in its cache. Kernels answer, whatever their
// processes do.

// surroundings are what the probes of a unit can ask, beside its addresses.
type surroundings int

const (
	unprobed    surroundings = iota // nothing is probed
	membersOnly                     // there is no gateway
	withGateway
	allSurroundings
)

func (s surroundings) String() string { return [...]string{"none", "members", "gateway"}[s] }

var (
	gatewayAddr = netip.MustParseAddr("192.0.2.254")
	subnet      = vip.Masked()
)

// router is the gateway of the service network.
type router struct {
	*node    // its place in the network; it runs nothing
	dead     bool
	cache    *node // whom it would send packets for the VIP to; nil: nobody
	cachedAt time.Time
	said     time.Time // when that one announced itself
}

func newRouter(w *world, i int) router {
	return router{node: &node{w: w, index: i, name: "gateway", addr: gatewayAddr}}
}

func (r *router) die() {
	r.w.logf("the gateway dies")
	r.dead = true
	r.w.check.relink()
}

func (r *router) live() {
	if r.dead {
		r.w.logf("the gateway is back")
		r.dead = false
		r.w.check.relink()
	}
}

// ends are the hosts of a channel.
func (w *world) ends(ch int) []*node {
	if ch == vrrpNet {
		return append(w.nodes[:len(w.nodes):len(w.nodes)], w.router.node, w.stranger.node)
	}
	return w.nodes
}

func (n *node) mac() splitbrain.MAC { return splitbrain.MAC{2, 0, 0, 0, 0, byte(n.index + 1)} }

// networks is where the unit serves, as the arbiter is told.
func (n *node) networks() []splitbrain.Network {
	if n.w.around == unprobed {
		return nil
	}
	s := splitbrain.Network{
		Interface: "eth0", Source: n.addr, Subnets: []netip.Prefix{subnet}, VIPs: n.vips(),
	}
	if n.w.around == withGateway {
		s.Gateways = []netip.Addr{gatewayAddr}
	}
	return []splitbrain.Network{s}
}

// responds reports whether the kernel there answers for an address.
func (n *node) responds(a netip.Addr) bool {
	if n == n.w.stranger.node {
		return n.holds && a == vip.Addr()
	}
	switch a {
	case gatewayAddr:
		return n == n.w.router.node && !n.w.router.dead
	case vip.Addr():
		return n.answers()
	case vip2.Addr():
		return n.answers() && len(n.vips()) > 1
	default:
		return a == n.addr && !n.off
	}
}

// question is an ARP request on its way to another host.
type question struct {
	from, to *node
	addr     netip.Addr
}

// ask sends a probe to all others on the network.
func (n *node) ask(a netip.Addr) {
	for _, to := range n.w.ends(vrrpNet) {
		if to != n && (to != n.w.stranger.node || to.holds) {
			n.w.toKernel(n, to, &question{n, to, a})
		}
	}
}

func (q *question) do(*node, uint64) {
	if q.to.responds(q.addr) {
		q.to.w.deliver(vrrpNet, q.to, q.from, &sighting{addr: q.addr, of: q.to})
	}
}

// sighting is an answer, or an announcement, on its way to a node.
type sighting struct {
	addr netip.Addr
	of   *node
	said time.Time // when it announced itself; zero: it was asked
}

func (s *sighting) do(n *node, _ uint64) {
	if s.addr == vip.Addr() && !s.said.IsZero() {
		n.rivals[s.of] = rival{s.said, n.w.now}
	}
	n.inbox.sightings = append(n.inbox.sightings, splitbrain.Sighting{
		Interface: "eth0", Addr: s.addr, MAC: s.of.mac(), At: n.now(),
	})
	n.come()
	n.attend()
}

// rival is an announcement of another machine that a node has seen.
type rival struct{ said, seen time.Time }

// announcement is a gratuitous ARP on its way to the gateway.
type announcement struct {
	of   *node
	said time.Time
}

func (a *announcement) do(*node, uint64) {
	r := &a.of.w.router
	r.cache, r.cachedAt, r.said = a.of, a.of.w.now, a.said
}

// announce tells the neighbours that the node has the VIP, as far as its gate lets
// that pass. To members that say it once, because they only look.
func (n *node) announce(repeat int) {
	if !n.answers() {
		return
	}
	for _, to := range n.w.nodes {
		if to == n || n.w.around == unprobed {
			continue
		}
		for _, a := range n.vips() {
			n.w.deliver(vrrpNet, n, to, &sighting{a, n, n.w.now})
		}
	}
	for range repeat {
		n.w.toKernel(n, n.w.router.node, &announcement{n, n.w.now})
	}
}

// powerOff takes the machine away, with its kernel.
func (n *node) powerOff() {
	n.w.logf("%s loses its power", n.name)
	n.pledge = 0
	n.end()
	n.off, n.stubborn, n.stuck = true, false, false
	n.shut()
	n.w.drop(n)
}
