package vrrp

import (
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/vrrp/packet"
)

// reasonStranger refuses an advert of a router that is no member of the cluster.
const reasonStranger packet.Reason = "stranger"

// Kin is who belongs to the cluster: the addresses from which its members send
// adverts, heard or not at present. While Complete is false some are not known
// yet, and nobody is a stranger: to refuse a member's adverts would make a second
// master.
type Kin struct {
	Addrs    []netip.Addr
	Complete bool
}

// setKin replaces what is known of the members' addresses.
func (l *loop) setKin(k Kin) {
	l.kinComplete = k.Complete
	l.kin = make(map[netip.Addr]bool, len(k.Addrs))
	for _, a := range k.Addrs {
		l.kin[a.WithZone("")] = true
	}
	for _, u := range l.units {
		for _, i := range u.instances {
			i.event = nil // it says whether the sender is kin
		}
	}
}

// estranged says why an advert that is right in itself is refused because of its
// sender, or returns the empty string.
func (l *loop) estranged(i *instanceShell, p *Packet, v *verdict) string {
	wire := &i.spec.Wire
	if wire.Strangers == FollowStrangers || !l.kinComplete {
		return ""
	}
	from := p.Src.WithZone("")
	if l.kin[from] || i.receiver.peer(p.Src) != nil || slices.Contains(wire.AllowForeign, from) {
		return ""
	}
	if wire.Strangers == IgnoreStrangers {
		return "its sender is no member of the cluster and not in allow_foreign (foreign ignore)"
	}
	if len(v.advert.Addrs) == 0 || len(i.spec.Addresses) == 0 {
		return "" // nothing to compare
	}
	for _, a := range i.spec.Addresses {
		if slices.Contains(v.advert.Addrs, a.Prefix.Addr().WithZone("")) {
			return ""
		}
	}
	return "its sender is no member of the cluster and has none of our addresses: another cluster with the same virtual_router_id"
}
