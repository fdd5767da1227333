package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/config/syntax"
)

// settleVirtual fills in what depends on several statements of a virtual server
// and reports what does not go together. It says whether the service exists.
func (c *compiler) settleVirtual(v *virtualBlock) bool {
	to, n := &v.to, v.node
	if len(v.reals) == 0 {
		if !v.has("real_server") {
			c.warnf(n.Word.Pos, "%s has no real_server on this node, so it does not exist", n.Path())
		}
		return false
	}
	if to.Group != "" && len(c.serverGroups[to.Group].Entries) == 0 {
		c.warnf(n.Word.Pos, "virtual_server_group %s is empty on this node, so %s does not exist", to.Group, n.Path())
		return false
	}
	v.forward = cmp.Or(v.forward, &Forward{Method: NAT})
	for _, r := range v.reals {
		r.forward = cmp.Or(r.forward, v.forward)
	}
	v.sorry = cmp.Or(v.sorry, v.forward)
	c.settleClients(v)
	c.settleProtocol(v)
	c.settleFlags(v)
	c.settleSorry(v)
	if to.HASuspend && c.marked(v) {
		c.warnf(v.at("ha_suspend"), "ha_suspend has no effect in %s: a fwmark has no address to wait for", n.Path())
		to.HASuspend = false
	}
	total := 0
	first := map[netip.AddrPort]syntax.Pos{}
	for _, r := range v.reals {
		s := c.settleReal(v, r)
		if at, twice := first[s.Address]; twice {
			c.errorf(r.node.Word.Pos, "real_server %s is listed twice; first at line %d", serverName(s.Address), at.Line)
			continue
		}
		first[s.Address] = r.node.Word.Pos
		to.RealServers = append(to.RealServers, s)
		total += s.Weight
	}
	c.settleQuorum(v, total)
	to.SMTPAlert = *cmp.Or(v.smtpAlert, c.defaults.checkerAlert(), new(false))
	return c.uniqueService(v)
}

// settleQuorum lowers what cannot be reached, as keepalived does.
func (c *compiler) settleQuorum(v *virtualBlock, total int) {
	to := &v.to
	if total > 0 && to.Quorum > total {
		c.warnf(v.at("quorum"), "quorum %d of %s is above the weight of all its real servers; it is lowered to %d", to.Quorum, v.node.Path(), total)
		to.Quorum = total
	}
	if to.Hysteresis >= to.Quorum {
		if to.Hysteresis > 0 {
			c.warnf(v.at("hysteresis"), "hysteresis %d of %s is not below its quorum; it is lowered to %d", to.Hysteresis, v.node.Path(), to.Quorum-1)
		}
		to.Hysteresis = to.Quorum - 1
	}
}

// settleProtocol drops or adds the protocol as keepalived does.
func (c *compiler) settleProtocol(v *virtualBlock) {
	to := &v.to
	switch {
	case to.Fwmark != 0 && to.Protocol != "":
		c.warnf(v.at("protocol"), "protocol has no effect in %s: the mark stands for all", v.node.Path())
		to.Protocol = ""
	case to.Fwmark == 0 && to.Protocol == "":
		c.warnf(v.node.Word.Pos, "%s has no protocol, so it is for UDP; add protocol TCP, UDP or SCTP", v.node.Path())
		to.Protocol = UDP
	}
	if to.PersistenceTimeout != 0 {
		return
	}
	switch {
	case to.Fwmark == 0 && slices.Contains(c.ports(v), 0):
		c.warnf(v.node.Word.Pos, "%s is for every port, which needs persistence; it gets persistence_timeout %g", v.node.Path(), defaultPersistence.Seconds())
		to.PersistenceTimeout = defaultPersistence
	case to.PersistenceBits != 0 || to.PersistenceEngine != "":
		c.warnf(v.node.Word.Pos, "%s has words of persistence but no persistence_timeout; they have no effect", v.node.Path())
		to.PersistenceBits, to.PersistenceEngine = 0, ""
	}
}

// ports are those of the service; none of a mark.
func (c *compiler) ports(v *virtualBlock) []uint16 {
	if v.to.Group == "" {
		return []uint16{v.to.Address.Port()}
	}
	var out []uint16
	for _, e := range c.serverGroups[v.to.Group].Entries {
		if e.Fwmark == 0 {
			out = append(out, e.Port)
		}
	}
	return unique(out)
}

// marked reports whether the service, or one of its group, is a firewall mark.
func (c *compiler) marked(v *virtualBlock) bool {
	if v.to.Group == "" {
		return v.to.Fwmark != 0
	}
	return slices.ContainsFunc(c.serverGroups[v.to.Group].Entries, func(e ServerGroupEntry) bool { return e.Fwmark != 0 })
}

// settleFlags drops flags of other schedulers and protocols.
func (c *compiler) settleFlags(v *virtualBlock) {
	to := &v.to
	if to.Flags.OnePacket && to.Fwmark == 0 && to.Protocol != UDP {
		c.warnf(v.at("ops"), "ops has no effect: one-packet scheduling is for UDP")
		to.Flags.OnePacket = false
	}
	for _, s := range v.node.Children {
		var scheduler string
		switch s.Word.Text {
		case "sh-port", "sh-fallback":
			scheduler = "sh"
		case "mh-port", "mh-fallback":
			scheduler = "mh"
		default:
			continue
		}
		if to.Scheduler == scheduler {
			continue
		}
		c.warnf(s.Word.Pos, "%s has no effect: it is for lvs_sched %s, and this is %s", s.Word.Text, scheduler, to.Scheduler)
		to.Flags.Flag1 = v.has("flag-1") || v.has(to.Scheduler+"-fallback")
		to.Flags.Flag2 = v.has("flag-2") || v.has(to.Scheduler+"-port")
	}
}

// settleSorry fills in the sorry server.
func (c *compiler) settleSorry(v *virtualBlock) {
	to := &v.to
	if !to.SorryServer.IsValid() {
		for _, word := range []string{"sorry_server_inhibit", "sorry_server_lvs_method"} {
			if v.has(word) && !v.has("sorry_server") {
				c.warnf(v.at(word), "%s has no effect: %s has no sorry_server", word, v.node.Path())
			}
		}
		to.SorryServerInhibit = false
		return
	}
	to.SorryServer = c.settleAddress(v, v.at("sorry_server"), "sorry_server", to.SorryServer, *v.sorry)
	to.SorryServerForward = *v.sorry
}

// settleReal makes a RealServer of a block.
func (c *compiler) settleReal(v *virtualBlock, r *realBlock) RealServer {
	s := RealServer{
		Address:          c.settleAddress(v, r.node.Word.Pos, "real_server", r.address, *r.forward),
		Weight:           valueOr(r.weight, v.weight),
		Forward:          *r.forward,
		UpperThreshold:   r.upper,
		LowerThreshold:   r.lower,
		InhibitOnFailure: valueOr(r.inhibit, v.inhibit),
		NotifyUp:         r.up,
		NotifyDown:       r.down,
		SMTPAlert:        *cmp.Or(r.smtpAlert, c.defaults.checkerAlert(), new(true)),
	}
	if s.LowerThreshold > s.UpperThreshold {
		c.errorf(r.at("lthreshold"), "lthreshold %d is above uthreshold %d; the kernel takes no such pair", s.LowerThreshold, s.UpperThreshold)
	}
	// A server that is reached on the port of each service is checked on it if
	// there is one alone, else on the port that the document gives it.
	port := s.Address.Port()
	if ports := c.ports(v); port == 0 && len(ports) == 1 {
		port = ports[0]
	}
	if port == 0 {
		port = r.address.Port()
	}
	c.placeReal(v, r, s.Address)
	for _, k := range r.checkers {
		s.Checkers = append(s.Checkers, c.settleChecker(k, r, r.pace.over(v.pace), cmp.Or(r.virtualHost, v.virtualHost), port)...)
	}
	return s
}

// settleAddress finds the port of a real or sorry server and holds that its
// packets can come to it.
func (c *compiler) settleAddress(v *virtualBlock, at syntax.Pos, word string, a netip.AddrPort, f Forward) netip.AddrPort {
	own := v.to.Address.Port() // 0 of marks and groups
	switch {
	case v.to.Address.IsValid() && a.Port() == 0:
		a = netip.AddrPortFrom(a.Addr(), own)
	case f.Method != NAT && a.Port() != own && v.to.Group == "":
		instead := "loses its port"
		if own != 0 {
			instead = fmt.Sprintf("gets port %d", own)
		}
		c.warnf(at, "%s %s %s, as %s has: %s leaves ports as they are", word, serverName(a), instead, v.node.Path(), f.Method)
		a = netip.AddrPortFrom(a.Addr(), own)
	case f.Method != NAT && a.Port() != own && !slices.Equal(c.ports(v), []uint16{a.Port()}):
		c.warnf(at, "%s %s gets the port of each service of %s: %s leaves ports as they are", word, serverName(a), v.node.Path(), f.Method)
		a = netip.AddrPortFrom(a.Addr(), 0)
	}
	switch {
	case f.Method == TUN:
	case a.Addr().Is6() != v.to.IPv6:
		c.errorf(at, "%s %s is not of the family of %s, and %s cannot cross families; use TUN", word, serverName(a), v.node.Path(), f.Method)
	case c.mixedGroup(v):
		c.errorf(at, "%s %s: virtual_server_group %s has IPv4 and IPv6, and %s cannot cross families; use TUN", word, serverName(a), v.to.Group, f.Method)
	}
	return a
}

// serverName is an address as the document writes it.
func serverName(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}
