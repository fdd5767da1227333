package director

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
)

// Desired is all that a director directs. Nobody may change it once it was
// applied.
type Desired struct {
	Services []Service
	Sync     []lvs.SyncDaemon
	Drain    time.Duration // see lvs.Desired
	// Agree keeps a server that is down by its checks until a majority of the directors
	// that look at it see it down, as far as they are known (Hear).
	Agree bool
}

// Service is a virtual_server.
type Service struct {
	// Name is unique and stays the same while the service changes: what is known
	// of its servers goes by it.
	Name string
	// Keys are one, or those of a virtual_server_group.
	Keys []lvs.Key
	lvs.Settings
	// Quorum is the weight that the servers that are up must have together; 0: 1.
	// It counts as it stands: keepalived lowers one that exceeds the configured
	// weights of all servers, and warns, when it reads its configuration.
	// Hysteresis is below it.
	Quorum, Hysteresis uint32
	// QuorumUp and QuorumDown are run when quorum is gained and lost; without
	// arguments (Argv): nothing is.
	QuorumUp, QuorumDown run.Command
	Sorry                *SorryServer // nil: none
	// Omega runs the scripts of going down when the director stops.
	Omega bool
	// HASuspend stops the checks while none of the addresses is held here.
	HASuspend bool
	Alert     bool // smtp_alert: changes of quorum are worth a mail
	Servers   []Server
	// ToldQuorum is what another director told last of the quorum, if the service is new
	// to this one; nil: nothing. It is not told again, and hysteresis goes by it.
	ToldQuorum *bool
}

// SorryServer takes the place of all servers while quorum is lost.
type SorryServer struct {
	lvs.Server // keepalived's has weight 1
	// Inhibit keeps it in the table with weight 0 while there is quorum.
	Inhibit bool
}

// Server is a real_server, known within its service by its address.
type Server struct {
	lvs.Server // with the configured weight
	// Inhibit keeps it in the table with weight 0 while it is down.
	Inhibit bool
	// NotifyUp and NotifyDown are run when it comes up and goes down; without
	// arguments (Argv): nothing is.
	NotifyUp, NotifyDown run.Command
	Alert                bool // smtp_alert: its changes are worth a mail
	Checks               []Check
	// ToldDown has a server that is new to the director begin down, as another director
	// told before, until its checks find it up.
	ToldDown bool
}

// Check is one check of a server.
type Check struct {
	check.Checker
	check.Settings
}

// Override is a weight that a person gave a server for a while. It takes the place of
// what configuration and checks say, and counts for quorum; whether the server is up
// is the checks' all the same. One with weight 0 keeps its connections as long as it is
// up, also while the sorry server stands in.
type Override struct {
	Weight uint32
	Why    string // in words for people
}

// Overrides are those that stand, by the names of services and the addresses of
// servers. What is not configured counts for nothing.
type Overrides map[string]map[netip.AddrPort]Override

// of is the override of a server; nil: none.
func (o Overrides) of(service string, server netip.AddrPort) *Override {
	if by, ok := o[service][server]; ok {
		return &by
	}
	return nil
}

// quorum is the weight that is needed.
func (s *Service) quorum() uint64 { return uint64(max(s.Quorum, 1)) }

// suspended reports whether the service is not checked while these addresses are
// held here.
func (s *Service) suspended(held map[netip.Addr]bool) bool {
	if !s.HASuspend {
		return false
	}
	addressed := false
	for _, k := range s.Keys {
		if k.Mark == 0 {
			if held[k.Address.Addr()] {
				return false
			}
			addressed = true
		}
	}
	return addressed
}
