package examine

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/preflight"
	"github.com/hacluster/hacluster/vrrp"
)

// maxListen bounds for how long adverts of others are listened to.
const maxListen = 5 * time.Second

// PlanFor implements api.Examiner: a node that is about to join runs nothing yet,
// and tests the networks of what it would run.
func (e *Examiner) PlanFor(file, text string) (preflight.Plan, error) {
	state, err := e.would(file, text)
	if err != nil {
		return preflight.Plan{}, err
	}
	plan := preflight.Plan{Node: e.Node, Networks: networks(state, SourceIn(state)), Window: preflight.ShortWindow, Findings: e.machine(state)}
	// A router with our number most likely has our interval as well.
	for _, u := range state.Units {
		for _, i := range u.Spec.Instances {
			plan.Window = max(plan.Window, min(i.AdvertInterval*5/4, maxListen))
		}
	}
	return plan, nil
}

// would is what this node would run of a document.
func (e *Examiner) would(file, text string) (desired.State, error) {
	cfg, findings := e.Compile(file, text)
	if err := findings.Err(); err != nil {
		return desired.State{}, err
	}
	return desired.For(cfg), nil
}

// SourceIn says from which address an instance of a state would send, as vrrp finds
// it out: not from a virtual one, unless it is its owner. The zero address: there is
// none now.
func SourceIn(state desired.State) func(*vrrp.InstanceSpec) netip.Addr {
	virtual := state.VirtualAddresses()
	return func(i *vrrp.InstanceSpec) netip.Addr {
		if i.Wire.Source.IsValid() {
			return i.Wire.Source
		}
		ifi, err := net.InterfaceByName(i.Interface)
		if err != nil {
			return netip.Addr{} // which the machine's findings say
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			return netip.Addr{}
		}
		for _, text := range addrs {
			p, err := netip.ParsePrefix(text.String())
			if err != nil {
				continue
			}
			a := p.Addr()
			if i.Priority != vrrp.Owner && slices.Contains(virtual[i.Interface], a) {
				continue // ours while master only
			}
			if i.Family == vrrp.IPv4 && a.Is4() || i.Family == vrrp.IPv6 && a.Is6() && a.IsLinkLocalUnicast() {
				return a
			}
		}
		return netip.Addr{}
	}
}
