package node

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// This file is the seam between vrrp, which runs units, and splitbrain, which
// judges them. Neither knows the other.

// silentAfter is when the kernel has removed the last address of a holder that
// was killed or stopped: a lifetime of 1 s ends up to 1.05 s late.
const silentAfter = 2050 * time.Millisecond

// unitViews tells the arbiter what the units of this node are and do.
func unitViews(units []vrrp.UnitStatus, state desired.State) []splitbrain.UnitView {
	specs := make(map[string]desired.Unit, len(state.Units))
	for _, u := range state.Units {
		specs[u.Spec.Name] = u
	}
	views := make([]splitbrain.UnitView, 0, len(units))
	for _, u := range units {
		spec, ok := specs[u.Name]
		if !ok || len(u.Instances) == 0 {
			continue // the configuration has moved on; the next status fits it
		}
		views = append(views, unitView(u, spec))
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
		v.KernelLease = kernelLease(v.AdvertInterval, v.DownTimerAdverts, first.Priority)
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

// kernelLease is how long addresses of a hung holder may outlive its last sign
// of life where no gate stands before them. Claims are believed for 1.1 times that
// and 20 ms. The lifetime of an address proves nothing below an advert interval of
// a second; there claims are believed for Master_Down_Interval, so that a death is
// never served later than VRRP alone would.
func kernelLease(advert time.Duration, downTimerAdverts int, priority vrrp.Priority) time.Duration {
	skew := time.Duration(256-int(priority)) * advert / 256
	masterDown := time.Duration(downTimerAdverts)*advert + skew
	return min((masterDown-20*time.Millisecond)*10/11, max(2*advert, silentAfter))
}

// deliveries turns verdicts into events for the units, in their order.
func deliveries(verdicts []splitbrain.UnitVerdict) []vrrp.Delivery {
	out := make([]vrrp.Delivery, 0, len(verdicts))
	for _, v := range verdicts {
		var ev vrrp.Event
		switch d := v.Verdict.(type) {
		case splitbrain.Hold:
			ev = vrrp.Hold{Until: d.Until, Rank: d.Rank, Reason: d.Reason}
		case splitbrain.TakeOver:
			ev = vrrp.TakeOver{After: d.After, Reason: d.Reason}
		case splitbrain.Yield:
			ev = vrrp.Yield{Tenure: d.Tenure, Successor: d.Successor, Reason: d.Reason}
		case splitbrain.Members:
			ev = vrrp.Members{Addrs: d.Addrs}
		case splitbrain.Lease:
			ev = vrrp.Lease{Tenure: d.Tenure, Until: d.Until}
		case splitbrain.Reannounce:
			ev = vrrp.Reannounce{}
		default:
			panic("node: unknown verdict")
		}
		if last := len(out) - 1; last >= 0 && out[last].Unit == v.Unit {
			out[last].Events = append(out[last].Events, ev)
			continue
		}
		out = append(out, vrrp.Delivery{Unit: v.Unit, Events: []vrrp.Event{ev}})
	}
	return out
}

// evidence turns an advert that was heard into what the arbiter wants to know
// of strangers.
func evidence(o vrrp.Observation, unit string) splitbrain.AdvertEvidence {
	return splitbrain.AdvertEvidence{
		Unit:     unit,
		From:     o.From,
		Priority: uint8(o.Priority),
		VIPs:     o.Addrs,
		Refused:  cmp.Or(o.Detail, o.Rejected),
		At:       o.At,
	}
}

// unitNames maps each instance to its unit.
func unitNames(state desired.State) map[string]string {
	names := make(map[string]string)
	for _, u := range state.Units {
		for _, inst := range u.Spec.Instances {
			names[inst.Name] = u.Spec.Name
		}
	}
	return names
}
