package kclock

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Timerfd is an alarm with one deadline. Set belongs to one goroutine; the
// alarm starts one of its own, which waits for the descriptor and ends with
// Close.
type Timerfd struct {
	file  *os.File
	fired chan struct{}
	done  chan struct{}

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
		fired:    make(chan struct{}, 1),
		done:     make(chan struct{}),
		base:     base,
		baseMono: mono,
	}
	go a.wait()
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

// wait passes expirations on until Close. It owns nothing but the reads.
func (a *Timerfd) wait() {
	defer close(a.done)
	var expirations [8]byte
	for {
		if _, err := a.file.Read(expirations[:]); err != nil {
			return // closed: nothing else makes this read end
		}
		select {
		case a.fired <- struct{}{}:
		default: // one is waiting already
		}
	}
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

// C is where the alarm goes off. One that has gone off already may still be
// received after Set.
func (a *Timerfd) C() <-chan struct{} { return a.fired }

// Close ends the alarm; C never becomes ready again.
func (a *Timerfd) Close() error {
	err := a.file.Close()
	<-a.done
	return err
}

// Timer is the same alarm upon a time.Timer: less steady, but it follows the
// virtual time of a testing/synctest bubble.
type Timer struct {
	fired chan struct{}
	timer *time.Timer
}

// NewTimer returns an alarm that is not set.
func NewTimer() *Timer { return &Timer{fired: make(chan struct{}, 1)} }

// Set replaces the deadline; the zero time takes it away.
func (a *Timer) Set(at time.Time) {
	if a.timer != nil {
		a.timer.Stop()
	}
	if at.IsZero() {
		return
	}
	if a.timer == nil {
		a.timer = time.AfterFunc(time.Until(at), a.fire)
		return
	}
	a.timer.Reset(time.Until(at))
}

func (a *Timer) fire() {
	select {
	case a.fired <- struct{}{}:
	default:
	}
}

// C is where the alarm goes off.
func (a *Timer) C() <-chan struct{} { return a.fired }

// Close stops the timer.
func (a *Timer) Close() error {
	if a.timer != nil {
		a.timer.Stop()
	}
	return nil
}
