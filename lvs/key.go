package lvs

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Family is an address family.
type Family uint8

// The families that IPVS knows.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

func (f Family) String() string { return "ipv" + strconv.Itoa(int(f)) }

// familyOf is the family of a valid address.
func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// Protocol is an IP protocol by its number.
type Protocol uint8

// The protocols that IPVS balances.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	default:
		return strconv.Itoa(int(p))
	}
}

func parseProtocol(s string) (Protocol, bool) {
	for _, p := range []Protocol{TCP, UDP, SCTP} {
		if s == p.String() {
			return p, true
		}
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return Protocol(n), err == nil
}

// Key names a virtual service, as the kernel tells them apart. It has either a
// Protocol and an Address, or a Mark and a MarkFamily; the other two are zero.
type Key struct {
	Protocol Protocol
	// Address may have port 0, for all ports, if the service is persistent.
	Address netip.AddrPort

	// Mark is the firewall mark, 1 to 4294967295. The same mark may stand for one
	// service in each family.
	Mark       uint32
	MarkFamily Family
}

// Family is that of the clients' packets.
func (k Key) Family() Family {
	if k.Mark != 0 {
		return k.MarkFamily
	}
	return familyOf(k.Address.Addr())
}

// String is as in "tcp 192.0.2.1:80" and "fwmark 5 ipv6".
func (k Key) String() string {
	if k.Mark != 0 {
		return fmt.Sprintf("fwmark %d %v", k.Mark, k.MarkFamily)
	}
	return k.Protocol.String() + " " + k.Address.String()
}

// Compare orders keys: addresses before marks, then by address, port, protocol,
// mark and family.
func (k Key) Compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.Mark, o.Mark),
		cmp.Compare(k.MarkFamily, o.MarkFamily),
		k.Address.Compare(o.Address),
		cmp.Compare(k.Protocol, o.Protocol),
	)
}

// parseKey reads what String wrote.
func parseKey(s string) (Key, bool) {
	f := strings.Fields(s)
	switch {
	case len(f) == 3 && f[0] == "fwmark":
		mark, err := strconv.ParseUint(f[1], 10, 32)
		for _, family := range []Family{IPv4, IPv6} {
			if f[2] == family.String() && err == nil && mark != 0 {
				return Key{Mark: uint32(mark), MarkFamily: family}, true
			}
		}
	case len(f) == 2:
		protocol, ok := parseProtocol(f[0])
		address, err := netip.ParseAddrPort(f[1])
		return Key{Protocol: protocol, Address: address}, ok && err == nil
	}
	return Key{}, false
}
