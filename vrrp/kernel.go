package vrrp

import (
	"errors"
	"net/netip"
	"time"
)

// ErrLapsed says that claimed addresses were not renewed within their lifetime.
var ErrLapsed = errors.New("lifetime of addresses lapsed")

// Kernel is what virtual routers change on the machine. Only the engine calls
// it, one method at a time, and each call is bounded in time. Every method is
// idempotent: claiming twice changes nothing, releasing what is gone succeeds.
type Kernel interface {
	// Claim adds addresses, each with the finite lifetime that Renew prolongs,
	// and routes. The lifetime is one of whole seconds.
	Claim(instance string, addrs []Address, routes []Route, lifetime time.Duration) error

	// Release removes them and makes sure by a dump that none is left.
	Release(instance string, addrs []Address, routes []Route) error

	// Renew prolongs the lifetime of everything claimed, in one pass, but for what
	// the named instances have. The error wraps ErrLapsed when a lifetime had ended
	// before.
	Renew(except ...string) error

	// Announce sends one gratuitous ARP (IPv4) or unsolicited neighbour
	// advertisement (IPv6) for each address.
	Announce([]Announcement) error
}

// Announcement is one address to announce from one interface.
type Announcement struct {
	Interface string
	Addr      netip.Addr
}

// Link is the state of one network interface, as a level: each update replaces
// the one before. Gone is a link that does not exist (any more).
type Link struct {
	Name  string
	Index int
	Gone  bool
	Up    bool // administratively up and carrier present
	MTU   int
	Addrs []netip.Prefix // all usable addresses, the primary one of each subnet first
}
