package netif

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// SetStatic makes the static addresses and routes what is given: adds what is
// missing, removes what it added before (in this process or an earlier one)
// and is not given now. Static addresses are permanent. Call it again when a
// link comes back: the kernel removes routes with their link.
func (a *Addresses) SetStatic(addrs []Address, routes []Route) error {
	errs := a.removeStatic(addrs)
	for _, addr := range addrs {
		if err := a.addStatic(addr); err != nil {
			errs = append(errs, fmt.Errorf("add static %s on %s: %w", addr.Prefix, addr.Interface, err))
		}
	}

	errs = append(errs, a.keepRoutes(RouteProtocolStatic, routes)...)
	for _, r := range routes {
		if err := a.addRoute(r, RouteProtocolStatic); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// addStatic adds one address, unless it is there already.
func (a *Addresses) addStatic(addr Address) error {
	index, err := a.index.of(addr.Interface)
	if err != nil {
		return err
	}
	entry := entryOf(kindStatic, addr)
	known := a.journal.Set()[entry]
	if err := a.journal.Add(entry); err != nil {
		a.log.Warn("address journal not written", "err", err)
	}
	var r requests
	r.addAddr(addr, index, permanent, unix.NLM_F_EXCL)
	results, err := a.conn.do(&r)
	if err != nil {
		return err
	}
	if errors.Is(results[0], unix.EEXIST) && !known {
		// Somebody else's: it must not go when our configuration changes.
		return a.journal.Remove(entry)
	}
	if errors.Is(results[0], unix.EEXIST) {
		return nil
	}
	return results[0]
}

// removeStatic removes the static addresses of ours that are not wanted.
func (a *Addresses) removeStatic(wanted []Address) []error {
	var gone []*holding
	var entries []journalEntry
	for e := range maps.Clone(a.journal.Set()) {
		if e.kind != kindStatic || slices.ContainsFunc(wanted, func(w Address) bool { return entryOf(kindStatic, w) == e }) {
			continue
		}
		entries = append(entries, e)
		if index, err := a.index.of(e.iface); err == nil {
			gone = append(gone, &holding{addr: e.address(), index: index})
		}
	}
	if len(gone) > 0 {
		if err := a.remove(gone); err != nil {
			return []error{err}
		}
	}
	if err := a.journal.Remove(entries...); err != nil {
		a.log.Warn("address journal not written", "err", err)
	}
	return nil
}
