package lvs

import (
	"cmp"
	"fmt"
	"net/netip"
)

// Role is what a connection synchronization daemon of the kernel does: send
// this machine's connections, or take those of others. Both may run.
type Role uint8

// The two roles. The numbers are the kernel's.
const (
	SyncMaster Role = 1
	SyncBackup Role = 2
)

func (r Role) String() string {
	switch r {
	case SyncMaster:
		return "master"
	case SyncBackup:
		return "backup"
	default:
		return fmt.Sprintf("role %d", uint8(r))
	}
}

// SyncDaemon is a connection synchronization daemon of the kernel. It excludes
// servers of another family than their service.
type SyncDaemon struct {
	Role      Role
	Interface string // that the group is joined on
	ID        uint8  // of the set of directors; a backup with 0 takes from all
	// MaxLen is the size of the messages, 1 to 65507 bytes; zero: as large as the
	// interface carries.
	MaxLen uint16
	Group  netip.Addr // multicast; zero: 224.0.0.81
	Port   uint16     // UDP; zero: 8848
	TTL    uint8      // zero: 1
}

func (d SyncDaemon) String() string {
	return fmt.Sprintf("%v on %s to %v port %d, id %d", d.Role, d.Interface, d.group(), cmp.Or(d.Port, defaultSyncPort), d.ID)
}

const defaultSyncPort = 8848

func (d SyncDaemon) group() netip.Addr {
	if d.Group.IsValid() {
		return d.Group
	}
	return netip.AddrFrom4([4]byte{224, 0, 0, 81})
}

// sameSync reports whether a running daemon is as wanted. Which size the kernel
// took for itself does not count.
func sameSync(want, have SyncDaemon) bool {
	normal := func(d SyncDaemon) SyncDaemon {
		d.Group, d.Port, d.TTL = d.group(), cmp.Or(d.Port, defaultSyncPort), cmp.Or(d.TTL, 1)
		return d
	}
	want, have = normal(want), normal(have)
	if want.MaxLen == 0 {
		have.MaxLen = 0
	}
	return want == have
}
