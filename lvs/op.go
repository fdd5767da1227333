package lvs

import (
	"context"
	"fmt"
	"net/netip"
)

// Kernel is the load balancer's table. Its calls are made by one goroutine.
type Kernel interface {
	// Read returns the services with these keys that exist, in no order, or all
	// services if no key is named.
	Read(ctx context.Context, keys ...Key) ([]ServiceState, error)
	// ReadSync returns the synchronization daemons that run.
	ReadSync(ctx context.Context) ([]SyncDaemon, error)
	// Write carries the operations out in order. One that is refused does not keep
	// the others from being tried. The error is for the exchange itself: it is then
	// not known what was done.
	Write(ctx context.Context, ops []Op) ([]Refusal, error)
}

// Refusal is an operation that the kernel refused, and why.
type Refusal struct {
	Op  Op
	Err error
}

func (r Refusal) Error() string { return r.Op.String() + ": " + r.Err.Error() }

// Unwrap returns the kernel's error.
func (r Refusal) Unwrap() error { return r.Err }

// Op is one change of the table: AddService, SetService, DeleteService,
// AddServer, SetServer, DeleteServer, StartSync or StopSync.
type Op interface {
	fmt.Stringer
	service() Key // that changes; the zero Key for StartSync and StopSync
}

// AddService makes a service without servers. It is refused if there is one.
type AddService struct {
	Key
	Settings
}

// SetService gives a service that exists other settings.
type SetService struct {
	Key
	Settings
}

// DeleteService removes a service with its servers.
type DeleteService struct{ Key }

// AddServer adds a server to a service. It is refused if there is one with this
// address.
type AddServer struct {
	Key
	Server Server
}

// SetServer gives a server that exists other settings.
type SetServer struct {
	Key
	Server Server
}

// DeleteServer removes a server: packets of its connections are dropped.
type DeleteServer struct {
	Key
	Address netip.AddrPort
}

// StartSync starts a synchronization daemon. It is refused if one of the same
// role runs.
type StartSync struct{ Daemon SyncDaemon }

// StopSync stops a synchronization daemon.
type StopSync struct{ Role Role }

func (o AddService) service() Key    { return o.Key }
func (o SetService) service() Key    { return o.Key }
func (o DeleteService) service() Key { return o.Key }
func (o AddServer) service() Key     { return o.Key }
func (o SetServer) service() Key     { return o.Key }
func (o DeleteServer) service() Key  { return o.Key }
func (StartSync) service() Key       { return Key{} }
func (StopSync) service() Key        { return Key{} }

func (o AddService) String() string    { return fmt.Sprintf("add %v %s", o.Key, o.Scheduler) }
func (o SetService) String() string    { return fmt.Sprintf("set %v %s", o.Key, o.Scheduler) }
func (o DeleteService) String() string { return fmt.Sprintf("delete %v", o.Key) }
func (o AddServer) String() string     { return fmt.Sprintf("add %v server %v", o.Key, o.Server) }
func (o SetServer) String() string     { return fmt.Sprintf("set %v server %v", o.Key, o.Server) }
func (o DeleteServer) String() string  { return fmt.Sprintf("delete %v server %v", o.Key, o.Address) }
func (o StartSync) String() string     { return fmt.Sprintf("start sync daemon %v", o.Daemon) }
func (o StopSync) String() string      { return fmt.Sprintf("stop sync daemon %v", o.Role) }

func (s Server) String() string {
	method := s.Method.String()
	if s.Method == TUN && s.Tunnel.Type != IPIP {
		method += " " + s.Tunnel.Type.String()
	}
	return fmt.Sprintf("%v %s weight %d", s.Address, method, s.Weight)
}
