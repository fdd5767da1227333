package config

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

// settle fills in what depends on several statements of one instance and
// reports what does not go together.
func (c *compiler) settle(in *Instance, f *facts) {
	at := f.node.Word.Pos
	place := func(word string) syntax.Pos { return c.cfg.Place(f.node.Path(), word) }

	c.settleFamily(in, f)
	given := func(word string) bool { return place(word) != at }
	if in.VRID == 0 && !given("virtual_router_id") {
		c.errorf(at, "vrrp_instance %s has no virtual_router_id; add one, 1 to 255", in.Name)
	}
	if in.Interface == "" && !given("interface") {
		c.errorf(at, "vrrp_instance %s has no interface; add interface NAME", in.Name)
	}
	if !f.noAddress && len(in.Addresses) == 0 && (!f.advertised || f.emptyAddresses) {
		c.warnf(at, "vrrp_instance %s has no virtual_ipaddress; add one, or no_virtual_ipaddress if that is meant", in.Name)
	}
	if in.Interface == "lo" {
		c.errorf(place("interface"), "interface lo is the loopback, which leads to no other router; name the one of the network")
	}
	if len(in.Addresses) > 255 {
		c.errorf(place("virtual_ipaddress"), "virtual_ipaddress of %s lists %d addresses; an advert carries 255, so put the others into virtual_ipaddress_excluded", in.Name, len(in.Addresses))
	}
	if in.StartMaster && !f.priority {
		in.Priority = 255
	}
	c.settleTimer(in, place("advert_int"))
	c.settlePreemption(in, f, place)

	if in.AuthType != "" && in.Version == 3 {
		c.warnf(place("authentication"), "VRRP version 3 has no authentication; it is not used")
		in.AuthType, in.AuthPass = "", ""
	}
	in.Announce.Interval = c.defaults.garpInterval
	if in.IPv6 {
		in.Announce.Interval = c.defaults.gnaInterval
	}
	c.settleWire(in, f, place)
	for _, t := range in.Tracks {
		if in.Priority == 255 && t.Weight != 0 {
			c.warnf(t.at, "weight %d has no effect on %s: priority 255 is never changed", t.Weight, in.Name)
		}
	}
}

// settleFamily finds family and version.
func (c *compiler) settleFamily(in *Instance, f *facts) {
	place := c.cfg.Place(f.node.Path(), "virtual_ipaddress")
	seen := map[netip.Addr]bool{}
	for i, a := range in.Addresses {
		v6 := a.Prefix.Addr().Is6()
		if i == 0 {
			in.IPv6 = v6
		} else if v6 != in.IPv6 {
			c.errorf(place, "virtual_ipaddress of %s mixes IPv4 and IPv6; put those of the other family into virtual_ipaddress_excluded", in.Name)
			break
		}
		if seen[a.Prefix.Addr()] {
			c.warnf(place, "virtual_ipaddress of %s lists %s twice", in.Name, a.Prefix.Addr())
		}
		seen[a.Prefix.Addr()] = true
	}
	if len(in.Addresses) == 0 {
		for _, p := range in.Peers {
			in.IPv6 = p.Addr.Is6()
		}
		in.IPv6 = in.IPv6 || f.unicastSource.Is6() || f.multicastSource.Is6()
	}
	if in.IPv6 && in.Version == 2 && c.cfg.Place(f.node.Path(), "version") != f.node.Word.Pos {
		c.warnf(c.cfg.Place(f.node.Path(), "version"), "IPv6 needs VRRP version 3; %s uses it", in.Name)
	}
	switch {
	case in.IPv6:
		in.Version = 3
	case in.Version == 0:
		in.Version = 2
	}
}

// settleTimer compares the advert interval with what the version can say.
func (c *compiler) settleTimer(in *Instance, at syntax.Pos) {
	const longestV3 = 40950 * time.Millisecond
	switch {
	case in.Version == 2 && in.AdvertInterval%time.Second != 0:
		c.errorf(at, "advert_int %g is not for VRRP version 2; use whole seconds, 1 to 255, or version 3", in.AdvertInterval.Seconds())
	case in.Version == 3 && in.AdvertInterval > longestV3:
		c.errorf(at, "advert_int %g is out of range for VRRP version 3; use 0.01 to 40.95", in.AdvertInterval.Seconds())
	case in.Version == 3 && in.AdvertInterval%(10*time.Millisecond) != 0:
		c.warnf(at, "advert_int %g is rounded to hundredths of a second", in.AdvertInterval.Seconds())
		in.AdvertInterval = in.AdvertInterval.Round(10 * time.Millisecond)
	}
}

// settlePreemption drops what keepalived drops.
func (c *compiler) settlePreemption(in *Instance, f *facts, place func(string) syntax.Pos) {
	if f.noPreempt && in.Priority == 255 {
		c.warnf(place("nopreempt"), "nopreempt has no effect with priority 255")
		in.Preempt = true
	} else if f.noPreempt && in.StartMaster {
		c.warnf(place("nopreempt"), "nopreempt has no effect with state MASTER; use state BACKUP on every node")
		in.Preempt = true
	}
	if in.PreemptDelay > 0 && (in.StartMaster || !in.Preempt) {
		c.warnf(place("preempt_delay"), "preempt_delay has no effect with state MASTER or nopreempt")
		in.PreemptDelay = 0
	}
}

// settleWire finds out how the instance speaks.
func (c *compiler) settleWire(in *Instance, f *facts, place func(string) syntax.Pos) {
	in.Unicast = len(in.Peers) > 0
	if f.unicastPeers && !in.Unicast {
		c.warnf(place("unicast_peer"), "unicast_peer of %s is empty on this node; it uses multicast", in.Name)
	}
	in.Source = f.multicastSource
	if in.Unicast {
		in.Source = f.unicastSource
	} else if f.unicastSource.IsValid() {
		c.warnf(place("unicast_src_ip"), "unicast_src_ip has no effect without unicast_peer")
	}
	group := c.cfg.Global.MulticastGroup4
	if in.IPv6 {
		group = c.cfg.Global.MulticastGroup6
	}
	if !in.MulticastGroup.IsValid() {
		in.MulticastGroup = group
	}
	family := func(word string, a netip.Addr) {
		if a.IsValid() && a.Is6() != in.IPv6 {
			c.errorf(place(word), "%s %s is not of the family of the virtual addresses of %s", word, a, in.Name)
		}
	}
	family("mcast_dst_ip", in.MulticastGroup)
	family("unicast_src_ip", f.unicastSource)
	family("mcast_src_ip", f.multicastSource)
	for _, p := range in.Peers {
		family("unicast_peer", p.Addr)
		if p.Addr == f.unicastSource {
			c.warnf(place("unicast_peer"), "unicast_peer %s is this node's own address", p.Addr)
		}
	}
}
