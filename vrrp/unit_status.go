package vrrp

import "net/netip"

// Status describes the unit as of the last Step. The shell adds what only it
// knows: the counters of each instance and the addresses in its LastAdvert.
func (u *Unit) Status() UnitStatus {
	first := u.machines[0]
	s := UnitStatus{
		Name:      u.spec.Name,
		Group:     u.spec.Group,
		State:     u.state,
		Since:     u.since,
		Reason:    u.reason,
		Wants:     u.wants,
		Tenure:    u.tenure,
		Priority:  first.priority,
		Primary:   first.source,
		Instances: make([]InstanceStatus, 0, len(u.machines)),
	}
	for _, m := range u.machines {
		s.Instances = append(s.Instances, m.status(u.state))
	}
	return s
}

func (m *machine) status(state State) InstanceStatus {
	s := InstanceStatus{
		Name:           m.spec.Name,
		Interface:      m.spec.Interface,
		Family:         m.spec.Family,
		VRID:           m.spec.VRID,
		State:          state,
		Priority:       m.priority,
		BasePriority:   m.spec.Priority,
		AdvertInterval: m.spec.AdvertInterval,
		Source:         m.source,
		Addresses:      make([]netip.Prefix, 0, len(m.spec.Addresses)+len(m.spec.Excluded)),
		LastAdvert:     m.last,
	}
	for _, a := range m.spec.Addresses {
		s.Addresses = append(s.Addresses, a.Prefix)
	}
	for _, a := range m.spec.Excluded {
		s.Addresses = append(s.Addresses, a.Prefix)
	}
	if state == Fault {
		s.Faults = m.faults()
	}
	return s
}
