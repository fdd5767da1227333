package netif

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

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
	if err := a.journal.Add(entries...); err != nil {
		a.log.Warn("address journal not written", "err", err)
	}
}

// add adds what is pending in one exchange. What is there already is prolonged
// if it is ours, and else left alone.
func (a *Addresses) add(pending []*holding) []error {
	var r requests
	for _, h := range pending {
		flags := uint16(unix.NLM_F_EXCL)
		if old := a.held[keyOf(h.addr)]; old != nil && !old.foreign {
			flags = unix.NLM_F_REPLACE
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
		r.addAddr(h.addr, h.index, h.lease, unix.NLM_F_REPLACE)
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
	if err := a.journal.Remove(entryOf(kindLease, addr)); err != nil {
		a.log.Warn("address journal not written", "err", err)
	}
	a.foreign(addr)
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
