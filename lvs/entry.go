package lvs

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/hacluster/hacluster/internal/journal"
)

// Entry is one thing in the kernel's table: a service, a server of one, or a
// synchronization daemon.
type Entry struct {
	Service Key
	Server  netip.AddrPort // zero: the service itself
	Sync    Role           // not zero: a daemon; the others are zero then
}

// String is as in "tcp 192.0.2.1:80", "tcp 192.0.2.1:80 server 10.0.0.1:80" and
// "sync master".
func (e Entry) String() string {
	switch {
	case e.Sync != 0:
		return "sync " + e.Sync.String()
	case e.Server.IsValid():
		return e.Service.String() + " server " + e.Server.String()
	default:
		return e.Service.String()
	}
}

// Compare orders entries: daemons, then services, each before its servers.
func (e Entry) Compare(o Entry) int {
	return cmp.Or(
		cmp.Compare(o.Sync, e.Sync),
		e.Service.Compare(o.Service),
		e.Server.Compare(o.Server),
	)
}

// parseEntry reads what String wrote.
func parseEntry(s string) (Entry, bool) {
	if name, ok := strings.CutPrefix(s, "sync "); ok {
		for _, r := range []Role{SyncMaster, SyncBackup} {
			if name == r.String() {
				return Entry{Sync: r}, true
			}
		}
		return Entry{}, false
	}
	service, server, has := strings.Cut(s, " server ")
	var e Entry
	var ok bool
	if e.Service, ok = parseKey(service); !ok || !has {
		return e, ok
	}
	var err error
	e.Server, err = netip.ParseAddrPort(server)
	return e, err == nil
}

// Owned are the entries that are ours.
type Owned map[Entry]bool

// journalName is the file in the run directory that names, a line each, the entries
// that are ours:
//
//   - tcp 192.0.2.1:80
//   - tcp 192.0.2.1:80 server 10.0.0.1:80
const journalName = "ipvs"

// Left reports whether an earlier process with this run directory may have left
// something in the kernel's table.
func Left(runDir string) bool {
	j, err := journal.Open(filepath.Join(runDir, journalName), parseEntry)
	return err != nil || len(j.Set()) > 0
}
