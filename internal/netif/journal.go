package netif

import (
	"net/netip"
	"strings"
)

// journalName is the file that names the addresses which this machine has because of
// us:
//
//   - lease eth0 192.0.2.100/24
//   - static eth1 10.0.0.1/32 peer 10.0.0.2/32
const journalName = "addresses"

// journalEntry is one address in the journal.
type journalEntry struct {
	kind   string // lease or static
	iface  string
	prefix netip.Prefix
	peer   netip.Prefix
}

const (
	kindLease  = "lease"
	kindStatic = "static"
)

func entryOf(kind string, a Address) journalEntry {
	return journalEntry{kind, a.Interface, a.Prefix, a.Peer}
}

func (e journalEntry) address() Address {
	return Address{Prefix: e.prefix, Interface: e.iface, Peer: e.peer}
}

func (e journalEntry) String() string {
	s := e.kind + " " + e.iface + " " + e.prefix.String()
	if e.peer.IsValid() {
		s += " peer " + e.peer.String()
	}
	return s
}

func parseJournalEntry(s string) (journalEntry, bool) {
	f := strings.Split(s, " ")
	if len(f) != 3 && (len(f) != 5 || f[3] != "peer") {
		return journalEntry{}, false
	}
	e := journalEntry{kind: f[0], iface: f[1]}
	var err, peerErr error
	e.prefix, err = netip.ParsePrefix(f[2])
	if len(f) == 5 {
		e.peer, peerErr = netip.ParsePrefix(f[4])
	}
	ok := err == nil && peerErr == nil && e.iface != "" && (e.kind == kindLease || e.kind == kindStatic)
	return e, ok
}
