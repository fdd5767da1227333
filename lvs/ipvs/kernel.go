package ipvs

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
	"github.com/hacluster/hacluster/lvs"
)

// Kernel is the table of one network namespace. It belongs to one goroutine.
type Kernel struct {
	socket socket
	family uint16
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
		return nil, fmt.Errorf("open IPVS: %w", errors.Join(err, s.Close()))
	}
	return &Kernel{socket: s, family: family}, nil
}

// Close closes the socket. The table stays.
func (k *Kernel) Close() error { return k.socket.Close() }

// Bounds of one send: the kernel works on all of it before it answers.
const (
	batchOps  = 256
	batchSize = 32 << 10
)

// batches sends n requests, which layOut lays out one by one. refused is called
// for each that the kernel refused.
func (k *Kernel) batches(ctx context.Context, n int, layOut func(e *encoder, i int), refused func(i int, err error)) error {
	e := &encoder{family: k.family}
	for from := 0; from < n; {
		e.Reset()
		to := from
		for to < n && to-from < batchOps && e.Size() < batchSize {
			layOut(e, to)
			to++
		}
		if err := k.socket.do(ctx, e, func(i int, err error) { refused(from+i, err) }); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// Write implements lvs.Kernel. The errors of refusals wrap the kernel's Errno.
func (k *Kernel) Write(ctx context.Context, ops []lvs.Op) (refused []lvs.Refusal, err error) {
	err = k.batches(ctx, len(ops), func(e *encoder, i int) { e.op(ops[i]) }, func(i int, err error) {
		refused = append(refused, lvs.Refusal{Op: ops[i], Err: explain(ops[i], err)})
	})
	if err != nil {
		return refused, fmt.Errorf("write virtual services: %w", err)
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
	if len(keys) == 0 {
		keys = []lvs.Key{{}}
	}
	var errs []error
	err := k.batches(ctx, len(keys), func(e *encoder, i int) {
		e.begin(cmdZero, 0)
		if keys[i] != (lvs.Key{}) {
			e.service(keys[i], nil)
		}
		e.End()
	}, func(i int, err error) {
		errs = append(errs, fmt.Errorf("%v: %w", keys[i], err))
	})
	if err := errors.Join(append(errs, err)...); err != nil {
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
