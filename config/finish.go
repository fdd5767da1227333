package config

import (
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/config/syntax"
)

// finish compares instances, groups, scripts and tracks with each other.
func (c *compiler) finish() {
	for i := range c.cfg.Instances {
		in := &c.cfg.Instances[i]
		in.Tracks = c.finishTracks(in.Tracks, in.Interface)
	}
	for i := range c.cfg.Groups {
		c.cfg.Groups[i].Tracks = c.finishTracks(c.cfg.Groups[i].Tracks, "")
	}
	c.finishGroups()
	c.finishQuorum()
	c.forgetTrackPlaces()
	c.uniqueRouters()
	c.uniqueAddresses()
	c.finishAlerts()
	c.finishSyncDaemon()
	for i, a := range c.cfg.Addresses {
		if a.Interface == "" {
			c.cfg.Addresses[i].Interface = c.cfg.Global.DefaultInterface
		}
	}
	if c.cfg.Cluster.HeartbeatInterval > c.cfg.Cluster.AloneAfter {
		c.errorf(c.cfg.Place("cluster", "alone_after"), "alone_after is shorter than heartbeat_interval; make it several times as long")
	}
	for _, p := range c.cfg.Cluster.GatewayProbe {
		if in := c.cfg.holderOf(p); in != "" {
			c.errorf(c.cfg.Place("cluster", "gateway_probe"), "gateway_probe %s is a virtual address of %s; name a machine outside the cluster", p, in)
		}
	}
}

// holderOf returns the instance that a virtual address belongs to, or "".
func (c *Config) holderOf(p netip.Addr) string {
	for _, in := range c.Instances {
		for _, a := range slices.Concat(in.Addresses, in.Excluded) {
			if a.Prefix.Addr() == p {
				return in.Name
			}
		}
	}
	return ""
}

// uniqueRouters holds that a virtual router is (interface, family, VRID).
func (c *compiler) uniqueRouters() {
	type router struct {
		iface string
		ipv6  bool
		vrid  int
	}
	first := map[router]string{}
	for _, in := range c.cfg.Instances {
		if in.VRID == 0 || in.Interface == "" {
			continue
		}
		r := router{in.Interface, in.IPv6, in.VRID}
		if other, ok := first[r]; ok {
			c.errorf(c.cfg.Place("vrrp_instance "+in.Name, "virtual_router_id"),
				"virtual_router_id %d on %s is %s's already, at line %d; give each instance its own", in.VRID, in.Interface, other,
				c.cfg.Place("vrrp_instance "+other, "virtual_router_id").Line)
			continue
		}
		first[r] = in.Name
	}
}

// uniqueAddresses holds that a virtual address belongs to one instance.
func (c *compiler) uniqueAddresses() {
	first := map[netip.Addr]string{}
	for _, in := range c.cfg.Instances {
		for i, a := range slices.Concat(in.Addresses, in.Excluded) {
			word := "virtual_ipaddress"
			if i >= len(in.Addresses) {
				word = "virtual_ipaddress_excluded"
			}
			other, ok := first[a.Prefix.Addr()]
			// Link-local addresses mean another thing on each interface.
			if ok && other != in.Name && !a.Prefix.Addr().IsLinkLocalUnicast() {
				c.errorf(c.cfg.Place("vrrp_instance "+in.Name, word), "%s is a virtual address of %s already, at line %d; an address belongs to one instance",
					a.Prefix.Addr(), other, c.cfg.Place("vrrp_instance "+other, "virtual_ipaddress").Line)
			}
			if !ok {
				first[a.Prefix.Addr()] = in.Name
			}
		}
	}
}

// forgetTrackPlaces makes configurations that say the same equal.
func (c *compiler) forgetTrackPlaces() {
	for _, in := range c.cfg.Instances {
		for i := range in.Tracks {
			in.Tracks[i].at = syntax.Pos{}
		}
	}
	for _, g := range c.cfg.Groups {
		for i := range g.Tracks {
			g.Tracks[i].at = syntax.Pos{}
		}
	}
}

// finishTracks gives scripts their own weight and drops what keepalived drops:
// scripts that do not exist, and the instance's own interface, which counts as
// dont_track_primary says and never with a weight.
func (c *compiler) finishTracks(tracks []Track, own string) []Track {
	var out []Track
	for _, t := range tracks {
		if t.Kind == TrackScript {
			i := slices.IndexFunc(c.cfg.Scripts, func(s Script) bool { return s.Name == t.Name })
			if i < 0 {
				c.warnf(t.at, "track_script %s: no vrrp_script of that name exists on this node; it is not tracked", t.Name)
				continue
			}
			if t.inherit {
				t.Weight, t.Reverse = c.cfg.Scripts[i].Weight, c.cfg.Scripts[i].Reverse != t.Reverse
			}
		}
		t.inherit = false
		if t.Kind == TrackInterface && t.Name == own {
			if t.Weight != 0 {
				c.warnf(t.at, "weight %d of %s has no effect: it is the instance's own interface", t.Weight, own)
			}
			continue
		}
		if slices.ContainsFunc(out, func(o Track) bool { return o.Kind == t.Kind && o.Name == t.Name }) {
			c.warnf(t.at, "%s %s is tracked twice; the first line counts", t.Kind, t.Name)
			continue
		}
		out = append(out, t)
	}
	return out
}
