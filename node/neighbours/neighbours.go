package neighbours

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/netif"
	"github.com/hacluster/hacluster/node/arbitrate"
	"github.com/hacluster/hacluster/node/plane"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/splitbrain/probe"
	"github.com/hacluster/hacluster/vrrp"
)

// scanEvery is the time between two looks at gateways and at addresses that
// should not be there. Changes of links and addresses are looked at when they
// come.
const scanEvery = 10 * time.Second

// Options are what Neighbours work with. All are required.
type Options struct {
	Log   *slog.Logger
	Node  string
	View  *observed.View
	State func() desired.State // that runs
	// Arbiter is who asks; nil while there is none.
	Arbiter func() *splitbrain.Arbiter
}

// Neighbours know the networks of this node, and let splitbrain ask on them.
type Neighbours struct {
	// Plane is set before Run.
	Plane *plane.Plane

	o      Options
	prober *probe.Prober
	wake   chan struct{} // size one: a link or an address has changed

	mu       sync.Mutex
	links    map[string]netif.LinkState      // guarded by mu
	gateways map[arbitrate.WayOut]netip.Addr // guarded by mu
	watched  map[string][]netip.Addr         // as given to prober last; guarded by mu

	// networks are where each unit serves, worked out when a configuration, a
	// link or a gateway changes; guarded by mu. Nobody changes the slices.
	networks map[string][]splitbrain.Network
}

// New returns Neighbours that know no network yet.
func New(o Options) *Neighbours {
	n := &Neighbours{
		o: o, wake: make(chan struct{}, 1),
		links: make(map[string]netif.LinkState), gateways: make(map[arbitrate.WayOut]netip.Addr),
	}
	n.prober = probe.New(probe.Options{
		Log: o.Log.With("component", "probe"),
		Sighted: func(s ...splitbrain.Sighting) {
			if a := o.Arbiter(); a != nil {
				a.Sighted(s...)
			}
		},
		Unsent: func(list []splitbrain.Probe) {
			if a := o.Arbiter(); a != nil {
				a.Unsent(list)
			}
		},
	})
	return n
}

// Probe runs the prober, until ctx is done: it outlives Run and the data plane.
func (n *Neighbours) Probe(ctx context.Context) error { return n.prober.Run(ctx) }

// Send asks what splitbrain wants to know. It does not block.
func (n *Neighbours) Send(list []splitbrain.Probe) { n.prober.Send(list) }

// LinksChanged runs on the monitor's goroutine.
func (n *Neighbours) LinksChanged(changed []netif.LinkState) {
	n.mu.Lock()
	moved := false // other than by what is leased
	for _, l := range changed {
		old := n.links[l.Name]
		moved = moved || old.Index != l.Index || old.Up != l.Up || l.Gone || !slices.Equal(old.HardwareAddr, l.HardwareAddr) || !slices.Equal(old.Addrs, l.Addrs)
		if l.Gone {
			delete(n.links, l.Name)
		} else {
			n.links[l.Name] = l
		}
	}
	n.mu.Unlock()
	if moved {
		n.prober.LinksChanged()
		n.wakeUp()
	}
}

func (n *Neighbours) wakeUp() {
	select {
	case n.wake <- struct{}{}:
	default: // one look covers all
	}
}

// Run keeps gateways and guarded addresses in view until ctx is done.
func (n *Neighbours) Run(ctx context.Context) error {
	ticker := time.NewTicker(scanEvery)
	defer ticker.Stop()
	strays := &observed.Strays{Node: n.o.Node}
	for {
		select {
		case <-n.wake:
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		n.evict(strays)
		if a := n.o.Arbiter(); a != nil {
			a.SetMACs(Hardware())
			state := n.o.State()
			a.SetAddrs(n.addrs(state.Mesh.Interface))
			n.findGateways(state)
			n.place(state)
			a.SetUnits(n.Units(n.Plane.Engine.Status()))
		}
	}
}

// evict removes virtual addresses that this node has without holding them.
func (n *Neighbours) evict(strays *observed.Strays) {
	found, err := n.Plane.Evict()
	if err != nil {
		n.o.Log.Error("a virtual address that is not held here is not removed", "err", err)
	}
	for _, a := range strays.Found(time.Now(), found) {
		n.o.View.Alert(a)
	}
}

// addrs are the lasting addresses of an interface, of which the others learn.
func (n *Neighbours) addrs(iface string) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	var addrs []netip.Addr
	for _, prefix := range n.links[iface].Addrs {
		if a := prefix.Addr(); !a.IsLinkLocalUnicast() {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// Hardware are the addresses by which this node may answer, in order.
func Hardware() []splitbrain.MAC {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil // nothing can be proved of this node then
	}
	var out []splitbrain.MAC
	for _, ifi := range interfaces {
		if len(ifi.HardwareAddr) != 6 || ifi.Flags&net.FlagLoopback != 0 {
			continue
		}
		if mac := splitbrain.MAC(ifi.HardwareAddr); !slices.Contains(out, mac) {
			out = append(out, mac)
		}
	}
	slices.SortFunc(out, func(a, b splitbrain.MAC) int { return slices.Compare(a[:], b[:]) })
	return out
}

// findGateways looks up the way out of each network that a unit serves on.
func (n *Neighbours) findGateways(state desired.State) {
	found := make(map[arbitrate.WayOut]netip.Addr)
	for _, way := range arbitrate.WaysOut(state) {
		// An interface that does not exist has none.
		found[way], _ = n.Plane.Gateway(way.Interface, way.Family)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gateways = found
}

// place works out on which networks the units serve, and watches their addresses.
func (n *Neighbours) place(state desired.State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.networks = arbitrate.Networks(state, n.links, n.gateways)
	if watched := state.VirtualAddresses(); !reflect.DeepEqual(watched, n.watched) {
		n.watched = watched
		n.prober.Watch(watched)
	}
}

// Place says where the units of another configuration are, for the views that are
// made from now on.
func (n *Neighbours) Place(state desired.State) { n.place(state) }

// Look looks around again, soon: whoever changed the configuration has told the
// arbiter first what it allows.
func (n *Neighbours) Look() { n.wakeUp() }

// Units say in the arbiter's words what the units are and do, and where.
func (n *Neighbours) Units(units []vrrp.UnitStatus) []splitbrain.UnitView {
	n.mu.Lock()
	networks := n.networks
	n.mu.Unlock()
	return arbitrate.Views(units, n.o.State(), networks)
}
