package vrrp

import (
	"net/netip"
	"slices"
	"time"
)

// virtualKey is a virtual address where it may appear.
type virtualKey struct {
	iface string
	addr  netip.Addr
}

// settling is for how long after a claim a link state without the address is
// believed to be older than the claim.
const settling = 250 * time.Millisecond

// setLink takes over the state of one interface.
func (l *loop) setLink(link Link) {
	old, known := l.links[link.Name]
	l.links[link.Name] = link

	// An instance that comes out of FAULT needs its socket and source.
	if !known || old.Index != link.Index || old.Gone != link.Gone {
		l.connect()
		for _, u := range l.units {
			if u.gate.slot != nil {
				l.reguard(u)
			}
		}
	}
	for _, u := range l.units {
		for _, i := range u.instances {
			if i.spec.Interface == link.Name {
				l.checkSource(i)
			}
		}
	}
	if !known || usable(old) != usable(link) || old.Gone != link.Gone {
		for _, u := range l.units {
			l.step(u, linkResult(link))
		}
	}
	if l.claims == 0 || !usable(link) {
		return
	}
	present := make(map[netip.Addr]bool, len(link.Addrs))
	for _, p := range link.Addrs {
		present[p.Addr().WithZone("")] = true
	}
	for _, u := range l.units {
		for _, i := range u.instances {
			l.restore(i, link.Name, present)
		}
	}
}

func usable(link Link) bool { return link.Up && !link.Gone }

// linkResult is what the trackers of an interface get to know.
func linkResult(link Link) TrackResult {
	result := TrackResult{Key: InterfaceKey(link.Name), Up: usable(link)}
	switch {
	case link.Gone:
		result.Reason = "does not exist"
	case !link.Up:
		result.Reason = "down"
	default:
		result.Reason = "up"
	}
	return result
}

// checkSource finds out from which address an instance sends now. Nothing is
// said before the interface is known.
func (l *loop) checkSource(i *instanceShell) {
	link, known := l.links[i.spec.Interface]
	if !known {
		return
	}
	var source netip.Addr
	if i.socket != nil {
		source = l.sourceOf(i.spec, link)
	}
	if i.sourceTold && source == i.source {
		return
	}
	i.source, i.sourceTold = source, true
	i.out = outgoing{}
	i.event = nil
	i.receiver.reset(i.spec, source)
	l.testifyAgain(i)
	l.step(i.unit, SourceChanged{Instance: i.spec.Name, Source: source})
}

// sourceOf is the address from which an instance sends: the configured one, or
// the primary address of its interface (RFC 9568 section 5.1.1.1), in IPv6 the
// link-local one (section 5.1.2.1). The zero address: there is none.
func (l *loop) sourceOf(spec *InstanceSpec, link Link) netip.Addr {
	if link.Gone {
		return netip.Addr{}
	}
	has := func(addr netip.Addr) bool {
		return slices.ContainsFunc(link.Addrs, func(p netip.Prefix) bool { return p.Addr().WithZone("") == addr })
	}
	if source := spec.Wire.Source; source.IsValid() {
		if spec.TrackSource && !has(source) {
			return netip.Addr{}
		}
		return source
	}
	for _, p := range link.Addrs {
		addr := p.Addr().WithZone("")
		switch {
		case l.virtual[virtualKey{link.Name, addr}]:
			// Ours for as long as we are master only.
		case spec.Family == IPv4 && addr.Is4(), spec.Family == IPv6 && addr.IsLinkLocalUnicast() && addr.Is6():
			return addr
		}
	}
	return netip.Addr{}
}

// listVirtual notes the addresses that come and go with a state. What an
// owner (priority 255) advertises are its interface's own.
func (l *loop) listVirtual() {
	clear(l.virtual)
	for _, u := range l.units {
		for _, i := range u.instances {
			if i.spec.Priority == Owner {
				continue
			}
			for _, a := range i.spec.held() {
				l.virtual[virtualKey{a.Interface, a.Prefix.Addr().WithZone("")}] = true
			}
		}
	}
}

// restore claims again what a master holds and somebody else took away.
// Nothing else changes: the adverts go on, so no other router moves.
func (l *loop) restore(i *instanceShell, iface string, present map[netip.Addr]bool) {
	if !i.claimed {
		return
	}
	var missing []netip.Prefix
	for _, a := range i.spec.held() {
		if a.Interface == iface && !present[a.Prefix.Addr().WithZone("")] {
			missing = append(missing, a.Prefix)
		}
	}
	if missing == nil {
		return
	}
	// What looks missing right after a claim is rather late news; claiming
	// again does no harm, but it is nothing to tell anybody.
	if l.now.Sub(i.claimedAt) < settling {
		l.accept(i.unit, Claim{Instance: i.spec.Name})
		return
	}
	l.opts.Log.Warn("virtual addresses were removed by something else; adding them again",
		"instance", i.spec.Name, "iface", iface, "addresses", missing)
	l.accept(i.unit, Claim{Instance: i.spec.Name})
	l.accept(i.unit, AnnounceAddrs{Instance: i.spec.Name, Repeat: max(i.spec.Announce.Repeat, 1)})
}
