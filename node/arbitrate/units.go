package arbitrate

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/rules"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// Views tells the arbiter what the units of this node are and do, and on which
// networks.
func Views(units []vrrp.UnitStatus, state desired.State, networks map[string][]splitbrain.Network) []splitbrain.UnitView {
	specs := unitsByName(state)
	views := make([]splitbrain.UnitView, 0, len(units))
	for _, u := range units {
		spec, ok := specs[u.Name]
		if !ok || len(u.Instances) == 0 {
			continue // the configuration has moved on; the next status fits it
		}
		v := unitView(u, spec)
		v.Networks = networks[u.Name]
		views = append(views, v)
	}
	return views
}

func unitView(u vrrp.UnitStatus, spec desired.Unit) splitbrain.UnitView {
	first := u.Instances[0]
	v := splitbrain.UnitView{
		Name:     u.Name,
		State:    splitbrain.State(u.State),
		Since:    u.Since,
		Wants:    splitbrain.Want(u.Wants),
		Tenure:   splitbrain.Tenure{Seq: u.Tenure.Seq, Priority: uint8(u.Tenure.Priority), Primary: u.Tenure.Primary},
		Released: u.State != vrrp.Master && !u.Lingering,
		Eligible: u.State == vrrp.Backup || u.State == vrrp.Master,
		Priority: uint8(u.Priority),
		Primary:  u.Primary,

		DownTimerAdverts: spec.Spec.Instances[0].DownTimerAdverts,
	}
	switch spec.SplitBrain.Policy {
	case "off":
		v.Policy = splitbrain.PolicyOff
	case "quorum":
		v.Policy, v.Lease = splitbrain.PolicyQuorum, spec.SplitBrain.Lease
		if u.Gate.Lease == 0 {
			v.Lease = max(v.Lease, config.LeaseWithoutGate)
		}
	}
	for _, inst := range u.Instances {
		v.AdvertInterval = max(v.AdvertInterval, inst.AdvertInterval)
		if inst.Source.IsValid() {
			v.Sources = append(v.Sources, inst.Source)
		}
		for _, p := range inst.Addresses {
			v.VIPs = append(v.VIPs, p.Addr())
		}
		if inst.LastAdvert.At.After(v.Heard.At) {
			v.Heard = splitbrain.Advert{From: inst.LastAdvert.From, Priority: uint8(inst.LastAdvert.Priority), At: inst.LastAdvert.At}
		}
	}
	switch {
	case v.Policy == splitbrain.PolicyQuorum:
		// The lease itself says until when a holder may be open.
	case u.Gate.Lease > 0:
		v.KernelLease = u.Gate.Lease
	default:
		skew := time.Duration(256-int(first.Priority)) * v.AdvertInterval / 256
		v.KernelLease = rules.LifetimeLease(v.AdvertInterval, time.Duration(v.DownTimerAdverts)*v.AdvertInterval+skew)
	}
	for _, a := range spec.SplitBrain.AllowForeign {
		v.AllowForeign = append(v.AllowForeign, netip.PrefixFrom(a, a.BitLen()))
	}
	for _, inst := range spec.Spec.Instances {
		for _, p := range inst.Wire.Peers {
			v.AllowForeign = append(v.AllowForeign, netip.PrefixFrom(p.Addr, p.Addr.BitLen()))
		}
	}
	return v
}

func unitsByName(state desired.State) map[string]desired.Unit {
	units := make(map[string]desired.Unit, len(state.Units))
	for _, u := range state.Units {
		units[u.Spec.Name] = u
	}
	return units
}

// Gaps are the known gaps of this node's units.
func Gaps(units []vrrp.UnitStatus, state desired.State) []string {
	specs := unitsByName(state)
	guards := make([]observed.Guard, 0, len(units))
	for _, u := range units {
		if spec, ok := specs[u.Name]; ok { // else the configuration has moved on
			guards = append(guards, observed.Guard{
				Unit: u, Policy: spec.SplitBrain.Policy, DownTimerAdverts: spec.Spec.Instances[0].DownTimerAdverts,
			})
		}
	}
	return observed.Gaps(guards)
}
