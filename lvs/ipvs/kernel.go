package ipvs

import (
	"context"
	"errors"
	"fmt"
	"time"

	moby "github.com/moby/ipvs"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
	"github.com/hacluster/hacluster/lvs"
)

// Kernel is the table of one network namespace. It belongs to one goroutine.
type Kernel struct {
	socket *socket
	family uint16
	moby   *moby.Handle
}

// Open opens the table of the calling thread's network namespace, and loads IPVS
// if need be. It returns ErrMissing where there is none.
func Open(ctx context.Context) (*Kernel, error) {
	s, err := dial()
	if err != nil {
		return nil, fmt.Errorf("open IPVS: %w", err)
	}
	family, err := s.familyOrLoad(ctx)
	if err != nil {
		return nil, fmt.Errorf("open IPVS: %w", errors.Join(err, s.close()))
	}
	// The library resolves the family once for the life of the process, and never
	// again when that fails: so only now.
	handle, err := moby.New("")
	if err != nil {
		return nil, fmt.Errorf("open IPVS: %w", errors.Join(err, s.close()))
	}
	return &Kernel{socket: s, family: family, moby: handle}, nil
}

// Close closes the sockets. The table stays.
func (k *Kernel) Close() error {
	k.moby.Close()
	return k.socket.close()
}

// Bounds of one send: the kernel works on all of it before it answers.
const (
	batchOps  = 256
	batchSize = 32 << 10
)

// Write implements lvs.Kernel. The errors of refusals wrap the kernel's Errno.
func (k *Kernel) Write(ctx context.Context, ops []lvs.Op) (refused []lvs.Refusal, err error) {
	e := &encoder{family: k.family}
	for len(ops) > 0 {
		e.Reset()
		n := 0
		for n < len(ops) && n < batchOps && e.Size() < batchSize {
			e.op(ops[n])
			n++
		}
		err := k.socket.do(ctx, e, func(i int, err error) {
			refused = append(refused, lvs.Refusal{Op: ops[i], Err: explain(ops[i], err)})
		})
		if err != nil {
			return refused, fmt.Errorf("write virtual services: %w", err)
		}
		ops = ops[n:]
	}
	return refused, nil
}

// Read implements lvs.Kernel.
func (k *Kernel) Read(ctx context.Context, keys ...lvs.Key) ([]lvs.ServiceState, error) {
	states, err := k.services(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read virtual services: %w", err)
	}
	e := &encoder{family: k.family}
	for i := range states {
		s := &states[i]
		e.Reset()
		e.begin(cmdGetDest, unix.NLM_F_DUMP)
		e.service(s.Key, nil)
		e.End()
		err := k.socket.ask(ctx, e, func(m nlmsg.Message) error {
			b, err := nested(m, attrDest)
			if err != nil {
				return err
			}
			server, err := decodeServer(b, s.Family())
			s.Servers = append(s.Servers, server)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read servers of %v: %w", s.Key, err)
		}
	}
	return states, nil
}

// services reads services without their servers.
func (k *Kernel) services(ctx context.Context, keys []lvs.Key) (states []lvs.ServiceState, err error) {
	note := func(m nlmsg.Message) error {
		b, err := nested(m, attrService)
		if err != nil {
			return err
		}
		s, err := decodeService(b)
		states = append(states, s)
		return err
	}
	e := &encoder{family: k.family}
	if len(keys) == 0 {
		e.begin(cmdGetService, unix.NLM_F_DUMP)
		e.End()
		return states, k.socket.ask(ctx, e, note)
	}
	for _, key := range keys {
		e.Reset()
		e.begin(cmdGetService, 0)
		e.service(key, nil)
		e.End()
		if err := k.socket.ask(ctx, e, note); err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, err
		}
	}
	return states, nil
}

// ReadSync implements lvs.Kernel.
func (k *Kernel) ReadSync(ctx context.Context) (daemons []lvs.SyncDaemon, err error) {
	e := &encoder{family: k.family}
	e.begin(cmdGetDaemon, unix.NLM_F_DUMP)
	e.End()
	err = k.socket.ask(ctx, e, func(m nlmsg.Message) error {
		b, err := nested(m, attrDaemon)
		if err != nil {
			return err
		}
		d, err := decodeDaemon(b)
		daemons = append(daemons, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read sync daemons: %w", err)
	}
	return daemons, nil
}

// Zero sets the counters of these services and of their servers to zero, of all
// if no key is named. Connections that exist count on.
func (k *Kernel) Zero(ctx context.Context, keys ...lvs.Key) error {
	e := &encoder{family: k.family}
	if len(keys) == 0 {
		e.begin(cmdZero, 0)
		e.End()
	}
	for _, key := range keys {
		e.begin(cmdZero, 0)
		e.service(key, nil)
		e.End()
	}
	var refused []error
	err := k.socket.do(ctx, e, func(i int, err error) {
		refused = append(refused, fmt.Errorf("request %d: %w", i, err))
	})
	if err := errors.Join(append(refused, err)...); err != nil {
		return fmt.Errorf("zero counters: %w", err)
	}
	return nil
}

// Info is what the kernel says of itself.
type Info struct {
	Version         string // of IPVS, such as 1.2.1
	ConnectionTable int    // hash rows, fixed when the module is loaded
}

// Info asks the kernel.
func (k *Kernel) Info(ctx context.Context) (info Info, err error) {
	e := &encoder{family: k.family}
	e.begin(cmdGetInfo, 0)
	e.End()
	err = k.socket.ask(ctx, e, func(m nlmsg.Message) error {
		if len(m.Data) < 4 {
			return fmt.Errorf("answer of %d bytes", len(m.Data))
		}
		a := attributesOf(m.Data[4:])
		v := a.uint(infoVersion)
		info = Info{fmt.Sprintf("%d.%d.%d", v>>16&0xff, v>>8&0xff, v&0xff), int(a.uint(infoConnSize))}
		return nil
	})
	if err != nil {
		return Info{}, fmt.Errorf("read IPVS info: %w", err)
	}
	return info, nil
}

// Timeouts are how long connections without packets are remembered: whole
// seconds.
type Timeouts struct {
	TCP, TCPFin, UDP time.Duration
}

// Timeouts reads them.
func (k *Kernel) Timeouts() (Timeouts, error) {
	c, err := k.moby.GetConfig()
	if err != nil {
		return Timeouts{}, fmt.Errorf("read IPVS timeouts: %w", err)
	}
	return Timeouts{c.TimeoutTCP, c.TimeoutTCPFin, c.TimeoutUDP}, nil
}

// SetTimeouts changes those that are not zero.
func (k *Kernel) SetTimeouts(t Timeouts) error {
	err := k.moby.SetConfig(&moby.Config{TimeoutTCP: t.TCP, TimeoutTCPFin: t.TCPFin, TimeoutUDP: t.UDP})
	if err != nil {
		return fmt.Errorf("set IPVS timeouts: %w", err)
	}
	return nil
}
