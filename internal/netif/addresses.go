package netif

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrLapsed says that addresses were not renewed within their lease, so the kernel
// may have removed them and another machine may hold them.
var ErrLapsed = errors.New("lease lapsed")

// Options are the settings of Addresses.
type Options struct {
	// RunDir holds the journal; it should be memory-backed (/run/haclusterd).
	RunDir string
	// Logger reports what does not stop a take-over. Required.
	Logger *slog.Logger
	// Foreign is told once, in the call that found it, of a virtual address
	// that was there already and is not ours; it is left as it is. May be nil.
	Foreign func(Address)
}

// Addresses owns the virtual and static addresses and routes of this machine.
// One goroutine uses it: there is no lock. Each call is bounded in time, and
// each is idempotent.
type Addresses struct {
	log     *slog.Logger
	foreign func(Address)
	conn    *rtnl
	routes  *netlink.Handle
	index   *indexer
	journal *journal

	guarded    map[netip.Addr]string // see Guard
	held       map[addrKey]*holding
	heldRoutes map[Route]string // by owner

	// renewal is the request of one pass and renewed whom each part of it
	// is for; both are built anew when stale.
	renewal requests
	renewed []*holding
	except  []string // owners that it leaves out
	stale   bool
}

// addrKey is what makes two addresses the same one to the kernel.
type addrKey struct {
	iface  string
	prefix netip.Prefix
	peer   netip.Prefix
}

func keyOf(a Address) addrKey { return addrKey{a.Interface, a.Prefix, a.Peer} }

// holding is one claimed address.
type holding struct {
	addr    Address
	owner   string
	index   int
	foreign bool          // was there before; never renewed or removed
	lease   time.Duration // valid lifetime that each renewal gives
	at      time.Duration // of the last renewal, on CLOCK_BOOTTIME
}

// NewAddresses opens the netlink sockets and reads the journal. A journal that
// cannot be used is logged, not returned.
func NewAddresses(o Options) (*Addresses, error) {
	conn, err := dialRtnl()
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	routes, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		conn.close()
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	index, err := newIndexer()
	if err == nil {
		err = routes.SetSocketTimeout(rtnlTimeout * time.Second)
	}
	if err != nil {
		routes.Close()
		conn.close()
		return nil, err
	}
	j, err := openJournal(o.RunDir)
	if err != nil {
		o.Logger.Warn("address journal not readable", "err", err)
	}
	a := &Addresses{
		log:        o.Logger,
		foreign:    o.Foreign,
		conn:       conn,
		routes:     routes,
		index:      index,
		journal:    j,
		held:       map[addrKey]*holding{},
		heldRoutes: map[Route]string{},
	}
	if a.foreign == nil {
		a.foreign = func(Address) {}
	}
	return a, nil
}

// Close closes the sockets. It removes nothing.
func (a *Addresses) Close() error {
	a.routes.Close()
	return errors.Join(a.conn.close(), a.index.close())
}

// Claim adds addresses with a lease, then routes, and holds them for owner. The
// lease is one of whole seconds, Lease to MaxLease; Renew must be called three times
// within the shortest that is held.
// An address that is held already is prolonged, and passes to owner when it
// was another's. When some cannot be added the others are, and the error names
// each; Release them all then.
func (a *Addresses) Claim(owner string, addrs []Address, routes []Route, lease time.Duration) error {
	if lease < Lease || lease > MaxLease || lease%time.Second != 0 {
		return fmt.Errorf("claim addresses of %s: lease %v is out of range; use whole seconds, %v to %v", owner, lease, Lease, MaxLease)
	}
	now, err := boottime()
	if err != nil {
		return err
	}
	var errs []error
	var pending []*holding
	for _, addr := range addrs {
		index, err := a.index.of(addr.Interface)
		if err != nil {
			errs = append(errs, fmt.Errorf("add %s on %s: %w", addr.Prefix, addr.Interface, err))
			continue
		}
		pending = append(pending, &holding{addr: addr, owner: owner, index: index, lease: lease, at: now})
	}
	a.note(pending)
	a.promoteSecondaries(pending)
	errs = append(errs, a.add(pending)...)
	errs = append(errs, a.addOnLink(addrs)...)
	errs = append(errs, a.claimRoutes(owner, routes)...)
	return errors.Join(errs...)
}

// note names addresses in the journal. A full /run does not stop a take-over.
func (a *Addresses) note(pending []*holding) {
	entries := make([]journalEntry, 0, len(pending))
	for _, h := range pending {
		entries = append(entries, entryOf(kindLease, h.addr))
	}
	if err := a.journal.add(entries...); err != nil {
		a.log.Warn("address journal not written", "err", err)
	}
}

// add adds what is pending in one exchange. What is there already is prolonged
// if it is ours, and else left alone.
func (a *Addresses) add(pending []*holding) []error {
	var r requests
	for _, h := range pending {
		flags := uint16(unix.NLM_F_ACK | unix.NLM_F_EXCL)
		if old := a.held[keyOf(h.addr)]; old != nil && !old.foreign {
			flags = unix.NLM_F_ACK | unix.NLM_F_REPLACE
		}
		r.addAddr(h.addr, h.index, h.lease, flags)
	}
	results, err := a.conn.do(&r)
	if err != nil {
		return []error{fmt.Errorf("add addresses: %w", err)}
	}
	a.stale = true
	var errs []error
	var present []*holding
	for i, h := range pending {
		switch err := results[i]; {
		case err == nil:
			a.held[keyOf(h.addr)] = h
		case errors.Is(err, unix.EEXIST):
			present = append(present, h)
		default:
			errs = append(errs, fmt.Errorf("add %s on %s: %w", h.addr.Prefix, h.addr.Interface, err))
		}
	}
	return append(errs, a.adopt(present)...)
}

// adopt takes addresses that are there already: a leased one is what an earlier
// process of ours left.
func (a *Addresses) adopt(present []*holding) []error {
	if len(present) == 0 {
		return nil
	}
	kernel, err := a.list(0)
	if err != nil {
		return []error{fmt.Errorf("list addresses: %w", err)}
	}
	var errs []error
	for _, h := range present {
		h.foreign = !slices.ContainsFunc(kernel, func(k ifAddr) bool {
			return k.index == h.index && k.prefix.Addr() == h.addr.Prefix.Addr() && k.leased()
		})
		if _, guarded := a.guarded[h.addr.Prefix.Addr()]; h.foreign && guarded {
			a.log.Warn("address was there already; it is a virtual one, and taken over",
				"iface", h.addr.Interface, "addr", h.addr.Prefix)
			h.foreign = false
		}
		if h.foreign {
			if old := a.held[keyOf(h.addr)]; old == nil || !old.foreign {
				a.reportForeign(h.addr)
			}
			a.held[keyOf(h.addr)] = h
			continue
		}
		var r requests
		r.addAddr(h.addr, h.index, h.lease, unix.NLM_F_ACK|unix.NLM_F_REPLACE)
		results, err := a.conn.do(&r)
		if err = errors.Join(append(results, err)...); err != nil {
			errs = append(errs, fmt.Errorf("add %s on %s: %w", h.addr.Prefix, h.addr.Interface, err))
			continue
		}
		a.held[keyOf(h.addr)] = h
	}
	return errs
}

func (a *Addresses) reportForeign(addr Address) {
	a.log.Warn("address is there already and not ours; left as it is",
		"iface", addr.Interface, "addr", addr.Prefix)
	if err := a.journal.remove(entryOf(kindLease, addr)); err != nil {
		a.log.Warn("address journal not written", "err", err)
	}
	a.foreign(addr)
}

// Release removes addresses and routes that owner holds and makes sure by a
// dump that none is left. What others own, or held before, stays. When it
// fails the addresses end by themselves with their lease, because they are not
// renewed any more.
func (a *Addresses) Release(owner string, addrs []Address, routes []Route) error {
	errs := a.releaseRoutes(owner, routes)
	var gone []*holding
	var released []Address
	for _, addr := range addrs {
		h := a.held[keyOf(addr)]
		if h == nil || h.owner != owner {
			continue
		}
		delete(a.held, keyOf(addr))
		a.stale = true
		if !h.foreign {
			gone = append(gone, h)
			released = append(released, addr)
		}
	}
	if len(gone) == 0 {
		return errors.Join(errs...)
	}
	errs = append(errs, a.delOnLink(released)...)
	if err := a.remove(gone); err != nil {
		return errors.Join(append(errs, err)...)
	}
	entries := make([]journalEntry, 0, len(gone))
	for _, h := range gone {
		entries = append(entries, entryOf(kindLease, h.addr))
	}
	if err := a.journal.remove(entries...); err != nil {
		a.log.Warn("address journal not written", "err", err)
	}
	return errors.Join(errs...)
}

// removeAttempts is how often an address that a dump still shows is removed.
const removeAttempts = 3

// remove deletes addresses until a dump shows none of them.
func (a *Addresses) remove(gone []*holding) error {
	var refused []error
	for range removeAttempts {
		var r requests
		for _, h := range gone {
			r.delAddr(h.addr, h.index)
		}
		results, err := a.conn.do(&r)
		if err != nil {
			return fmt.Errorf("remove addresses: %w", err)
		}
		refused = results
		left, err := a.present(gone)
		if err != nil {
			return fmt.Errorf("make sure that addresses are gone: %w", err)
		}
		if len(left) == 0 {
			return nil
		}
		gone = left
	}
	var errs []error
	for _, h := range gone {
		errs = append(errs, fmt.Errorf("remove %s on %s: still there", h.addr.Prefix, h.addr.Interface))
	}
	return errors.Join(append(errs, refused...)...)
}

// present returns those that the kernel has.
func (a *Addresses) present(want []*holding) ([]*holding, error) {
	byIndex := map[int][]ifAddr{}
	var left []*holding
	for _, h := range want {
		kernel, ok := byIndex[h.index]
		if !ok {
			var err error
			if kernel, err = a.list(h.index); err != nil {
				return nil, err
			}
			byIndex[h.index] = kernel
		}
		_, guarded := a.guarded[h.addr.Prefix.Addr()]
		for _, k := range kernel {
			switch {
			case k.index != h.index:
			case k.prefix == h.addr.Prefix:
				left = append(left, h)
			case guarded && k.prefix.Addr() == h.addr.Prefix.Addr():
				// With another mask it answers just the same.
				other := *h
				other.addr.Prefix, other.addr.Peer = k.prefix, k.peer
				left = append(left, &other)
			}
		}
	}
	return left, nil
}

// list dumps the addresses of an interface, or of all when index is 0. An
// interface that does not exist has none.
func (a *Addresses) list(index int) ([]ifAddr, error) {
	var r requests
	r.dumpAddrs(index)
	var out []ifAddr
	err := a.conn.dump(&r, func() { out = out[:0] }, func(m rtnlMessage) {
		if ia, ok := parseIfAddr(m.data); ok && (index == 0 || ia.index == index) {
			out = append(out, ia)
		}
	})
	if errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	return out, err
}

// Renew prolongs everything claimed in one pass, and puts back what others
// removed. Owners whose last pass is longer ago than their lease are left alone, and
// the error is then ErrLapsed until they are claimed again or released: it is a
// sign that this process stood still (R8), so the unit must go BACKUP.
// The owners named are left alone as well, and nothing is said of them.
func (a *Addresses) Renew(except ...string) error {
	now, err := boottime()
	if err != nil {
		return err
	}
	if !slices.Equal(a.except, except) {
		a.except, a.stale = slices.Clone(except), true
	}
	var lapsed []string
	for _, h := range a.held {
		if now-h.at > h.lease && !h.foreign && !slices.Contains(lapsed, h.owner) && !slices.Contains(except, h.owner) {
			lapsed = append(lapsed, h.owner)
		}
	}
	if a.stale || len(lapsed) > 0 {
		a.buildRenewal(lapsed)
	}
	var errs []error
	if len(lapsed) > 0 {
		slices.Sort(lapsed)
		errs = append(errs, fmt.Errorf("renew addresses of %s: %w", strings.Join(lapsed, ", "), ErrLapsed))
	}
	if len(a.renewed) == 0 {
		return errors.Join(errs...)
	}
	for _, h := range a.renewed {
		h.at = now
	}
	err = a.conn.post(&a.renewal, func(i int, err error) {
		addr := a.renewed[i].addr
		errs = append(errs, fmt.Errorf("renew %s on %s: %w", addr.Prefix, addr.Interface, err))
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("renew addresses: %w", err))
	}
	return errors.Join(errs...)
}

// buildRenewal lays out the request of one pass. With lapsed owners it is built
// again next time.
func (a *Addresses) buildRenewal(lapsed []string) {
	a.renewal.reset()
	a.renewed = a.renewed[:0]
	for _, h := range a.held {
		if h.foreign || slices.Contains(lapsed, h.owner) || slices.Contains(a.except, h.owner) {
			continue
		}
		a.renewal.addAddr(h.addr, h.index, h.lease, unix.NLM_F_REPLACE)
		a.renewed = append(a.renewed, h)
	}
	a.stale = len(lapsed) > 0
}

// Scrub removes what an earlier process left: the leased addresses that the
// journal names and the virtual routes on this machine that are not held. It
// returns the addresses that it removed. Call it at start.
func (a *Addresses) Scrub(held func(Address) bool) ([]Address, error) {
	errs := a.scrubRoutes()
	kernel, err := a.list(0)
	if err != nil {
		return nil, errors.Join(append(errs, fmt.Errorf("list addresses: %w", err))...)
	}
	var gone []*holding
	var removed []Address
	for e := range maps.Clone(a.journal.live) {
		addr := e.address()
		if e.kind != kindLease || a.held[keyOf(addr)] != nil || held(addr) {
			continue
		}
		index, err := a.index.of(e.iface)
		there := err == nil && slices.ContainsFunc(kernel, func(k ifAddr) bool {
			return k.index == index && k.prefix == e.prefix && k.leased()
		})
		if there {
			gone = append(gone, &holding{addr: addr, index: index})
			removed = append(removed, addr)
		} else if err := a.journal.remove(e); err != nil {
			a.log.Warn("address journal not written", "err", err)
		}
	}
	if len(gone) == 0 {
		return nil, errors.Join(errs...)
	}
	if err := a.remove(gone); err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	for _, addr := range removed {
		if err := a.journal.remove(entryOf(kindLease, addr)); err != nil {
			a.log.Warn("address journal not written", "err", err)
		}
	}
	return removed, errors.Join(errs...)
}

// promoteSecondaries keeps the other addresses of a subnet when the virtual
// one that came first goes. Without it the kernel removes them too, the
// machine's own among them; an address of full length has no subnet. The
// setting stays: taking it back could hurt whoever came to rely on it.
func (a *Addresses) promoteSecondaries(pending []*holding) {
	var done []string
	for _, h := range pending {
		p := h.addr.Prefix
		if !p.Addr().Is4() || p.IsSingleIP() || slices.Contains(done, h.addr.Interface) {
			continue
		}
		done = append(done, h.addr.Interface)
		file := filepath.Join("/proc/sys/net/ipv4/conf", h.addr.Interface, "promote_secondaries")
		if b, err := os.ReadFile(file); err == nil && string(b) == "1\n" {
			continue
		}
		if err := os.WriteFile(file, []byte("1\n"), 0o644); err != nil {
			a.log.Warn("promote_secondaries not set: when a virtual address goes, the others of its subnet may go too",
				"iface", h.addr.Interface, "err", err)
		}
	}
}

// boottime is CLOCK_BOOTTIME: unlike the runtime's clock it counts the time
// that the machine was suspended.
func boottime() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("read CLOCK_BOOTTIME: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}
