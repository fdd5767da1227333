package kclock

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Timerfd is an alarm with one deadline. One goroutine waits for it; others
// may set and close it meanwhile, one at a time.
type Timerfd struct {
	file *os.File

	// The same moment on both clocks: what turns a time.Time, whose reading of
	// CLOCK_MONOTONIC is private, into an absolute deadline.
	base     time.Time
	baseMono time.Duration
}

// NewTimerfd returns an alarm that is not set.
func NewTimerfd() (*Timerfd, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timerfd: %w", err)
	}
	base, mono, err := readBoth()
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &Timerfd{
		// A non-blocking descriptor makes os.File use the runtime's poller.
		file:     os.NewFile(uintptr(fd), "timerfd"),
		base:     base,
		baseMono: mono,
	}, nil
}

// readBoth reads both clocks at the same moment, as well as that can be done:
// between two readings of one that are as near to each other as possible.
func readBoth() (time.Time, time.Duration, error) {
	var best struct {
		at   time.Time
		mono time.Duration
		gap  time.Duration
	}
	for i := range 16 {
		before := time.Now()
		mono, err := read(unix.CLOCK_MONOTONIC)
		if err != nil {
			return time.Time{}, 0, err
		}
		gap := time.Since(before)
		if i == 0 || gap < best.gap {
			best.at, best.mono, best.gap = before.Add(gap/2), mono, gap
		}
	}
	return best.at, best.mono, nil
}

// Set replaces the deadline; the zero time takes it away. A deadline that has
// passed goes off at once.
func (a *Timerfd) Set(at time.Time) {
	var spec unix.ItimerSpec
	if !at.IsZero() {
		// A value of zero would disarm the timer.
		mono := max(a.baseMono+at.Sub(a.base), 1)
		spec.Value = unix.NsecToTimespec(int64(mono))
	}
	conn, err := a.file.SyscallConn()
	if err != nil {
		return // closed
	}
	_ = conn.Control(func(fd uintptr) {
		if err := unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
			panic(fmt.Sprintf("kclock: set timerfd to %v: %v", at, err)) // only a malformed argument can cause it
		}
	})
}

// Wait waits until the alarm goes off. It returns false after Close. An alarm
// that has gone off before Set replaced its deadline is not waited for again.
func (a *Timerfd) Wait() bool {
	var expirations [8]byte
	_, err := a.file.Read(expirations[:])
	return err == nil // only Close makes this read fail
}

// Close ends the alarm, and Wait with it. It may be called more than once.
func (a *Timerfd) Close() error {
	if err := a.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Timer is the same alarm upon a time.Timer: less steady, but it follows the
// virtual time of a testing/synctest bubble.
type Timer struct {
	timer  *time.Timer
	closed chan struct{}
	once   sync.Once
}

// NewTimer returns an alarm that is not set.
func NewTimer() *Timer {
	a := &Timer{timer: time.NewTimer(time.Hour), closed: make(chan struct{})}
	a.timer.Stop()
	return a
}

// Set replaces the deadline; the zero time takes it away.
func (a *Timer) Set(at time.Time) {
	if at.IsZero() {
		a.timer.Stop()
		return
	}
	a.timer.Reset(time.Until(at))
}

// Wait waits until the alarm goes off. It returns false after Close.
func (a *Timer) Wait() bool {
	select {
	case <-a.timer.C:
		return true
	case <-a.closed:
		return false
	}
}

// Close ends the alarm, and Wait with it. It may be called more than once.
func (a *Timer) Close() error {
	a.once.Do(func() {
		a.timer.Stop()
		close(a.closed)
	})
	return nil
}
