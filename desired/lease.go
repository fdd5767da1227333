package desired

import (
	"time"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// LongestLease is the longest lease that a document asks for on any of the named
// nodes: a voter grants leases for units that it does not run itself. 0: none asks
// for one.
func LongestLease(text string, nodes []string) time.Duration {
	var longest time.Duration
	doc := syntax.Parse("revision", text)
	for _, node := range nodes {
		cfg, findings := config.CompileWith(doc, config.Options{Node: node})
		if findings.Err() != nil {
			continue // it does not run there
		}
		for _, u := range For(cfg).Units {
			if u.SplitBrain.Policy == string(config.PolicyQuorum) {
				// A node that finds itself without a gate asks for so much.
				longest = max(longest, u.SplitBrain.Lease, config.LeaseWithoutGate)
			}
		}
	}
	return min(longest, splitbrain.MaxLease)
}

// Gate is what keeps the gate of a unit open, or renews its addresses where it has
// none. Without an arbiter that gives leases, which a machine of its own does not
// have, adverts do.
func (s SplitBrain) Gate(leases bool) vrrp.KernelLease {
	switch {
	case s.Policy == "quorum" && leases && s.KernelLease:
		return vrrp.LeaseByEvents
	case s.Policy == "quorum" && leases:
		return vrrp.LeaseByLifetime
	case s.KernelLease:
		return vrrp.LeaseByAdverts
	default:
		return vrrp.NoKernelLease
	}
}
