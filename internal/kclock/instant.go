package kclock

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Instant is a reading of CLOCK_MONOTONIC_RAW in nanoseconds. Its zero point
// means nothing, and instants of two machines cannot be compared. No time
// daemon slews this clock, so its rate is the oscillator's; it stands still
// while the machine is suspended.
type Instant int64

// Now reads the clock.
func Now() Instant { return Instant(mustRead(unix.CLOCK_MONOTONIC_RAW)) }

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns how much later i is than j.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Suspended is for how long the machine has been suspended since it booted:
// what CLOCK_BOOTTIME counts and CLOCK_MONOTONIC does not. Two readings that
// differ say that the machine slept in between. The two clocks are read one
// after the other, so a difference below a few milliseconds means nothing.
func Suspended() time.Duration {
	mono := mustRead(unix.CLOCK_MONOTONIC)
	return Boottime() - mono
}

// Boottime reads CLOCK_BOOTTIME: the time since the machine booted, with the time
// that it was suspended. In a time namespace it is shifted.
func Boottime() time.Duration { return mustRead(unix.CLOCK_BOOTTIME) }

// read makes the system call without announcing it to the scheduler, which would
// wake its monitor thread: that costs many times the call.
func read(clock int32) (time.Duration, error) {
	var ts unix.Timespec
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("read clock %d: %w", clock, errno)
	}
	return time.Duration(ts.Nano()), nil
}

// mustRead reads a clock that every kernel has that can run this program.
func mustRead(clock int32) time.Duration {
	d, err := read(clock)
	if err != nil {
		panic("kclock: " + err.Error())
	}
	return d
}
