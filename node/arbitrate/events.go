package arbitrate

import (
	"cmp"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// Deliveries turns verdicts into events for the units, in their order.
func Deliveries(verdicts []splitbrain.UnitVerdict) []vrrp.Delivery {
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
			ev = vrrp.Lease{Tenure: d.Tenure, Until: d.Until, Ballot: uint64(d.Ballot)}
		case splitbrain.Reannounce:
			ev = vrrp.Reannounce{}
		default:
			panic("arbitrate: unknown verdict")
		}
		if last := len(out) - 1; last >= 0 && out[last].Unit == v.Unit {
			out[last].Events = append(out[last].Events, ev)
			continue
		}
		out = append(out, vrrp.Delivery{Unit: v.Unit, Events: []vrrp.Event{ev}})
	}
	return out
}

// Evidence turns an advert that was heard into what the arbiter wants to know
// of strangers.
func Evidence(o vrrp.Observation, unit string) splitbrain.AdvertEvidence {
	return splitbrain.AdvertEvidence{
		Unit:     unit,
		From:     o.From,
		Priority: uint8(o.Priority),
		VIPs:     o.Addrs,
		Refused:  cmp.Or(o.Detail, o.Rejected),
		At:       o.At,
	}
}
