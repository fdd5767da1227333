package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/ipvs"
)

// changes is how many changes of one weight a round has.
const changes = 20

// ours measures lvs.Reconciler over lvs/ipvs, journal included.
func ours(ctx context.Context, n int, r *results) error {
	k, err := ipvs.Open(ctx)
	if err != nil {
		return err
	}
	defer k.Close()
	dir, err := os.MkdirTemp("/run", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	services := table(n)

	w := start(ctx, k, dir)
	begin := time.Now()
	if err := (lvs.Desired{Services: services}).Validate(); err != nil {
		return err
	}
	r.validate = append(r.validate, time.Since(begin))
	took, _, err := w.set(services)
	if err != nil {
		return err
	}
	r.program = append(r.program, took)
	kib, err := memory("/proc/self/status", "VmRSS:")
	if err != nil {
		return err
	}
	r.memory = append(r.memory, kib)
	for i := range changes {
		services = withWeight(services, i*(n/changes), uint32(2+i))
		took, ops, err := w.set(services)
		if err != nil {
			return err
		}
		r.change = append(r.change, took)
		r.changeOps = max(r.changeOps, ops)
	}
	if err := w.stop(); err != nil {
		return err
	}
	if err := check(ctx, k, services); err != nil {
		return fmt.Errorf("ours: %w", err)
	}

	begin = time.Now()
	w = start(ctx, k, dir)
	_, ops, err := w.set(services)
	if err != nil {
		return err
	}
	r.restart = append(r.restart, time.Since(begin))
	r.restartOps = max(r.restartOps, ops)
	return w.stop()
}

// worker is a reconciler that runs, and what it published last.
type worker struct {
	*lvs.Reconciler
	published chan lvs.Status
	writes    uint64
	cancel    func()
	ended     chan error
}

func start(ctx context.Context, k *ipvs.Kernel, dir string) *worker {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{published: make(chan lvs.Status, 16), cancel: cancel, ended: make(chan error, 1)}
	w.Reconciler = lvs.New(lvs.Options{
		Log: slog.New(slog.DiscardHandler), Kernel: k, RunDir: dir, ReadEvery: time.Hour,
		Publish: func(s lvs.Status) { w.published <- s },
	})
	go func() { w.ended <- w.Run(ctx) }()
	return w
}

// set takes the time until the kernel has what is wanted, and counts operations.
func (w *worker) set(services []lvs.Service) (took time.Duration, ops uint64, err error) {
	begin := time.Now()
	w.Set(lvs.Desired{Services: services})
	select {
	case s := <-w.published:
		took, ops = time.Since(begin), s.Writes-w.writes
		w.writes = s.Writes
		if len(s.Refused) > 0 {
			return 0, 0, s.Refused[0]
		}
		return took, ops, errors.Join(s.Err, s.Journal)
	case err := <-w.ended:
		return 0, 0, err
	case <-time.After(time.Minute):
		return 0, 0, errors.New("nothing published within a minute")
	}
}

func (w *worker) stop() error {
	w.cancel()
	if err := <-w.ended; !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
