package netif

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Route protocols by which we recognise our own routes, also those of an
// earlier process. keepalived uses 18.
const (
	RouteProtocolVirtual = 112
	RouteProtocolStatic  = 113
)

// onLinkMetric is the metric of the on-link route of an IPv6 virtual address,
// below that of the kernel's own prefix routes (256).
const onLinkMetric = 1024

// onLink is the on-link route of an IPv6 address that has a mask. The kernel
// would add such a route itself, but shared with the machine's own address in
// the same subnet, and end it with the virtual one.
func onLink(a Address) (Route, bool) {
	addr := a.Prefix.Addr()
	if !addr.Is6() || a.Prefix.IsSingleIP() || addr.IsLinkLocalUnicast() {
		return Route{}, false
	}
	return Route{Dst: a.Prefix.Masked(), Interface: a.Interface, Metric: onLinkMetric}, true
}

// addOnLink makes the subnets of addresses reachable.
func (a *Addresses) addOnLink(addrs []Address) []error {
	var errs []error
	for _, addr := range addrs {
		r, ok := onLink(addr)
		if !ok {
			continue
		}
		// One that is not ours serves as well.
		if err := a.addRoute(r, RouteProtocolVirtual); err != nil && !errors.Is(err, unix.EEXIST) {
			errs = append(errs, err)
		}
	}
	return errs
}

// delOnLink takes back the on-link routes that no held address needs.
func (a *Addresses) delOnLink(addrs []Address) []error {
	var errs []error
	for _, addr := range addrs {
		r, ok := onLink(addr)
		if !ok || a.needsOnLink(r) {
			continue
		}
		if err := a.delRoute(r, RouteProtocolVirtual); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (a *Addresses) needsOnLink(r Route) bool {
	for _, h := range a.held {
		if have, ok := onLink(h.addr); ok && have == r {
			return true
		}
	}
	return false
}

func (a *Addresses) claimRoutes(owner string, routes []Route) []error {
	var errs []error
	for _, r := range routes {
		if err := a.addRoute(r, RouteProtocolVirtual); err != nil {
			errs = append(errs, err)
			continue
		}
		a.heldRoutes[r] = owner
	}
	return errs
}

func (a *Addresses) releaseRoutes(owner string, routes []Route) []error {
	var errs []error
	for _, r := range routes {
		if a.heldRoutes[r] != owner {
			continue
		}
		delete(a.heldRoutes, r)
		if err := a.delRoute(r, RouteProtocolVirtual); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// scrubRoutes removes the virtual routes on this machine that are not held.
func (a *Addresses) scrubRoutes() []error {
	held := slices.Collect(maps.Keys(a.heldRoutes))
	for _, h := range a.held {
		if r, ok := onLink(h.addr); ok {
			held = append(held, r)
		}
	}
	return a.keepRoutes(RouteProtocolVirtual, held)
}

// keepRoutes removes the routes of a protocol of ours that are not among those
// to keep.
func (a *Addresses) keepRoutes(protocol netlink.RouteProtocol, keep []Route) []error {
	present, err := a.listRoutes(protocol)
	if err != nil {
		return []error{fmt.Errorf("list routes: %w", err)}
	}
	var wanted []netlink.Route
	for _, r := range keep {
		// What cannot be translated is not there either.
		if k, err := a.kernelRoute(r, protocol); err == nil {
			wanted = append(wanted, k)
		}
	}
	var errs []error
	for _, k := range present {
		if slices.ContainsFunc(wanted, func(w netlink.Route) bool { return sameRoute(w, k) }) {
			continue
		}
		if err := a.routes.RouteDel(&k); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("remove route %s: %w", k, err))
		}
	}
	return errs
}

// addRoute adds a route and never replaces one of somebody else.
func (a *Addresses) addRoute(r Route, protocol netlink.RouteProtocol) error {
	want, err := a.kernelRoute(r, protocol)
	if err != nil {
		return fmt.Errorf("add route to %s: %w", r.Dst, err)
	}
	err = a.routes.RouteAdd(&want)
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.EEXIST) {
		present, listErr := a.listRoutes(protocol)
		if listErr == nil && slices.ContainsFunc(present, func(k netlink.Route) bool { return sameRoute(want, k) }) {
			return nil
		}
		return fmt.Errorf("add route to %s: there is one that is not ours; "+
			"give this one another metric or remove that one: %w", r.Dst, errors.Join(err, listErr))
	}
	return fmt.Errorf("add route to %s: %w", r.Dst, err)
}

// delRoute removes a route of ours; one that is gone is no error.
func (a *Addresses) delRoute(r Route, protocol netlink.RouteProtocol) error {
	want, err := a.kernelRoute(r, protocol)
	if errors.Is(err, errNoInterface) {
		return nil // the kernel removed it with the interface
	}
	if err != nil {
		return fmt.Errorf("remove route to %s: %w", r.Dst, err)
	}
	if err := a.routes.RouteDel(&want); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("remove route to %s: %w", r.Dst, err)
	}
	return nil
}

// listRoutes lists the routes of a protocol in all tables. A dump that changes
// interrupted is repeated.
func (a *Addresses) listRoutes(protocol netlink.RouteProtocol) ([]netlink.Route, error) {
	filter := &netlink.Route{Protocol: protocol, Table: unix.RT_TABLE_UNSPEC}
	for range dumpAttempts {
		routes, err := a.routes.RouteListFiltered(netlink.FAMILY_ALL, filter,
			netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return routes, err
		}
	}
	return nil, netlink.ErrDumpInterrupted
}

var routeTypes = map[string]int{
	"":            unix.RTN_UNICAST,
	"unicast":     unix.RTN_UNICAST,
	"blackhole":   unix.RTN_BLACKHOLE,
	"unreachable": unix.RTN_UNREACHABLE,
	"prohibit":    unix.RTN_PROHIBIT,
	"throw":       unix.RTN_THROW,
}

// kernelRoute translates a route for the kernel.
func (a *Addresses) kernelRoute(r Route, protocol netlink.RouteProtocol) (netlink.Route, error) {
	typ, ok := routeTypes[r.Type]
	if !ok {
		return netlink.Route{}, fmt.Errorf("route type %q is not known", r.Type)
	}
	k := netlink.Route{
		Dst:      ipNet(r.Dst.Masked()),
		Gw:       r.Via.AsSlice(),
		Src:      r.Source.AsSlice(),
		Table:    r.Table,
		Priority: r.Metric,
		Scope:    netlink.Scope(r.Scope),
		Protocol: protocol,
		Type:     typ,
	}
	if k.Table == 0 {
		k.Table = unix.RT_TABLE_MAIN
	}
	if r.OnLink {
		k.Flags |= int(netlink.FLAG_ONLINK)
	}
	// As ip-route(8): what has no gateway is reached on the link itself.
	if typ == unix.RTN_UNICAST && r.Scope == 0 && !r.Via.IsValid() && r.Dst.Addr().Is4() {
		k.Scope = netlink.SCOPE_LINK
	}
	if r.Interface != "" {
		index, err := a.index.of(r.Interface)
		if err != nil {
			return netlink.Route{}, fmt.Errorf("dev %s: %w", r.Interface, err)
		}
		k.LinkIndex = index
	}
	return k, nil
}

// sameRoute compares what we asked for with what the kernel made of it: a link
// or a metric that was not given is filled in by the kernel.
func sameRoute(want, k netlink.Route) bool {
	return k.Dst != nil && want.Dst.String() == k.Dst.String() &&
		want.Table == k.Table && want.Type == k.Type && want.Gw.Equal(k.Gw) && want.Src.Equal(k.Src) &&
		(want.Priority == 0 || want.Priority == k.Priority) &&
		(want.LinkIndex == 0 || want.LinkIndex == k.LinkIndex || want.Type != unix.RTN_UNICAST)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
