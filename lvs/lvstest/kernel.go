// Package lvstest has an IPVS table in memory, which refuses what the kernel
// refuses, counts, and fails when told to.
package lvstest

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/lvs"
)

// Kernel is an lvs.Kernel in memory. The zero value is an empty table. Its
// methods may be called by several goroutines.
type Kernel struct {
	mu       sync.Mutex
	services map[lvs.Key]*lvs.ServiceState
	sync     []lvs.SyncDaemon
	ops      []lvs.Op
	reads    int
	refuse   func(lvs.Op) error
	exchange error
}

// Read implements lvs.Kernel.
func (k *Kernel) Read(_ context.Context, keys ...lvs.Key) ([]lvs.ServiceState, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	if k.exchange != nil {
		return nil, k.exchange
	}
	if len(keys) == 0 {
		for key := range k.services {
			keys = append(keys, key)
		}
	}
	var states []lvs.ServiceState
	for _, key := range keys {
		if s := k.services[key]; s != nil {
			state := *s
			state.Servers = slices.Clone(s.Servers)
			states = append(states, state)
		}
	}
	return states, nil
}

// ReadSync implements lvs.Kernel.
func (k *Kernel) ReadSync(context.Context) ([]lvs.SyncDaemon, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.sync), k.exchange
}

// Write implements lvs.Kernel.
func (k *Kernel) Write(_ context.Context, ops []lvs.Op) ([]lvs.Refusal, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.exchange != nil {
		return nil, k.exchange
	}
	var refused []lvs.Refusal
	for _, op := range ops {
		k.ops = append(k.ops, op)
		var err error
		if k.refuse != nil {
			err = k.refuse(op)
		}
		if err == nil {
			err = k.do(op)
		}
		if err != nil {
			refused = append(refused, lvs.Refusal{Op: op, Err: err})
		}
	}
	return refused, nil
}

// Do changes the table as another program would: it is not counted.
func (k *Kernel) Do(ops ...lvs.Op) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, op := range ops {
		if err := k.do(op); err != nil {
			return lvs.Refusal{Op: op, Err: err}
		}
	}
	return nil
}

// Connect gives a server connections.
func (k *Kernel) Connect(service lvs.Key, server netip.AddrPort, c lvs.Connections) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := find(k.services[service], server); s != nil {
		s.Connections = c
	}
}

// Refuse has f asked before each operation of Write; nil: nobody.
func (k *Kernel) Refuse(f func(lvs.Op) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = f
}

// Break has all calls fail with err, until it is nil.
func (k *Kernel) Break(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.exchange = err
}

// Ops returns what Write was asked to do since the last call, refused or not.
func (k *Kernel) Ops() []lvs.Op {
	k.mu.Lock()
	defer k.mu.Unlock()
	ops := k.ops
	k.ops = nil
	return ops
}

// Reads is how often Read was called.
func (k *Kernel) Reads() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reads
}

// do is what the kernel does, with its error numbers.
func (k *Kernel) do(op lvs.Op) error {
	switch op := op.(type) {
	case lvs.AddService:
		if k.services[op.Key] != nil {
			return unix.EEXIST
		}
		if k.services == nil {
			k.services = make(map[lvs.Key]*lvs.ServiceState)
		}
		k.services[op.Key] = &lvs.ServiceState{Key: op.Key, Settings: op.Settings}
	case lvs.SetService:
		s := k.services[op.Key]
		if s == nil {
			return unix.ESRCH
		}
		s.Settings = op.Settings
	case lvs.DeleteService:
		if k.services[op.Key] == nil {
			return unix.ESRCH
		}
		delete(k.services, op.Key)
	case lvs.AddServer:
		return k.addServer(op)
	case lvs.SetServer:
		s := find(k.services[op.Key], op.Server.Address)
		if s == nil {
			return k.missing(op.Key)
		}
		s.Server = op.Server
	case lvs.DeleteServer:
		if find(k.services[op.Key], op.Address) == nil {
			return k.missing(op.Key)
		}
		s := k.services[op.Key]
		s.Servers = slices.DeleteFunc(s.Servers, func(r lvs.ServerState) bool { return r.Address == op.Address })
	case lvs.StartSync:
		if slices.ContainsFunc(k.sync, func(d lvs.SyncDaemon) bool { return d.Role == op.Daemon.Role }) {
			return unix.EEXIST
		}
		if k.mixed() {
			return unix.EINVAL
		}
		k.sync = append(k.sync, op.Daemon)
	case lvs.StopSync:
		n := len(k.sync)
		k.sync = slices.DeleteFunc(k.sync, func(d lvs.SyncDaemon) bool { return d.Role == op.Role })
		if len(k.sync) == n {
			return unix.ESRCH
		}
	default:
		panic("lvstest: unknown operation " + op.String())
	}
	return nil
}

func (k *Kernel) addServer(op lvs.AddServer) error {
	s := k.services[op.Key]
	switch {
	case s == nil:
		return unix.ESRCH
	case find(s, op.Server.Address) != nil:
		return unix.EEXIST
	case op.Server.Weight > lvs.MaxWeight || op.Server.LowerThreshold > op.Server.UpperThreshold:
		return unix.ERANGE
	case otherFamily(op.Key, op.Server.Address) && (len(k.sync) > 0 || op.Server.Method != lvs.TUN):
		return unix.EINVAL
	}
	// The kernel puts new servers first.
	s.Servers = slices.Insert(s.Servers, 0, lvs.ServerState{Server: op.Server})
	return nil
}

func (k *Kernel) missing(service lvs.Key) error {
	if k.services[service] == nil {
		return unix.ESRCH
	}
	return unix.ENOENT
}

func (k *Kernel) mixed() bool {
	for key, s := range k.services {
		if slices.ContainsFunc(s.Servers, func(r lvs.ServerState) bool { return otherFamily(key, r.Address) }) {
			return true
		}
	}
	return false
}

func otherFamily(service lvs.Key, server netip.AddrPort) bool {
	return (service.Family() == lvs.IPv4) != server.Addr().Is4()
}

func find(s *lvs.ServiceState, server netip.AddrPort) *lvs.ServerState {
	if s == nil {
		return nil
	}
	for i := range s.Servers {
		if s.Servers[i].Address == server {
			return &s.Servers[i]
		}
	}
	return nil
}
