package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Node is one machine on the LAN.
type Node struct {
	Name string

	lan      *LAN
	t        T
	ns       *namespace
	number   int
	networks []Network
	shield   *firewall
}

// Addr4 is the node's own IPv4 address on a network.
func (n *Node) Addr4(network Network) netip.Addr {
	a := network.prefixes()[0].Addr().As4()
	a[3] = byte(n.number)
	return netip.AddrFrom4(a)
}

// Addr6 is the node's own global IPv6 address on a network.
func (n *Node) Addr6(network Network) netip.Addr {
	a := network.prefixes()[1].Addr().As16()
	binary.BigEndian.PutUint16(a[14:], uint16(n.number))
	return netip.AddrFrom16(a)
}

// LinkLocal is the node's link-local IPv6 address on a network: the modified
// EUI-64 of its MAC (RFC 4291 appendix A).
func (n *Node) LinkLocal(network Network) netip.Addr {
	m := n.MAC(network)
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// MAC is the node's hardware address on a network.
func (n *Node) MAC(network Network) net.HardwareAddr { return mac(network, n.number) }

// Namespace is the name of the node's network namespace.
func (n *Node) Namespace() string { return n.ns.name }

// Do runs f on a thread inside the node's namespace.
func (n *Node) Do(f func() error) error { return n.ns.do(f) }

// Sysctl sets a value below /proc/sys/net.
func (n *Node) Sysctl(key, value string) {
	n.t.Helper()
	if err := n.ns.sysctl(key, value); err != nil {
		n.t.Fatalf("lab: %v", err)
	}
}

// port is the switch's end of the node's cable.
func (n *Node) port(network Network) string {
	return n.Name + [...]string{"-s", "-c"}[network]
}

// connect plugs the node into its networks. Duplicate address detection is
// off, so addresses can be used at once.
func (n *Node) connect() error {
	for _, key := range []string{"ipv6/conf/all/accept_dad", "ipv6/conf/default/accept_dad"} {
		if err := n.ns.sysctl(key, "0"); err != nil {
			return err
		}
	}
	lo, err := n.ns.nl.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := n.ns.nl.LinkSetUp(lo); err != nil {
		return err
	}
	for _, network := range n.networks {
		if err := n.plug(network); err != nil {
			return fmt.Errorf("connect to the %v network: %w", network, err)
		}
	}
	return nil
}

func (n *Node) plug(network Network) error {
	sw := n.lan.sw.nl
	bridge, err := sw.LinkByName(network.bridge())
	if err != nil {
		return err
	}
	veth := netlink.NewVeth(netlink.NewLinkAttrs())
	veth.Name = n.port(network)
	veth.MasterIndex = bridge.Attrs().Index
	veth.PeerName = network.Interface()
	veth.PeerHardwareAddr = n.MAC(network)
	veth.PeerNamespace = netlink.NsFd(n.ns.fd)
	if err := sw.LinkAdd(veth); err != nil {
		return err
	}
	inside, err := n.ns.nl.LinkByName(network.Interface())
	if err != nil {
		return err
	}
	for i, addr := range []netip.Addr{n.Addr4(network), n.Addr6(network)} {
		if err := n.ns.nl.AddrAdd(inside, linkAddr(netip.PrefixFrom(addr, network.prefixes()[i].Bits()))); err != nil {
			return err
		}
	}
	if err := n.ns.nl.LinkSetUp(inside); err != nil {
		return err
	}
	return sw.LinkSetUp(veth)
}

// on reports whether the node is plugged into a network.
func (n *Node) on(network Network) bool { return slices.Contains(n.networks, network) }

// CutLink takes the carrier of the node's interface away.
func (n *Node) CutLink(network Network) { n.t.Helper(); n.setPort(network, false) }

// RestoreLink plugs the cable in again.
func (n *Node) RestoreLink(network Network) { n.t.Helper(); n.setPort(network, true) }

func (n *Node) setPort(network Network, up bool) {
	n.t.Helper()
	link, err := n.lan.sw.nl.LinkByName(n.port(network))
	if err == nil {
		if up {
			err = n.lan.sw.nl.LinkSetUp(link)
		} else {
			err = n.lan.sw.nl.LinkSetDown(link)
		}
	}
	if err != nil {
		n.t.Fatalf("lab: node %s: set %v link up=%v: %v", n.Name, network, up, err)
	}
}

// Address is one address of a node as the kernel has it.
type Address struct {
	Prefix    netip.Prefix
	Interface string
	Label     string // IPv4 only
	Scope     int    // rtnetlink scope: 0 global, 253 link
	Broadcast netip.Addr
	Valid     time.Duration // lifetime left; zero: for ever
}

// Addresses are all addresses of the node, on any interface.
func (n *Node) Addresses() []Address {
	n.t.Helper()
	var list []netlink.Addr
	var err error
	for range 5 { // a dump that changed while it was read is asked for again
		if list, err = n.ns.nl.AddrList(nil, netlink.FAMILY_ALL); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		n.t.Fatalf("lab: node %s: list addresses: %v", n.Name, err)
	}
	var all []Address
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		bits, _ := a.Mask.Size()
		one := Address{Prefix: netip.PrefixFrom(ip.Unmap(), bits), Label: a.Label, Scope: a.Scope}
		if link, err := n.ns.nl.LinkByIndex(a.LinkIndex); err == nil {
			one.Interface = link.Attrs().Name
		}
		if brd, ok := netip.AddrFromSlice(a.Broadcast); ok {
			one.Broadcast = brd.Unmap()
		}
		if a.ValidLft > 0 && uint32(a.ValidLft) != math.MaxUint32 {
			one.Valid = time.Duration(a.ValidLft) * time.Second
		}
		all = append(all, one)
	}
	return all
}

// Addrs are the addresses of the node with their prefix lengths.
func (n *Node) Addrs() []netip.Prefix {
	n.t.Helper()
	var all []netip.Prefix
	for _, a := range n.Addresses() {
		all = append(all, a.Prefix)
	}
	return all
}

// Address finds one address.
func (n *Node) Address(addr netip.Addr) (Address, bool) {
	n.t.Helper()
	for _, a := range n.Addresses() {
		if a.Prefix.Addr() == addr {
			return a, true
		}
	}
	return Address{}, false
}

// Has reports whether an address is configured on the node.
func (n *Node) Has(addr netip.Addr) bool {
	n.t.Helper()
	return slices.ContainsFunc(n.Addrs(), func(p netip.Prefix) bool { return p.Addr() == addr })
}

// WantAddr waits until the node has the address.
func (n *Node) WantAddr(addr netip.Addr, within time.Duration) {
	n.t.Helper()
	Want(n.t, within, fmt.Sprintf("%s has %v", n.Name, addr), func() (string, bool) {
		return fmt.Sprint(n.Addrs()), n.Has(addr)
	})
}

// WantNoAddr waits until the node does not have the address.
func (n *Node) WantNoAddr(addr netip.Addr, within time.Duration) {
	n.t.Helper()
	Want(n.t, within, fmt.Sprintf("%s lets go of %v", n.Name, addr), func() (string, bool) {
		return fmt.Sprint(n.Addrs()), !n.Has(addr)
	})
}

// AddAddr adds an address to an interface, as a person would by hand.
func (n *Node) AddAddr(network Network, p netip.Prefix) {
	n.t.Helper()
	n.changeAddr(network, func(link netlink.Link) error { return n.ns.nl.AddrReplace(link, linkAddr(p)) })
}

// DeleteAddr removes an address, as a person would by hand.
func (n *Node) DeleteAddr(network Network, p netip.Prefix) {
	n.t.Helper()
	n.changeAddr(network, func(link netlink.Link) error { return n.ns.nl.AddrDel(link, linkAddr(p)) })
}

func (n *Node) changeAddr(network Network, change func(netlink.Link) error) {
	n.t.Helper()
	link, err := n.ns.nl.LinkByName(network.Interface())
	if err == nil {
		err = change(link)
	}
	if err != nil {
		n.t.Fatalf("lab: node %s: change an address of %v: %v", n.Name, network, err)
	}
}

// AddLink adds a dummy interface that is up, for stories that need one more.
func (n *Node) AddLink(name string) {
	n.t.Helper()
	dummy := &netlink.Dummy{LinkAttrs: netlink.NewLinkAttrs()}
	dummy.Name = name
	err := n.ns.nl.LinkAdd(dummy)
	if err == nil {
		err = n.ns.nl.LinkSetUp(dummy)
	}
	if err != nil {
		n.t.Fatalf("lab: node %s: add interface %s: %v", n.Name, name, err)
	}
}

// SetLink takes an interface of the node administratively up or down.
func (n *Node) SetLink(name string, up bool) {
	n.t.Helper()
	link, err := n.ns.nl.LinkByName(name)
	if err == nil {
		if up {
			err = n.ns.nl.LinkSetUp(link)
		} else {
			err = n.ns.nl.LinkSetDown(link)
		}
	}
	if err != nil {
		n.t.Fatalf("lab: node %s: set %s up=%v: %v", n.Name, name, up, err)
	}
}

// HasRoute reports whether the node has a route to dst in the main table.
func (n *Node) HasRoute(dst netip.Prefix) bool {
	n.t.Helper()
	routes, err := n.ns.nl.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, syscall.EINTR) && !errors.Is(err, netlink.ErrDumpInterrupted) {
		n.t.Fatalf("lab: node %s: list routes: %v", n.Name, err)
	}
	return slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.Dst != nil && r.Dst.String() == dst.String() })
}

func linkAddr(p netip.Prefix) *netlink.Addr {
	flags := 0
	if p.Addr().Is6() {
		flags = unix.IFA_F_NODAD
	}
	return &netlink.Addr{
		IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
		Flags: flags,
	}
}
