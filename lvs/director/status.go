package director

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/lvs"
)

// ServiceStatus is how a service stands.
type ServiceStatus struct {
	Name      string
	Keys      []lvs.Key
	Scheduler string
	// Quorum is whether there is quorum, Since when it was gained or lost, and
	// Reason what that rests on now.
	Quorum bool
	Since  time.Time
	Reason string
	// Weight is that of all servers that are up, Gain what it must reach for quorum
	// to be gained, and Keep for it not to be lost.
	Weight, Gain, Keep uint64
	Sorry              netip.AddrPort // the sorry server, while it stands in
	Suspended          bool           // not checked (ha_suspend)
	Servers            []ServerStatus
}

// ServerStatus is how a real server stands.
type ServerStatus struct {
	lvs.Server        // its Weight is the one that it has when it is used
	Configured uint32 // its weight by the configuration
	Up         bool
	Known      bool // checks decided it; false: some of them are not made yet
	Since      time.Time
	Reason     string
	// Connections are those of all keys of the service: see AddConnections.
	Connections lvs.Connections
}

// AddConnections notes in services what connections their servers have by states.
func AddConnections(services []ServiceStatus, states []lvs.ServiceState) {
	have := make(map[lvs.Key]*lvs.ServiceState, len(states))
	for i := range states {
		have[states[i].Key] = &states[i]
	}
	for _, s := range services {
		for _, k := range s.Keys {
			if state := have[k]; state != nil {
				s.add(state)
			}
		}
	}
}

func (s ServiceStatus) add(state *lvs.ServiceState) {
	at := make(map[netip.AddrPort]lvs.Connections, len(state.Servers))
	for _, r := range state.Servers {
		at[r.Address] = r.Connections
	}
	for i := range s.Servers {
		have, sum := at[place(s.Servers[i].Server, state.Key)], &s.Servers[i].Connections
		sum.Active += have.Active
		sum.Inactive += have.Inactive
		sum.Persistent += have.Persistent
	}
}

// status is how all services stand.
func (c *core) status() []ServiceStatus {
	all := make([]ServiceStatus, len(c.pools))
	for i, p := range c.pools {
		quorum, hysteresis := p.spec.quorum(), uint64(p.spec.Hysteresis)
		s := ServiceStatus{
			Name: p.spec.Name, Keys: p.spec.Keys, Scheduler: p.spec.Scheduler,
			Quorum: p.quorum, Since: p.since, Reason: p.reason(),
			Weight: p.weight(), Gain: quorum + hysteresis, Keep: quorum - hysteresis,
			Suspended: p.spec.suspended(c.held),
		}
		if p.spec.Sorry != nil && !p.quorum {
			s.Sorry = p.spec.Sorry.Address
		}
		for _, r := range p.servers {
			server := ServerStatus{Server: r.spec.Server, Configured: r.spec.Weight, Up: r.up, Known: r.known(), Since: r.since, Reason: r.reason()}
			server.Weight = r.weight
			s.Servers = append(s.Servers, server)
		}
		all[i] = s
	}
	return all
}
