package netif

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
)

// LinkState is one network interface as a level: each replaces the one before.
type LinkState struct {
	Name         string
	Index        int
	Gone         bool // no longer exists, or no longer under this name
	Up           bool // administratively up and running
	Loopback     bool
	MTU          int
	HardwareAddr net.HardwareAddr
	// Addrs are the usable addresses, primary before secondary: neither
	// tentative nor leased ones.
	Addrs []netip.Prefix
	// Leased are the virtual addresses that are there now. One that is missing
	// though it is claimed was removed by somebody: Renew puts it back.
	Leased []netip.Prefix
}

// Source is the address from which a virtual router on the link sends: the
// primary one for IPv4, a link-local one for IPv6. It is the zero address when
// there is none.
func (l LinkState) Source(f Family) netip.Addr {
	for _, p := range l.Addrs {
		addr := p.Addr()
		if (f == IPv4 && addr.Is4()) || (f == IPv6 && addr.Is6() && addr.IsLinkLocalUnicast()) {
			return addr
		}
	}
	return netip.Addr{}
}

func (l LinkState) equal(m LinkState) bool {
	return l.Name == m.Name && l.Index == m.Index && l.Gone == m.Gone && l.Up == m.Up &&
		l.Loopback == m.Loopback && l.MTU == m.MTU && bytes.Equal(l.HardwareAddr, m.HardwareAddr) &&
		slices.Equal(l.Addrs, m.Addrs) && slices.Equal(l.Leased, m.Leased)
}

// linkTable is what the kernel said of links, and what of it was passed on.
type linkTable struct {
	links     map[int]LinkState // without addresses
	addrs     []ifAddr          // in the kernel's order
	delivered map[int]LinkState
	touched   map[int]bool // may differ from what was delivered
}

func newLinkTable() *linkTable {
	return &linkTable{links: map[int]LinkState{}, delivered: map[int]LinkState{}, touched: map[int]bool{}}
}

// clear forgets the links, before a dump names those that there are.
func (t *linkTable) clear() {
	clear(t.links)
	for index := range t.delivered {
		t.touched[index] = true
	}
}

func (t *linkTable) clearAddrs() { t.addrs = t.addrs[:0] }

// apply takes one message of a dump or of a subscription.
func (t *linkTable) apply(m nlmsg.Message) {
	switch m.Type {
	case unix.RTM_NEWLINK:
		if l, ok := parseLink(m.Data); ok {
			t.links[l.Index] = l
			t.touched[l.Index] = true
		}
	case unix.RTM_DELLINK:
		if l, ok := parseLink(m.Data); ok {
			delete(t.links, l.Index)
			t.touched[l.Index] = true
			t.addrs = slices.DeleteFunc(t.addrs, func(a ifAddr) bool { return a.index == l.Index })
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		a, ok := parseIfAddr(m.Data)
		if !ok {
			return
		}
		t.touched[a.index] = true
		at := slices.IndexFunc(t.addrs, func(b ifAddr) bool {
			return b.index == a.index && b.prefix == a.prefix && b.peer == a.peer
		})
		switch {
		case m.Type == unix.RTM_NEWADDR && at >= 0:
			t.addrs[at] = a
		case m.Type == unix.RTM_NEWADDR:
			t.addrs = append(t.addrs, a)
		case at >= 0:
			t.addrs = slices.Delete(t.addrs, at, at+1)
		}
	}
}

// changes returns the levels that differ from those it returned before, what
// is gone first.
func (t *linkTable) changes() []LinkState {
	var gone, changed []LinkState
	for _, index := range slices.Sorted(maps.Keys(t.touched)) {
		old, known := t.delivered[index]
		_, there := t.links[index]
		now := t.level(index)
		if known && now.Name != old.Name { // gone, or renamed
			gone = append(gone, LinkState{Name: old.Name, Index: index, Gone: true})
			delete(t.delivered, index)
			known = false
		}
		if there && (!known || !now.equal(old)) {
			changed = append(changed, now)
			t.delivered[index] = now
		}
	}
	clear(t.touched)
	return append(gone, changed...)
}

// level is the present state of one link with its addresses.
func (t *linkTable) level(index int) LinkState {
	l := t.links[index]
	var usable []ifAddr
	for _, a := range t.addrs {
		switch {
		case a.index != index:
		case a.leased():
			l.Leased = append(l.Leased, a.prefix)
		case a.usable():
			usable = append(usable, a)
		}
	}
	// IPv4 addresses come in the kernel's order of preference but for the
	// secondary ones; IPv6 ones come newest first in a dump and oldest first
	// by subscription, so their age orders them.
	slices.SortStableFunc(usable, func(a, b ifAddr) int {
		if c := cmp.Compare(a.rank(), b.rank()); c != 0 || a.prefix.Addr().Is4() {
			return c
		}
		return cmp.Or(cmp.Compare(a.created, b.created), a.prefix.Addr().Compare(b.prefix.Addr()))
	})
	for _, a := range usable {
		l.Addrs = append(l.Addrs, a.prefix)
	}
	slices.SortFunc(l.Leased, netip.Prefix.Compare)
	return l
}

// rank orders families, and within one secondary and deprecated addresses last.
func (a ifAddr) rank() int {
	rank := 0
	if a.prefix.Addr().Is6() {
		rank = 4
	}
	// IFA_F_SECONDARY is IFA_F_TEMPORARY in IPv6: a privacy address.
	if a.flags&unix.IFA_F_SECONDARY != 0 {
		rank++
	}
	if a.flags&unix.IFA_F_DEPRECATED != 0 {
		rank += 2
	}
	return rank
}

// parseLink reads an RTM_NEWLINK or RTM_DELLINK. What a bridge says of its
// ports comes by the same name and is not meant: a port that leaves a bridge
// still exists.
func parseLink(b []byte) (LinkState, bool) {
	if len(b) < unix.SizeofIfInfomsg || b[0] != unix.AF_UNSPEC {
		return LinkState{}, false
	}
	flags := binary.NativeEndian.Uint32(b[8:])
	l := LinkState{
		Index:    int(int32(binary.NativeEndian.Uint32(b[4:]))),
		Up:       flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0,
		Loopback: flags&unix.IFF_LOOPBACK != 0,
	}
	for typ, v := range nlmsg.Attributes(b[unix.SizeofIfInfomsg:]) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.Name = unix.ByteSliceToString(v)
		case unix.IFLA_MTU:
			if len(v) >= 4 {
				l.MTU = int(binary.NativeEndian.Uint32(v))
			}
		case unix.IFLA_ADDRESS:
			l.HardwareAddr = bytes.Clone(v)
		}
	}
	return l, l.Index > 0 && l.Name != ""
}
