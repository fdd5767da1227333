package lvs

import (
	"maps"
	"net/netip"
	"slices"
)

// Diff returns the operations that make have into want, in the order in which
// they must be done: nothing for what is equal, and nothing for entries that are
// neither wanted nor owned. A key is in want and in have at most once.
func Diff(want []Service, have []ServiceState, owned Owned) []Op {
	type pair struct {
		want *Service
		have *ServiceState
	}
	pairs := make(map[Key]pair, max(len(want), len(have)))
	for i := range want {
		pairs[want[i].Key] = pair{want: &want[i]}
	}
	for i := range have {
		p := pairs[have[i].Key]
		p.have = &have[i]
		pairs[have[i].Key] = p
	}
	var ops []Op
	for _, k := range slices.SortedFunc(maps.Keys(pairs), Key.Compare) {
		ops = appendDiff(ops, pairs[k].want, pairs[k].have, owned)
	}
	return ops
}

// appendDiff is Diff for one service; want, have or both may be nil.
func appendDiff(ops []Op, want *Service, have *ServiceState, owned Owned) []Op {
	switch {
	case want == nil && have == nil:
		return ops
	case want == nil:
		return appendRemoval(ops, have, owned)
	case have == nil:
		ops = append(ops, AddService{want.Key, want.Settings})
		for _, s := range want.Servers {
			ops = append(ops, AddServer{want.Key, s})
		}
		return ops
	}
	if !sameSettings(want.Family(), want.Settings, have.Settings) {
		ops = append(ops, SetService{want.Key, want.Settings})
	}
	// New servers come before old ones go, so that the service is never empty.
	for _, s := range want.Servers {
		switch old := have.server(s.Address); {
		case old == nil:
			ops = append(ops, AddServer{want.Key, s})
		case !sameServer(s, old.Server):
			ops = append(ops, SetServer{want.Key, s})
		}
	}
	for i := range have.Servers {
		addr := have.Servers[i].Address
		if owned[Entry{Service: want.Key, Server: addr}] && !want.has(addr) {
			ops = append(ops, DeleteServer{want.Key, addr})
		}
	}
	return ops
}

// appendRemoval removes what is owned of a service. The service itself stays
// while it is somebody else's or has servers of somebody else.
func appendRemoval(ops []Op, have *ServiceState, owned Owned) []Op {
	whole := owned[Entry{Service: have.Key}]
	var deletes []Op
	for i := range have.Servers {
		if addr := have.Servers[i].Address; owned[Entry{Service: have.Key, Server: addr}] {
			deletes = append(deletes, DeleteServer{have.Key, addr})
		} else {
			whole = false
		}
	}
	if whole {
		return append(ops, DeleteService{have.Key})
	}
	return append(ops, deletes...)
}

// has reports whether a service has a server with this address. Services have
// few servers, so that looking at each costs less than an index.
func (s *Service) has(addr netip.AddrPort) bool {
	return slices.ContainsFunc(s.Servers, func(r Server) bool { return r.Address == addr })
}

func (s *ServiceState) server(addr netip.AddrPort) *ServerState {
	for i := range s.Servers {
		if s.Servers[i].Address == addr {
			return &s.Servers[i]
		}
	}
	return nil
}

// DiffSync is Diff for synchronization daemons. Those to stop are stopped before
// services change, and those to start are started after that: a daemon and
// servers of another family exclude each other.
func DiffSync(want, have []SyncDaemon, owned Owned) (stop, start []Op) {
	for _, h := range have {
		i := slices.IndexFunc(want, func(w SyncDaemon) bool { return w.Role == h.Role })
		if i >= 0 && !sameSync(want[i], h) || i < 0 && owned[Entry{Sync: h.Role}] {
			stop = append(stop, StopSync{h.Role})
		}
	}
	for _, w := range want {
		if !slices.ContainsFunc(have, func(h SyncDaemon) bool { return sameSync(w, h) }) {
			start = append(start, StartSync{w})
		}
	}
	return stop, start
}

// appendForeign adds what is in have but is neither wanted nor owned. Of a
// foreign service its servers are not listed.
func appendForeign(entries []Entry, want *Service, have *ServiceState, owned Owned) []Entry {
	if have == nil {
		return entries
	}
	if e := (Entry{Service: have.Key}); want == nil && !owned[e] {
		return append(entries, e)
	}
	for i := range have.Servers {
		e := Entry{Service: have.Key, Server: have.Servers[i].Address}
		if !owned[e] && (want == nil || !want.has(e.Server)) {
			entries = append(entries, e)
		}
	}
	return entries
}
