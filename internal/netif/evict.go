package netif

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Evicted is a virtual address that was found on this machine without being
// held, and that somebody else had added.
type Evicted struct {
	Addr      netip.Prefix
	Interface string
	// Kept says why it was left there all the same; empty: it was removed.
	Kept string
}

// Guard gives the virtual addresses that this machine may have only while it
// holds them, each with the interface on which it serves; the newest call
// counts. Without it what others added is never touched. An address that an
// owner (priority 255) advertises is its own, and not to be given.
//
// A guarded address that is there already when it is claimed becomes ours: it
// gets the lifetime of a lease, and is removed when it is released.
func (a *Addresses) Guard(addrs map[netip.Addr]string) { a.guarded = addrs }

// Evict removes guarded addresses that are not held from wherever this machine
// would answer for them. It returns those that it met, which another call meets
// again only if they are there again, or were kept.
func (a *Addresses) Evict() ([]Evicted, error) {
	if len(a.guarded) == 0 {
		return nil, nil
	}
	kernel, err := a.list(0)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var found []Evicted
	var gone []*holding
	for _, k := range kernel {
		iface, ok := a.guarded[k.prefix.Addr()]
		// What has the lifetime of a lease ends by itself, unless the process
		// that renews it hands it over to this one just now.
		if !ok || k.leased() || a.holds(k) {
			continue
		}
		name, err := a.index.name(k.index)
		if err != nil || !answers(k.prefix.Addr(), name, iface) {
			continue
		}
		e := Evicted{Addr: k.prefix, Interface: name}
		if name == iface && onlyOne(kernel, k) {
			e.Kept = "it is the only address of " + name + ": without it the machine would be cut off"
		} else {
			addr := Address{Prefix: k.prefix, Interface: name, Scope: k.scope, Peer: k.peer}
			gone = append(gone, &holding{addr: addr, index: k.index})
		}
		found = append(found, e)
	}
	if len(gone) == 0 {
		return found, nil
	}
	return found, a.remove(gone)
}

// holds reports whether the address is claimed, or ours from before.
func (a *Addresses) holds(k ifAddr) bool {
	for _, h := range a.held {
		if h.index == k.index && h.addr.Prefix.Addr() == k.prefix.Addr() {
			return true
		}
	}
	return false
}

// answers reports whether neighbours on the network of one interface get an
// answer for an address that another interface has. An IPv6 address answers
// where it is; an IPv4 one everywhere, unless arp_ignore says otherwise: that
// is how real servers have the address of a service on lo.
func answers(addr netip.Addr, on, network string) bool {
	if on == network {
		return true
	}
	if addr.Is6() {
		return false
	}
	for _, name := range []string{"all", network} {
		b, err := os.ReadFile(filepath.Join("/proc/sys/net/ipv4/conf", name, "arp_ignore"))
		if err == nil && strings.TrimSpace(string(b)) != "0" {
			return false
		}
	}
	return true
}

// onlyOne reports whether the interface has no other address of the family that
// lasts: then it is rather the machine's own, named by mistake.
func onlyOne(kernel []ifAddr, k ifAddr) bool {
	return !slices.ContainsFunc(kernel, func(o ifAddr) bool {
		same := o.prefix.Addr().Is4() == k.prefix.Addr().Is4()
		return o.index == k.index && same && o.prefix.Addr() != k.prefix.Addr() && !o.leased() && !o.prefix.Addr().IsLinkLocalUnicast()
	}) && k.prefix.Addr().Is4()
}
