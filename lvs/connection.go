package lvs

import (
	"net/netip"
	"time"
)

// Connection is one entry of the kernel's table of connections: a connection that
// is on its way, or a client that is remembered (persistence).
type Connection struct {
	// Protocol is 0 for a client that is remembered of a firewall mark.
	Protocol Protocol
	Client   netip.AddrPort // its port is 0 for a client that is remembered
	// Virtual is the address that the client called. Of a client that is remembered
	// of a firewall mark it is the mark, and means nothing as an address.
	Virtual netip.AddrPort
	Server  netip.AddrPort // which it got
	State   string         // the kernel's word: "ESTABLISHED", "FIN_WAIT", "UDP", "NONE"
	Expires time.Duration  // until it is forgotten, unless something moves
}

// calls reports whether the connection called a service. Of a firewall mark that
// cannot be said.
func (c Connection) calls(k Key) bool {
	return k.Mark == 0 && c.Protocol == k.Protocol && c.Virtual.Addr() == k.Address.Addr() &&
		(k.Address.Port() == 0 || c.Virtual.Port() == k.Address.Port())
}

// Belongs reports whether a connection is one of a service with these keys and
// servers: it called one of them, or, of a firewall mark, which its entry does not
// name, it got one of its servers.
func (c Connection) Belongs(keys []Key, servers []netip.AddrPort) bool {
	for _, k := range keys {
		if c.calls(k) {
			return true
		}
		if k.Mark == 0 {
			continue
		}
		for _, s := range servers {
			if s.Addr() == c.Server.Addr() && (s.Port() == 0 || s.Port() == c.Server.Port()) {
				return true
			}
		}
	}
	return false
}
