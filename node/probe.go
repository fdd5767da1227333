package node

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/netif"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/splitbrain/probe"
	"github.com/hacluster/hacluster/vrrp"
)

// scanEvery is the time between two looks at gateways and at addresses that
// should not be there. Changes of links and addresses are looked at when they
// come.
const scanEvery = 10 * time.Second

// probes is the seam between splitbrain, which says what to ask the neighbours
// and judges the answers, probe, which asks, and netif, which knows the networks.
type probes struct {
	m     *member
	shell *probe.Prober
	look  chan struct{} // size one: a link or an address has changed

	mu       sync.Mutex
	links    map[string]netif.LinkState // guarded by mu
	gateways map[wayOut]netip.Addr      // guarded by mu
	watched  map[string][]netip.Addr    // as given to shell last; guarded by mu

	// networks are where each unit serves, worked out when a configuration, a
	// link or a gateway changes; guarded by mu. Nobody changes the slices.
	networks map[string][]splitbrain.Network
}

// wayOut is one network of this node.
type wayOut struct {
	iface  string
	family netif.Family
}

func newProbes(m *member, log *slog.Logger) *probes {
	p := &probes{m: m, look: make(chan struct{}, 1), links: make(map[string]netif.LinkState), gateways: make(map[wayOut]netip.Addr)}
	p.shell = probe.New(probe.Options{
		Log: log.With("component", "probe"),
		Sighted: func(s ...splitbrain.Sighting) {
			if a := m.arbiter.get(); a != nil {
				a.Sighted(s...)
			}
		},
		Unsent: func(list []splitbrain.Probe) {
			if a := m.arbiter.get(); a != nil {
				a.Unsent(list)
			}
		},
	})
	return p
}

// linksChanged runs on the monitor's goroutine.
func (p *probes) linksChanged(changed []netif.LinkState) {
	p.mu.Lock()
	moved := false // other than by what is leased
	for _, l := range changed {
		old := p.links[l.Name]
		moved = moved || old.Index != l.Index || old.Up != l.Up || l.Gone || !slices.Equal(old.HardwareAddr, l.HardwareAddr) || !slices.Equal(old.Addrs, l.Addrs)
		if l.Gone {
			delete(p.links, l.Name)
		} else {
			p.links[l.Name] = l
		}
	}
	p.mu.Unlock()
	if moved {
		p.shell.LinksChanged()
		p.lookSoon()
	}
}

func (p *probes) lookSoon() {
	select {
	case p.look <- struct{}{}:
	default: // one look covers all
	}
}

// run keeps gateways and guarded addresses in view until ctx is done.
func (p *probes) run(ctx context.Context) error {
	ticker := time.NewTicker(scanEvery)
	defer ticker.Stop()
	strays := &observed.Strays{Node: p.m.o.Name}
	for {
		select {
		case <-p.look:
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		p.evict(strays)
		if a := p.m.arbiter.get(); a != nil {
			a.SetMACs(p.macs())
			state := p.m.state.get().state
			a.SetAddrs(p.addrs(state.Mesh.Interface))
			p.findGateways(state)
			p.place(state)
			a.SetUnits(p.m.views(p.m.plane.engine.Status()))
		}
	}
}

// evict removes virtual addresses that this node has without holding them.
func (p *probes) evict(strays *observed.Strays) {
	found, err := p.m.plane.kernel.evict()
	if err != nil {
		p.m.log.Error("a virtual address that is not held here is not removed", "err", err)
	}
	for _, a := range strays.Found(time.Now(), found) {
		p.m.view.Alert(a)
	}
}

// addrs are the lasting addresses of an interface, of which the others learn.
func (p *probes) addrs(iface string) []netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	var addrs []netip.Addr
	for _, prefix := range p.links[iface].Addrs {
		if a := prefix.Addr(); !a.IsLinkLocalUnicast() {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// macs are the hardware addresses by which this node may answer.
func (p *probes) macs() []splitbrain.MAC {
	p.mu.Lock()
	defer p.mu.Unlock()
	var macs []splitbrain.MAC
	for _, l := range p.links {
		if mac := l.HardwareAddr; len(mac) == 6 && !l.Loopback && !slices.Contains(macs, splitbrain.MAC(mac)) {
			macs = append(macs, splitbrain.MAC(mac))
		}
	}
	slices.SortFunc(macs, func(a, b splitbrain.MAC) int { return slices.Compare(a[:], b[:]) })
	return macs
}

// findGateways looks up the way out of each network that a unit serves on.
func (p *probes) findGateways(state desired.State) {
	found := make(map[wayOut]netip.Addr)
	for _, u := range state.Units {
		for _, inst := range u.Spec.Instances {
			for _, a := range inst.Addresses {
				found[wayOut{a.Interface, netif.Family(inst.Family)}] = netip.Addr{}
			}
		}
	}
	for way := range found {
		// An interface that does not exist has none.
		found[way], _ = p.m.plane.kernel.gateway(way.iface, way.family)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gateways = found
}

// place works out on which networks the units serve, and watches their addresses.
func (p *probes) place(state desired.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	vips := make(map[netip.Addr]bool)
	watched := make(map[string][]netip.Addr)
	for _, u := range state.Units {
		for _, inst := range u.Spec.Instances {
			for _, a := range slices.Concat(inst.Addresses, inst.Excluded) {
				vips[a.Prefix.Addr()] = true
				watched[a.Interface] = append(watched[a.Interface], a.Prefix.Addr())
			}
		}
	}
	p.networks = make(map[string][]splitbrain.Network, len(state.Units))
	for _, u := range state.Units {
		var list []splitbrain.Network
		for i := range u.Spec.Instances {
			list = p.serves(list, &u.Spec.Instances[i], state.Mesh.GatewayProbe, vips)
		}
		p.networks[u.Spec.Name] = list
	}
	if !reflect.DeepEqual(watched, p.watched) {
		p.watched = watched
		p.shell.Watch(watched)
	}
}

// serves appends where an instance serves. The caller holds mu.
func (p *probes) serves(list []splitbrain.Network, inst *vrrp.InstanceSpec, named []netip.Addr, vips map[netip.Addr]bool) []splitbrain.Network {
	for _, a := range slices.Concat(inst.Addresses, inst.Excluded) {
		addr := a.Prefix.Addr()
		at := slices.IndexFunc(list, func(n splitbrain.Network) bool {
			return n.Interface == a.Interface && n.VIPs[0].Is6() == addr.Is6()
		})
		if at >= 0 {
			list[at].VIPs = append(list[at].VIPs, addr)
			continue
		}
		n := splitbrain.Network{Interface: a.Interface, VIPs: []netip.Addr{addr}}
		for _, own := range p.links[a.Interface].Addrs {
			if own.Addr().Is6() != addr.Is6() {
				continue
			}
			n.Subnets = append(n.Subnets, own.Masked())
			if !n.Source.IsValid() && !vips[own.Addr()] {
				n.Source = own.Addr().WithZone("")
			}
		}
		for _, g := range named {
			if on := slices.ContainsFunc(n.Subnets, func(s netip.Prefix) bool { return s.Contains(g) }); on && !vips[g] {
				n.Gateways, n.Named = append(n.Gateways, g), true
			}
		}
		// The way out may be one of our own addresses: the holder would ask
		// itself (S54).
		if g := p.gateways[wayOut{a.Interface, netif.Family(inst.Family)}]; len(named) == 0 && g.IsValid() && !vips[g] {
			n.Gateways = []netip.Addr{g}
		}
		list = append(list, n)
	}
	return list
}

// guarded are the addresses that this node may have only while it holds them.
// What an owner advertises is its own, and so is the address by which the
// others know this node.
func guarded(state desired.State, own netip.Addr) map[netip.Addr]string {
	addrs := make(map[netip.Addr]string)
	for _, u := range state.Units {
		if u.SplitBrain.Policy == "off" {
			continue
		}
		for _, inst := range u.Spec.Instances {
			if inst.Priority == vrrp.Owner {
				continue
			}
			for _, a := range slices.Concat(inst.Addresses, inst.Excluded) {
				if a.Prefix.Addr() != own {
					addrs[a.Prefix.Addr()] = a.Interface
				}
			}
		}
	}
	return addrs
}

// views tells the arbiter what the units are and do, and where.
func (m *member) views(units []vrrp.UnitStatus) []splitbrain.UnitView {
	views := unitViews(units, m.state.get().state)
	m.probes.mu.Lock()
	defer m.probes.mu.Unlock()
	for i := range views {
		views[i].Networks = m.probes.networks[views[i].Name]
	}
	return views
}

// verified runs on the arbiter's goroutine.
func (m *member) verified(v splitbrain.Verified) {
	e := observed.Event{Kind: observed.VerdictChanged, Unit: v.Unit, To: "verified",
		Reason: fmt.Sprintf("%s answers for it, and nobody else, %v after its first word", v.Holder, v.Took.Round(time.Millisecond))}
	if !v.OK {
		e.To = "not verified"
		e.Reason = fmt.Sprintf("%s announced it; %v later probes show: %v", v.Holder, v.Took.Round(time.Millisecond), v.Seen)
	}
	m.view.Record(e)
}
