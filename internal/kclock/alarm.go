package kclock

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Timerfd is an alarm with one deadline. One goroutine waits for it; others
// may set and close it meanwhile, one at a time.
type Timerfd struct {
	file *os.File
	conn syscall.RawConn

	try         func(fd uintptr) bool // bound once: a method value would be allocated for each call
	expirations uint64                // what the kernel counts; of Wait, and read by nobody

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
	a := &Timerfd{
		// A non-blocking descriptor makes os.File use the runtime's poller.
		file:     os.NewFile(uintptr(fd), "timerfd"),
		base:     base,
		baseMono: mono,
	}
	a.try = a.expired
	if a.conn, err = a.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("create timerfd: %w", err), a.file.Close())
	}
	return a, nil
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
	_ = a.conn.Control(func(fd uintptr) { // it fails only after Close
		_, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, fd, unix.TFD_TIMER_ABSTIME, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
		if errno != 0 {
			panic(fmt.Sprintf("kclock: set timerfd to %v: %v", at, errno)) // only a malformed argument can cause it
		}
	})
}

// Wait waits until the alarm goes off. It returns false after Close. An alarm
// that has gone off before Set replaced its deadline is not waited for again.
func (a *Timerfd) Wait() bool {
	return a.conn.Read(a.try) == nil // only Close makes this fail
}

// expired reads the timer, and says whether it has gone off; otherwise the poller
// waits. The descriptor never blocks, so the call is not announced to the
// scheduler, which would wake its monitor thread: for a master, whose alarm goes
// off a hundred times a second, that thread costs more than all the rest.
func (a *Timerfd) expired(fd uintptr) bool {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&a.expirations)), unsafe.Sizeof(a.expirations))
		if errno != unix.EINTR {
			return errno != unix.EAGAIN
		}
	}
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
