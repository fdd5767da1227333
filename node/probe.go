package node

import (
	"context"
	"fmt"
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
	links    map[string]netif.LinkState      // guarded by mu
	gateways map[arbitrate.WayOut]netip.Addr // guarded by mu
	watched  map[string][]netip.Addr         // as given to shell last; guarded by mu

	// networks are where each unit serves, worked out when a configuration, a
	// link or a gateway changes; guarded by mu. Nobody changes the slices.
	networks map[string][]splitbrain.Network
}

func newProbes(m *member, log *slog.Logger) *probes {
	p := &probes{m: m, look: make(chan struct{}, 1), links: make(map[string]netif.LinkState), gateways: make(map[arbitrate.WayOut]netip.Addr)}
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
			a.SetMACs(hardware())
			state := p.m.state.get().state
			a.SetAddrs(p.addrs(state.Mesh.Interface))
			p.findGateways(state)
			p.place(state)
			a.SetUnits(p.m.views(p.m.plane.Engine.Status()))
		}
	}
}

// evict removes virtual addresses that this node has without holding them.
func (p *probes) evict(strays *observed.Strays) {
	found, err := p.m.plane.Evict()
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

// hardware are the addresses by which this node may answer, in order.
func hardware() []splitbrain.MAC {
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
func (p *probes) findGateways(state desired.State) {
	found := make(map[arbitrate.WayOut]netip.Addr)
	for _, way := range arbitrate.WaysOut(state) {
		// An interface that does not exist has none.
		found[way], _ = p.m.plane.Gateway(way.Interface, way.Family)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gateways = found
}

// place works out on which networks the units serve, and watches their addresses.
func (p *probes) place(state desired.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.networks = arbitrate.Networks(state, p.links, p.gateways)
	if watched := state.VirtualAddresses(); !reflect.DeepEqual(watched, p.watched) {
		p.watched = watched
		p.shell.Watch(watched)
	}
}

// views tells the arbiter what the units are and do, and where.
func (m *member) views(units []vrrp.UnitStatus) []splitbrain.UnitView {
	m.probes.mu.Lock()
	networks := m.probes.networks
	m.probes.mu.Unlock()
	return arbitrate.Views(units, m.state.get().state, networks)
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
