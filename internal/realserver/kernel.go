package realserver

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// fallback are the devices that the kernel makes when it loads a module: they take
// what comes packed to any address of the machine.
var fallback = map[string]string{"tunl0": "ipip", "ip6tnl0": "ip6_tunnel", "sit0": "sit", "gre0": "ip_gre"}

// linkTypes are the types of links that modules make.
var linkTypes = map[string]string{"ipip": "ipip", "ip6_tunnel": "ip6tnl", "sit": "sit", "ip_gre": "gre"}

// device finds the device for an address, and loads the module that makes it.
func device(ctx context.Context, name string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	_, missing := errors.AsType[netlink.LinkNotFoundError](err)
	if module := fallback[name]; missing && module != "" {
		if out, err := exec.CommandContext(ctx, "modprobe", module).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("there is no device %s, and its module %s cannot be loaded: %w: %s", name, module, err, strings.TrimSpace(string(out)))
		}
		if link, err = netlink.LinkByName(name); err != nil {
			return nil, fmt.Errorf("there is no device %s although module %s is loaded, as in a container (net.core.fb_tunnels_only_for_init_net); make one, ip link add NAME type %s …, and name it: %w", name, module, linkTypes[module], err)
		}
		missing = false
	}
	switch {
	case missing:
		return nil, fmt.Errorf("there is no device %s; make the tunnel first, or use lo (DR), tunl0 or ip6tnl0 (TUN)", name)
	case err != nil:
		return nil, fmt.Errorf("find device %s: %w", name, err)
	case link.Attrs().Flags&net.FlagLoopback == 0 && link.Attrs().RawFlags&unix.IFF_NOARP == 0:
		return nil, fmt.Errorf("%s answers ARP, so the network would see two machines with the address; use lo (DR), or a tunnel (TUN)", name)
	}
	return link, nil
}

// isTunnel reports whether packets come out of a device that answers no ARP.
func isTunnel(link netlink.Link) bool {
	return link.Attrs().Flags&net.FlagLoopback == 0 && link.Type() != "dummy"
}

// listAttempts bounds the repeats of a list that changes interrupt.
const listAttempts = 5

// addressesOf are all addresses of a link.
func addressesOf(link netlink.Link) (all []netip.Addr, err error) {
	var list []netlink.Addr
	for range listAttempts {
		if list, err = netlink.AddrList(link, netlink.FAMILY_ALL); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP); ok {
			all = append(all, addr.Unmap())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
	}
	return all, nil
}

// has reports whether a link has an address.
func has(link netlink.Link, addr netip.Addr) (bool, error) {
	all, err := addressesOf(link)
	return slices.Contains(all, addr), err
}

// hostAddr is how the kernel is told of an address.
func hostAddr(addr netip.Addr) *netlink.Addr {
	bits := addr.BitLen()
	a := &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(bits, bits)}}
	if addr.Is4() {
		a.Scope = unix.RT_SCOPE_HOST
		return a
	}
	a.Flags = unix.IFA_F_NODAD
	a.ValidLft, a.PreferedLft = math.MaxUint32, 0
	return a
}

// addAddress adds an address; one that is there is left as it is.
func addAddress(link netlink.Link, addr netip.Addr) error {
	if err := netlink.AddrAdd(link, hostAddr(addr)); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add %v to %s: %w", addr, link.Attrs().Name, err)
	}
	return nil
}

// removeAddress removes an address, and reports whether it was there.
func removeAddress(name string, addr netip.Addr) (bool, error) {
	link, err := netlink.LinkByName(name)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return false, nil
	}
	if err == nil {
		err = netlink.AddrDel(link, hostAddr(addr))
	}
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("remove %v from %s: %w", addr, name, err)
	}
	return true, nil
}
