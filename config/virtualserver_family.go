package config

import (
	"github.com/hacluster/hacluster/config/syntax"
)

// settleClients finds the family of the clients' packets: that of the addresses,
// else what the document says, else that of the real servers.
func (c *compiler) settleClients(v *virtualBlock) {
	to := &v.to
	first, fixed := to.Address.Addr(), to.Address.IsValid()
	if to.Group != "" {
		for _, e := range c.serverGroups[to.Group].Entries {
			if e.Fwmark == 0 {
				first, fixed = e.First, true
				break
			}
		}
	}
	switch {
	case fixed:
		to.IPv6 = first.Is6()
		if v.family != "" && (v.family == "inet6") != to.IPv6 {
			c.warnf(v.at("ip_family"), "ip_family %s has no effect in %s: the address says the family", v.family, v.node.Path())
		}
	case v.family != "":
		to.IPv6 = v.family == "inet6"
	case to.PersistenceBits != 0:
		to.IPv6 = !v.dotted
	default:
		to.IPv6 = familyOfServers(v)
	}
	if to.PersistenceBits != 0 && v.dotted == to.IPv6 {
		c.errorf(v.at("persistence_granularity"), "persistence_granularity is not of the family of %s; use a netmask as 255.255.255.0 for IPv4, 1 to 128 for IPv6", v.node.Path())
	}
}

// familyOfServers reports whether a mark's real servers say that it is IPv6: one
// that is not behind a tunnel has the family of its clients.
func familyOfServers(v *virtualBlock) bool {
	all := true
	for _, r := range v.reals {
		if r.forward.Method != TUN {
			return r.address.Addr().Is6()
		}
		all = all && r.address.Addr().Is6()
	}
	return all
}

// mixedGroup reports whether the services of a group are of both families.
func (c *compiler) mixedGroup(v *virtualBlock) bool {
	if v.to.Group == "" {
		return false
	}
	for _, e := range c.serverGroups[v.to.Group].Entries {
		if e.ipv6(v.to.IPv6) != v.to.IPv6 {
			return true
		}
	}
	return false
}

// serviceOwner is the block that has a service.
type serviceOwner struct {
	name string
	at   syntax.Pos
}

// maxServices bounds what the ranges of groups may come to.
const maxServices = 1 << 18

// uniqueService holds that a service belongs to one virtual server.
func (c *compiler) uniqueService(v *virtualBlock) bool {
	var group ServerGroup
	if v.to.Group != "" {
		group = *c.serverGroups[v.to.Group]
	}
	for s := range v.to.Services(group) {
		if !c.claim(v, s) {
			return false
		}
	}
	return true
}

// claim notes that a service is of a virtual server, or says that it cannot be.
func (c *compiler) claim(v *virtualBlock, s Service) bool {
	other, taken := c.services[s]
	switch {
	case taken && v.to.Group == "" && other.name == v.to.Name:
		c.errorf(v.node.Word.Pos, "%s is defined twice; first at line %d", v.node.Path(), other.at.Line)
	case taken:
		c.errorf(v.node.Word.Pos, "%s of %s belongs to virtual_server %s already, at line %d", s, v.node.Path(), other.name, other.at.Line)
	case len(c.services) == maxServices:
		c.errorf(v.node.Word.Pos, "the virtual servers up to %s come to more than %d services; use a fwmark", v.node.Path(), maxServices)
	default:
		c.services[s] = serviceOwner{v.to.Name, v.node.Word.Pos}
		return true
	}
	return false
}
