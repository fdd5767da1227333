package store

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// disk stands between Raft and its log, and bounds how long a write may take. A
// leader whose disk hangs keeps sending heartbeats, so nobody takes over while
// nothing can be committed; an error makes it step down. (hashicorp/raft#503.)
//
// One goroutine owns the writes. After a write that did not end in time, no other
// one is ever issued: the late one may still succeed, and a write behind it would
// then build on a log that Raft believes to be another. Raft starts on a new disk,
// with what is then found in the files, when the late write has ended.
//
// disk implements raft.LogStore and raft.StableStore.
type disk struct {
	raft.LogStore
	stable raft.StableStore
	limit  time.Duration
	log    *slog.Logger

	writes chan write
	closed chan struct{} // by Close
	idle   chan struct{} // closed when no write is under way and none will be

	refused atomic.Pointer[error] // of the last write, when the disk refused it: no room, say

	failOnce sync.Once
	failed   chan struct{} // closed when a write failed for good
	err      error         // why; set before failed is closed
}

type write struct {
	do   func() error
	done chan error // buffered: a late answer must not hold the writer
}

func newDisk(logs raft.LogStore, stable raft.StableStore, limit time.Duration, log *slog.Logger) *disk {
	d := &disk{
		LogStore: logs, stable: stable, limit: limit, log: log,
		writes: make(chan write), closed: make(chan struct{}), idle: make(chan struct{}), failed: make(chan struct{}),
	}
	go d.run()
	return d
}

// run carries out the writes until Close or a failure.
func (d *disk) run() {
	defer close(d.idle)
	for {
		select {
		case w := <-d.writes:
			select {
			case <-d.failed: // both were ready
				return
			default:
				w.done <- d.note(w.do())
			}
		case <-d.failed:
			return
		case <-d.closed:
			return
		}
	}
}

// note remembers why the disk refused the last write. Raft tries again by itself,
// so this ends nothing.
func (d *disk) note(err error) error {
	if err == nil {
		d.refused.Store(nil)
	} else {
		d.refused.Store(&err)
	}
	return err
}

// problem is why the disk takes no writes, or nil.
func (d *disk) problem() error {
	select {
	case <-d.failed:
		return d.err
	default:
	}
	if err := d.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// stallTicks is in how many parts the limit is waited. A process that was stopped
// for a while, or got no processor, finds one tick after it and not all of them: a
// pause is not taken for a disk that hangs.
const stallTicks = 10

// write hands over one write and waits for it, at most for the limit.
func (d *disk) write(what string, do func() error) error {
	select {
	case <-d.failed:
		return d.err
	default:
	}
	ticker := time.NewTicker(d.limit / stallTicks)
	defer ticker.Stop()
	w := write{do: do, done: make(chan error, 1)}
	waiting, closed := d.writes, d.closed // nil when the write is under way
	for ticks := 0; ; {
		select {
		case waiting <- w:
			waiting, closed = nil, nil
		case err := <-w.done:
			return err
		case <-d.failed:
			return d.err
		case <-closed:
			return ErrClosed
		case <-ticker.C:
			if ticks++; ticks < stallTicks {
				continue
			}
			select {
			case err := <-w.done:
				return err
			default:
				return d.fail(what)
			}
		}
	}
}

// fail ends the store because a write took too long.
func (d *disk) fail(what string) error {
	return d.failWith(fmt.Errorf("%s took more than %v: %w", what, d.limit, ErrDiskStalled))
}

func (d *disk) failWith(err error) error {
	d.failOnce.Do(func() {
		d.err = err
		d.log.Error("disk failed, store stops until it answers", "err", err)
		close(d.failed)
	})
	return d.err
}

// Close ends the goroutine that owns the writes.
func (d *disk) Close() { close(d.closed) }

// StoreLog implements raft.LogStore.
func (d *disk) StoreLog(entry *raft.Log) error {
	return d.write("write to the log", func() error { return d.LogStore.StoreLog(entry) })
}

// StoreLogs implements raft.LogStore.
func (d *disk) StoreLogs(entries []*raft.Log) error {
	return d.write("write to the log", func() error { return d.LogStore.StoreLogs(entries) })
}

// DeleteRange implements raft.LogStore.
func (d *disk) DeleteRange(first, last uint64) error {
	return d.write("shortening of the log", func() error { return d.LogStore.DeleteRange(first, last) })
}

// Set implements raft.StableStore.
func (d *disk) Set(key, value []byte) error {
	return d.must(d.write("write of the vote", func() error { return d.stable.Set(key, value) }))
}

// SetUint64 implements raft.StableStore.
func (d *disk) SetUint64(key []byte, value uint64) error {
	return d.must(d.write("write of the term", func() error { return d.stable.SetUint64(key, value) }))
}

// must ends the calling goroutine, one of Raft's, when its term or vote could not
// be written. Raft would panic, because it must not speak in a term that it may
// forget; but the virtual addresses of this process need no Raft. The store sees
// that the disk failed and shuts the rest of Raft down.
func (d *disk) must(err error) error {
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	_ = d.failWith(err)
	runtime.Goexit()
	return err
}

// Get implements raft.StableStore.
func (d *disk) Get(key []byte) ([]byte, error) { return d.stable.Get(key) }

// GetUint64 implements raft.StableStore.
func (d *disk) GetUint64(key []byte) (uint64, error) { return d.stable.GetUint64(key) }
