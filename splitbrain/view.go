package splitbrain

import (
	"maps"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// View describes all that is known of the members.
func (c *Core) View(now time.Time, raw kclock.Instant) PeerView {
	v := PeerView{At: now, Self: c.node, Electorate: c.leases.elect.stored, Leases: c.leaseViews(raw)}
	for _, m := range c.table.members {
		v.Members = append(v.Members, c.memberView(now, m))
		c.reach(&v, m)
	}
	for _, u := range c.order {
		v.hears(c.node, u.view.Name, u.view.Heard, c.table)
	}
	c.probed(&v)
	for _, s := range c.alerts {
		v.Alerts = append(v.Alerts, s.Alert)
	}
	slices.SortFunc(v.Alerts, Alert.compare)
	return v
}

func (c *Core) memberView(now time.Time, m *member) MemberView {
	fresh := c.counts(now, m)
	v := MemberView{
		Name: m.Name, Boot: m.boot, At: m.at, Via: m.via, Path: m.path,
		Direct: m.directAt, Heard: m.heardAt, RTT: m.rtt,
		Fresh:   fresh,
		TwoWay:  fresh && !m.heardAt.IsZero() && now.Sub(m.heardAt) <= max(c.window, 3*m.interval),
		Leaving: m.leaving, Addrs: m.sources, MACs: m.macs, Facts: m.facts, Epoch: m.epoch,
		Fencing: m.fencing, FencingAt: m.fencingAt,
	}
	if m.boot == 0 {
		v.Addrs, v.MACs = m.Before.Addrs, m.Before.MACs
	}
	v.Claims = slices.Grow(v.Claims, len(m.claims))
	for _, unit := range slices.Sorted(maps.Keys(m.claims)) {
		h, fresh := m.claims[unit], c.window
		if u := c.units[h.Unit]; u != nil {
			fresh = max(u.view.fresh(c.interval), 3*m.interval)
		}
		v.Claims = append(v.Claims, ClaimView{Claim: h.Claim, At: h.at, Fresh: now.Sub(h.at) <= fresh})
	}
	return v
}

// reach adds whom the member hears, and that this node hears it.
func (c *Core) reach(v *PeerView, m *member) {
	if !m.directAt.IsZero() {
		v.Reach = append(v.Reach, Reach{From: m.Name, To: c.node, Channel: ChannelMesh, At: m.directAt})
	}
	for _, a := range m.acks {
		if a.Direct == 0 {
			continue
		}
		from := ""
		if a.Boot == c.table.boot {
			from = c.node
		} else if o := c.table.memberByBoot(a.Boot); o != nil {
			from = o.Name
		}
		if from != "" {
			v.Reach = append(v.Reach, Reach{From: from, To: m.Name, Channel: ChannelMesh, At: m.at.Add(-a.Age)})
		}
	}
	for _, h := range m.claims {
		heard := Advert{From: h.Heard, Priority: h.HeardPriority, At: h.at.Add(-h.HeardAge)}
		if slices.Contains(c.sources, h.Heard) {
			v.Reach = append(v.Reach, Reach{From: c.node, To: m.Name, Channel: ChannelVRRP, Unit: h.Unit, At: heard.At})
			continue
		}
		v.hears(m.Name, h.Unit, heard, c.table)
	}
}

// probed adds which members have answered this node's probes, by the best of the
// networks.
func (c *Core) probed(v *PeerView) {
	best := make(map[string]time.Time)
	for _, u := range c.order {
		for _, n := range u.networks {
			for _, m := range n.shared.Members {
				if at, ok := best[m.Node]; !m.Asked.IsZero() && (!ok || m.Answered.After(at)) {
					best[m.Node] = m.Answered
				}
			}
		}
	}
	for _, m := range c.table.members {
		if at, ok := best[m.Name]; ok {
			v.Reach = append(v.Reach, Reach{From: m.Name, To: c.node, Channel: ChannelProbe, At: at})
		}
	}
}

// hears adds that a node heard an advert of a member.
func (v *PeerView) hears(to, unit string, heard Advert, t *Table) {
	if !heard.From.IsValid() {
		return
	}
	if m := t.owner(heard.From); m != nil && m.Name != to {
		v.Reach = append(v.Reach, Reach{From: m.Name, To: to, Channel: ChannelVRRP, Unit: unit, At: heard.At})
	}
}
