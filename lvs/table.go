package lvs

import "slices"

// table is what the reconciler knows of the kernel's.
type table map[Key]*ServiceState

func tableOf(states []ServiceState) table {
	t := make(table, len(states))
	for i := range states {
		t[states[i].Key] = &states[i]
	}
	return t
}

// update takes over what was read of the services keys: those that are missing
// from states do not exist.
func (t table) update(keys []Key, states []ServiceState) {
	for _, k := range keys {
		delete(t, k)
	}
	for i := range states {
		t[states[i].Key] = &states[i]
	}
}

// apply does what the kernel did. An operation on something that is not there
// changes nothing.
func (t table) apply(op Op) {
	k := op.service()
	s := t[k]
	switch op := op.(type) {
	case AddService:
		t[k] = &ServiceState{Key: k, Settings: op.Settings}
	case DeleteService:
		delete(t, k)
	case SetService:
		if s != nil {
			s.Settings = op.Settings
		}
	case AddServer:
		if s != nil {
			s.Servers = append(s.Servers, ServerState{Server: op.Server})
		}
	case SetServer:
		if s == nil {
			return
		}
		if old := s.server(op.Server.Address); old != nil {
			old.Server = op.Server
		}
	case DeleteServer:
		if s != nil {
			s.Servers = slices.DeleteFunc(s.Servers, func(r ServerState) bool { return r.Address == op.Address })
		}
	default:
		panic("lvs: operation on no service: " + op.String())
	}
}
