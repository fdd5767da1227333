package netif

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
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
	// Leased are the virtual addresses that are there now.
	Leased []netip.Prefix
}

// Source is the address from which a virtual router on the link sends: the
// primary one for IPv4, a link-local one for IPv6. It is the zero address when
// there is none.
func (l LinkState) Source(f Family) netip.Addr { return netip.Addr{} }

// Monitor follows links and addresses.
type Monitor struct{ log *slog.Logger }

// NewMonitor returns a Monitor; Run does the work.
func NewMonitor(log *slog.Logger) *Monitor { return &Monitor{log: log} }

// Run delivers all links in its first call of deliver, afterwards those that
// changed, until ctx is done. It calls deliver on its own goroutine. Renewals
// of leases do not wake it.
func (m *Monitor) Run(ctx context.Context, deliver func([]LinkState)) error {
	return errors.ErrUnsupported
}
