package config

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/rules"
)

// A unitView is one unit as the document gives it to a node.
type unitView struct {
	name      string
	path      string // of the block that has the unit's split_brain
	sb        SplitBrain
	instances []Instance
}

// unitViews returns the units: sync groups with their members, and instances in
// none.
func (c *Config) unitViews() []unitView {
	var out []unitView
	byName := map[string]Instance{}
	for _, in := range c.Instances {
		byName[in.Name] = in
	}
	for _, g := range c.Groups {
		u := unitView{name: g.Name, path: "vrrp_sync_group " + g.Name, sb: g.SplitBrain}
		for _, m := range g.Members {
			in, ok := byName[m]
			if !ok {
				continue
			}
			u.instances = append(u.instances, in)
			delete(byName, m)
			// A group without words of its own takes those of a member.
			if _, own := c.places[u.path+"\x00split_brain"]; !own {
				if _, has := c.places["vrrp_instance "+m+"\x00split_brain"]; has {
					u.path = "vrrp_instance " + m
				}
			}
		}
		out = append(out, u)
	}
	for _, in := range c.Instances {
		if _, alone := byName[in.Name]; alone {
			out = append(out, unitView{name: in.Name, path: "vrrp_instance " + in.Name, sb: in.SplitBrain, instances: []Instance{in}})
		}
	}
	return out
}

// advert is the slowest advert interval of the unit, which its lease is made for.
func (u unitView) advert() time.Duration {
	var slowest time.Duration
	for _, in := range u.instances {
		slowest = max(slowest, in.AdvertInterval)
	}
	return slowest
}

// LongestLease returns the longest lease of the units that follow policy quorum;
// 0 when there are none. A voter that has lost its memory grants nothing for as
// long (R6d).
func (c *Config) LongestLease() time.Duration {
	var longest time.Duration
	for _, u := range c.unitViews() {
		if u.sb.Policy == PolicyQuorum {
			longest = max(longest, u.sb.LeaseFor(u.advert()))
		}
	}
	return longest
}

// finishQuorum refuses what policy quorum cannot hold to.
func (c *compiler) finishQuorum() {
	for _, u := range c.cfg.unitViews() {
		if u.sb.Policy != PolicyQuorum {
			continue
		}
		for _, in := range u.instances {
			if in.Priority == 255 {
				c.errorf(c.cfg.Place("vrrp_instance "+in.Name, "priority"),
					"priority 255 is for the owner of an address, who asks nobody, and %s has policy quorum; use 1 to 254", u.name)
			}
		}
		c.quorumWithoutGate(u)
		c.quorumBesideStrangers(u)
	}
}

// quorumWithoutGate compares the lease with what the lifetime of an address can
// do alone (R7b).
func (c *compiler) quorumWithoutGate(u unitView) {
	if u.sb.KernelLease {
		return
	}
	lease := u.sb.LeaseFor(u.advert())
	if lease < LeaseWithoutGate {
		c.errorf(c.cfg.Place(u.path, inSplitBrain("lease"), "split_brain"),
			"lease %g is too short for policy quorum with kernel_lease off: addresses stay up to 1.05 s beyond it; use %g or more, or kernel_lease on",
			lease.Seconds(), LeaseWithoutGate.Seconds())
	}
	for _, in := range u.instances {
		if in.AdvertInterval < time.Second {
			c.errorf(c.cfg.Place("vrrp_instance "+in.Name, "advert_int"),
				"advert_int %g is too short for policy quorum with kernel_lease off; use 1 or more, or kernel_lease on", in.AdvertInterval.Seconds())
		}
	}
}

// quorumBesideStrangers holds that a holder which lost its lease is silent before
// a router outside the cluster, which no lease binds, takes over (R6i). Its own
// down_timer_adverts is taken to be the document's, and its Skew_Time to be 0.
func (c *compiler) quorumBesideStrangers(u unitView) {
	silent := rules.SilentAfter(u.sb.LeaseFor(u.advert()))
	for _, in := range u.instances {
		wait := time.Duration(in.DownTimerAdverts-1) * in.AdvertInterval
		if silent < wait {
			continue
		}
		const why = "a holder that loses its lease answers for up to %g s, and one that hears no adverts may take over after %g s"
		switch {
		case len(u.sb.AllowForeign) > 0:
			c.errorf(c.cfg.Place(u.path, inSplitBrain("allow_foreign"), "split_brain"),
				"allow_foreign of %s with policy quorum makes two holders: "+why+"; use a shorter lease, a longer advert_int or more down_timer_adverts",
				in.Name, silent.Seconds(), wait.Seconds())
		case u.sb.FollowForeign:
			c.warnf(c.cfg.Place(u.path, inSplitBrain("policy"), "split_brain"),
				"%s follows routers outside the cluster, and policy quorum cannot keep them from being a second holder: "+why+"; use foreign ignore, or a shorter lease, a longer advert_int or more down_timer_adverts",
				in.Name, silent.Seconds(), wait.Seconds())
		}
	}
}

// Alone reports the units that cannot run on a machine without a cluster: policy
// quorum asks voters.
func (c *Config) Alone() Findings {
	var out Findings
	for _, u := range c.unitViews() {
		if u.sb.Policy == PolicyQuorum {
			out = append(out, Finding{Severity: Error, Pos: c.Place(u.path, inSplitBrain("policy"), "split_brain"),
				Msg: "policy quorum needs the voters of a cluster, and this machine runs alone; use policy mesh, or haclusterctl init"})
		}
	}
	return slices.Clip(out)
}
