package config

import (
	"fmt"
	"iter"
	"net/netip"
)

// Service is one service of the kernel: what it tells virtual services apart by.
type Service struct {
	Address  netip.AddrPort // zero of a mark; port 0: every port
	Protocol Protocol       // empty of a mark
	Fwmark   uint32
	IPv6     bool
}

// String is as in "TCP 192.0.2.1:80" and "fwmark 5".
func (s Service) String() string {
	if s.Fwmark != 0 {
		return fmt.Sprintf("fwmark %d", s.Fwmark)
	}
	return string(s.Protocol) + " " + serverName(s.Address)
}

// Services are what a virtual server stands for: itself, or each address and mark
// of the group that its Group names.
func (v VirtualServer) Services(group ServerGroup) iter.Seq[Service] {
	return func(yield func(Service) bool) {
		if v.Group == "" {
			yield(Service{v.Address, v.Protocol, v.Fwmark, v.IPv6})
			return
		}
		for _, e := range group.Entries {
			if e.Fwmark != 0 {
				if !yield(Service{Fwmark: e.Fwmark, IPv6: e.ipv6(v.IPv6)}) {
					return
				}
				continue
			}
			for a := e.First; a.IsValid() && !e.Last.Less(a); a = a.Next() {
				if !yield(Service{Address: netip.AddrPortFrom(a, e.Port), Protocol: v.Protocol, IPv6: a.Is6()}) {
					return
				}
			}
		}
	}
}

// Server is a real or sorry server as the service has it: with the service's own
// port where it names none, and wherever packets keep theirs.
func (s Service) Server(a netip.AddrPort, f Forward) netip.AddrPort {
	if f.Method != NAT || a.Port() == 0 {
		return netip.AddrPortFrom(a.Addr(), s.Address.Port())
	}
	return a
}

// ipv6 is the family of an entry in a virtual server of a family.
func (e ServerGroupEntry) ipv6(virtual bool) bool {
	switch {
	case e.Fwmark == 0:
		return e.First.Is6()
	case e.Family != "":
		return e.Family == "inet6"
	}
	return virtual
}
