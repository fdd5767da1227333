package arbitrate

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// fenceAround is what a vote must last beyond the agent's own time: until a
// member that counts the votes has begun, and a hung agent is killed.
const fenceAround = 15 * time.Second

// FenceUnits are the units for which a node may be fenced.
func FenceUnits(status []vrrp.UnitStatus, state desired.State, peers *splitbrain.PeerView, now time.Time) []splitbrain.FenceUnit {
	var out []splitbrain.FenceUnit
	for _, u := range state.Units {
		if len(u.SplitBrain.Fencing.Agents) == 0 || u.SplitBrain.Policy == "off" {
			continue
		}
		if i := slices.IndexFunc(status, func(s vrrp.UnitStatus) bool { return s.Name == u.Spec.Name }); i >= 0 {
			out = append(out, fenceUnit(&u, &status[i], peers, now))
		}
	}
	return out
}

func fenceUnit(u *desired.Unit, s *vrrp.UnitStatus, peers *splitbrain.PeerView, now time.Time) splitbrain.FenceUnit {
	fencing := &u.SplitBrain.Fencing
	out := splitbrain.FenceUnit{
		Name:   s.Name,
		Quorum: u.SplitBrain.Policy == "quorum",
		Holds:  s.State == vrrp.Master,
		Tenure: splitbrain.Tenure{Seq: s.Tenure.Seq, Priority: uint8(s.Tenure.Priority), Primary: s.Tenure.Primary},
		Since:  s.Since,
		After:  fencing.After,
		First:  fencing.First,
		Delay:  fencing.Delay,
		Span:   fencing.Timeout + fenceAround,
	}
	for _, a := range fencing.Agents {
		out.Targets = append(out.Targets, a.Node)
	}
	for _, l := range peers.Leases {
		out.Leased = out.Leased || l.Unit == s.Name && l.Tenure == s.Tenure.Seq && peers.At.Add(l.Left).After(now)
	}
	return out
}
