package netif

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

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
	if err := a.journal.Remove(entries...); err != nil {
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
	for e := range maps.Clone(a.journal.Set()) {
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
		} else if err := a.journal.Remove(e); err != nil {
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
		if err := a.journal.Remove(entryOf(kindLease, addr)); err != nil {
			a.log.Warn("address journal not written", "err", err)
		}
	}
	return removed, errors.Join(errs...)
}
