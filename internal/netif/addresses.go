package netif

import (
	"errors"
	"log/slog"
)

// ErrLapsed says that addresses were not renewed within Lease, so the kernel
// may have removed them and another machine may hold them.
var ErrLapsed = errors.New("lease lapsed")

// Options are the settings of Addresses.
type Options struct {
	// RunDir holds the journal; it should be memory-backed (/run/haclusterd).
	RunDir string
	// Logger reports what does not stop a take-over. Required.
	Logger *slog.Logger
	// Foreign is told, in the call that found it, of an address that was
	// there already and is not ours; it is left as it is. May be nil.
	Foreign func(Address)
}

// Addresses owns the virtual and static addresses and routes of this machine.
// One goroutine uses it: there is no lock. Each call is bounded in time, and
// each is idempotent.
type Addresses struct{ o Options }

// NewAddresses opens the netlink sockets and reads the journal.
func NewAddresses(o Options) (*Addresses, error) { return nil, errors.ErrUnsupported }

// Close closes the sockets. It removes nothing.
func (a *Addresses) Close() error { return errors.ErrUnsupported }

// Claim adds addresses with a lease, then routes, and holds them for owner.
// An address that is held already is prolonged.
func (a *Addresses) Claim(owner string, addrs []Address, routes []Route) error {
	return errors.ErrUnsupported
}

// Release removes addresses and routes that owner holds and makes sure by a
// dump that none is left.
func (a *Addresses) Release(owner string, addrs []Address, routes []Route) error {
	return errors.ErrUnsupported
}

// Renew prolongs everything claimed in one pass, and puts back what others
// removed. Owners whose last pass is longer ago than Lease are left alone, and
// the error is then ErrLapsed until they are claimed again or released.
func (a *Addresses) Renew() error { return errors.ErrUnsupported }

// Scrub removes what an earlier process left: the addresses that the journal
// names and the virtual routes on this machine that are not held. It returns
// what it removed. Call it at start, before the first Claim.
func (a *Addresses) Scrub(held func(Address) bool) ([]Address, error) {
	return nil, errors.ErrUnsupported
}

// SetStatic makes the static addresses and routes what is given: adds what is
// missing, removes what it added before (in this process or an earlier one)
// and is not given now. Call it again when a link comes back.
func (a *Addresses) SetStatic(addrs []Address, routes []Route) error { return errors.ErrUnsupported }
