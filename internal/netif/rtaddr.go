package netif

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
)

// forever is the kernel's infinite lifetime.
const forever = 0xffffffff

// permanent asks for an address without end.
const permanent = time.Duration(-1)

// ifAddr is one address as the kernel has it.
type ifAddr struct {
	index     int
	prefix    netip.Prefix // the local address with the length of its subnet
	peer      netip.Prefix
	flags     uint32
	scope     uint8
	valid     uint32 // seconds, or forever
	created   uint32 // hundredths of a second
	broadcast netip.Addr
	label     string
}

// leased reports whether the address is a virtual one of ours. Nobody else
// gives an address a lifetime of seconds, so this holds on kernels that do not
// keep a protocol with an address too, and for what an earlier process added.
func (a ifAddr) leased() bool { return a.valid <= uint32(MaxLease/time.Second) }

// usable reports whether it can be a source address.
func (a ifAddr) usable() bool {
	return a.flags&unix.IFA_F_DADFAILED == 0 &&
		(a.flags&unix.IFA_F_TENTATIVE == 0 || a.flags&unix.IFA_F_OPTIMISTIC != 0)
}

// parseIfAddr reads an RTM_NEWADDR or RTM_DELADDR.
func parseIfAddr(b []byte) (ifAddr, bool) {
	if len(b) < unix.SizeofIfAddrmsg {
		return ifAddr{}, false
	}
	bits := int(b[1])
	a := ifAddr{
		index: int(binary.NativeEndian.Uint32(b[4:])),
		flags: uint32(b[2]),
		scope: b[3],
		valid: forever,
	}
	var local, address netip.Addr
	for typ, v := range nlmsg.Attributes(b[unix.SizeofIfAddrmsg:]) {
		switch typ {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(v)
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(v)
		case unix.IFA_BROADCAST:
			a.broadcast, _ = netip.AddrFromSlice(v)
		case unix.IFA_LABEL:
			a.label = unix.ByteSliceToString(v)
		case unix.IFA_FLAGS:
			if len(v) >= 4 {
				a.flags = binary.NativeEndian.Uint32(v)
			}
		case unix.IFA_CACHEINFO:
			if len(v) >= 12 {
				a.valid = binary.NativeEndian.Uint32(v[4:])
				a.created = binary.NativeEndian.Uint32(v[8:])
			}
		}
	}
	// IPv4 sends both, which differ when there is a peer; IPv6 sends only
	// IFA_ADDRESS when there is none. The length belongs to IFA_ADDRESS.
	if !local.IsValid() {
		local = address
	}
	if !local.IsValid() || bits > local.BitLen() {
		return ifAddr{}, false
	}
	a.prefix = netip.PrefixFrom(local, bits)
	if address.IsValid() && address != local {
		a.prefix = netip.PrefixFrom(local, local.BitLen())
		a.peer = netip.PrefixFrom(address, bits)
	}
	return a, true
}

// addAddr appends an RTM_NEWADDR. A lifetime is a lease or permanent, never zero:
// a message without lifetimes makes the address permanent.
func (r *requests) addAddr(a Address, index int, lifetime time.Duration, flags uint16) {
	local := a.Prefix.Addr()
	r.Begin(unix.RTM_NEWADDR, flags|unix.NLM_F_CREATE)
	r.address(a, index)
	valid, preferred := uint32(forever), uint32(forever)
	if lifetime != permanent {
		valid = max(1, uint32(lifetime/time.Second))
		preferred = valid
		if local.Is6() {
			// Deprecated at once, so that it is no source address of the
			// machine's own connections; it could not be one after it has moved.
			preferred = 0
			// The prefix route is ours (see onLinkRoute): the kernel would give
			// the one that it shares with the machine's own address our end.
			r.Uint32(unix.IFA_FLAGS, unix.IFA_F_NODAD|unix.IFA_F_NOPREFIXROUTE)
		}
	}
	if local.Is4() {
		if b := broadcast(a); b.IsValid() {
			r.Attr(unix.IFA_BROADCAST, b.AsSlice()...)
		}
		if a.Label != "" {
			r.String(unix.IFA_LABEL, a.Label)
		}
	}
	var info [unix.SizeofIfaCacheinfo]byte
	binary.NativeEndian.PutUint32(info[:], preferred)
	binary.NativeEndian.PutUint32(info[4:], valid)
	r.Attr(unix.IFA_CACHEINFO, info[:]...)
	r.End()
}

// delAddr appends an RTM_DELADDR.
func (r *requests) delAddr(a Address, index int) {
	r.Begin(unix.RTM_DELADDR, 0)
	r.address(a, index)
	r.End()
}

// dumpAddrs appends the request for all addresses of an interface, or of all
// when index is 0.
func (r *requests) dumpAddrs(index int) {
	r.Begin(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	r.ifaddrmsg(unix.AF_UNSPEC, 0, 0, index)
	r.End()
}

// address appends what says which address of which interface is meant.
func (r *requests) address(a Address, index int) {
	family := byte(unix.AF_INET)
	if a.Prefix.Addr().Is6() {
		family = unix.AF_INET6
	}
	bits := a.Prefix.Bits()
	if a.Peer.IsValid() {
		bits = a.Peer.Bits()
	}
	r.ifaddrmsg(family, byte(bits), a.Scope, index)
	peer := a.Prefix.Addr()
	if a.Peer.IsValid() {
		peer = a.Peer.Addr()
	}
	r.Attr(unix.IFA_LOCAL, a.Prefix.Addr().AsSlice()...)
	r.Attr(unix.IFA_ADDRESS, peer.AsSlice()...)
}

func (r *requests) ifaddrmsg(family, bits, scope uint8, index int) {
	h := [unix.SizeofIfAddrmsg]byte{family, bits, 0, scope}
	binary.NativeEndian.PutUint32(h[4:], uint32(index))
	r.Raw(h[:]...)
}

// broadcast is the address to set, or the zero one.
func broadcast(a Address) netip.Addr {
	if !a.Broadcast.IsValid() || !a.Broadcast.IsUnspecified() {
		return a.Broadcast
	}
	// RFC 3021: a prefix of 31 bits has none.
	if a.Prefix.Bits() > 30 {
		return netip.Addr{}
	}
	b := a.Prefix.Addr().As4()
	v := binary.BigEndian.Uint32(b[:]) | (1<<(32-a.Prefix.Bits()) - 1)
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}
