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
	// Counters are those of all keys: see AddStates.
	Counters lvs.Counters
}

// ServerStatus is how a real server stands.
type ServerStatus struct {
	lvs.Server        // its Weight is the one that it has when it is used
	Configured uint32 // its weight by the configuration
	Up         bool   // by the checks of this node
	Kept       bool   // it is down by them, and used because of what other directors see
	Told       bool   // that it is up or down was told
	Known      bool   // checks decided it; false: some of them are not made yet
	Since      time.Time
	Reason     string
	// Connections and Counters are those of all keys of the service: see AddStates.
	Connections lvs.Connections
	Counters    lvs.Counters
}

// AddStates notes in services what they and their servers have and have had, by the
// kernel's states.
func AddStates(services []ServiceStatus, states []lvs.ServiceState) {
	have := make(map[lvs.Key]*lvs.ServiceState, len(states))
	for i := range states {
		have[states[i].Key] = &states[i]
	}
	for i := range services {
		for _, k := range services[i].Keys {
			if state := have[k]; state != nil {
				services[i].add(state)
			}
		}
	}
}

func (s *ServiceStatus) add(state *lvs.ServiceState) {
	s.Counters.Add(state.Counters)
	at := make(map[netip.AddrPort]*lvs.ServerState, len(state.Servers))
	for i := range state.Servers {
		at[state.Servers[i].Address] = &state.Servers[i]
	}
	for i := range s.Servers {
		if have := at[place(s.Servers[i].Server, state.Key)]; have != nil {
			s.Servers[i].Connections.Add(have.Connections)
			s.Servers[i].Counters.Add(have.Counters)
		}
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
			server := ServerStatus{Server: r.spec.Server, Configured: r.spec.Weight, Up: r.up && !r.kept, Kept: r.kept, Told: !r.untold || r.toldDown, Known: r.known(), Since: r.since, Reason: r.reason()}
			server.Weight = r.weight
			if r.kept {
				server.Since = r.downSince()
			}
			s.Servers = append(s.Servers, server)
		}
		all[i] = s
	}
	return all
}
