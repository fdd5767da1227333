package director

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/internal/run"
)

// Change is something that happened to a service or one of its servers.
type Change struct {
	Kind    ChangeKind
	Service string         // its name
	Server  netip.AddrPort // zero for changes of quorum
	// Weight is that of the server when it is up, or of all servers of the service
	// that are up.
	Weight uint64
	Reason string
	Alert  bool        // worth a mail (smtp_alert)
	Script run.Command // to run; without arguments (Argv): none
	// Again is what another director told before (ToldQuorum, ToldDown): it is so, and
	// no news. It runs nothing.
	Again bool
	At    time.Time
}

// again is the change as one that was told before.
func (c Change) again() Change {
	c.Again, c.Alert, c.Script = true, false, noScript
	return c
}

// ChangeKind is what happened.
type ChangeKind uint8

// Kinds of change.
const (
	ServerUp ChangeKind = iota
	ServerDown
	ServerWeight // of a server that is and was up
	QuorumGained
	QuorumLost
)

func (k ChangeKind) String() string {
	switch k {
	case ServerUp:
		return "server up"
	case ServerDown:
		return "server down"
	case ServerWeight:
		return "server weight"
	case QuorumGained:
		return "quorum gained"
	case QuorumLost:
		return "quorum lost"
	default:
		panic(fmt.Sprintf("director: kind of change %d", k))
	}
}
