package netif

import (
	"net/netip"
	"time"
)

// Bounds of the valid lifetime of a virtual address. The kernel counts in seconds.
const (
	Lease    = time.Second // the shortest that the kernel knows
	MaxLease = 63 * time.Second
)

// Family is the address family of an address, as in package vrrp.
type Family uint8

// Address families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Address is one address with the words of its line in the configuration.
type Address struct {
	Prefix    netip.Prefix
	Interface string     // never empty
	Label     string     // IPv4 interface label, or empty
	Scope     uint8      // rtnetlink scope; 0 is global
	Broadcast netip.Addr // zero: none; the unspecified address: derive it (`brd +`)
	Peer      netip.Prefix
}

// Route is one virtual or static route.
type Route struct {
	Dst       netip.Prefix // 0.0.0.0/0 or ::/0 for default
	Via       netip.Addr   // zero: on-link
	Source    netip.Addr   // preferred source, zero: none
	Interface string       // or empty
	Table     int          // 0: main
	Metric    int          // 0: the kernel's default
	Scope     uint8        // rtnetlink scope; 0: let the kernel's rules decide
	OnLink    bool
	Type      string // "", unicast, blackhole, unreachable, prohibit, throw
}

// Announcement is one address to announce from one interface.
type Announcement struct {
	Interface string
	Addr      netip.Addr
}
