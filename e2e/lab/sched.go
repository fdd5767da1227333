package lab

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Realtime priorities, as chrt -r takes them.
const (
	daemonPriority = 1 // as the daemon's unit has it
	proberPriority = 2 // a watcher that waits for a daemon would measure itself
)

// scheduling is SCHED_RR of a priority, or with 0 the usual one.
func scheduling(priority uint32) *unix.SchedAttr {
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Priority: priority}
	if priority > 0 {
		attr.Policy = unix.SCHED_RR
	}
	return attr
}

// withPriority runs f on the calling thread, which must be locked, with a
// realtime priority: processes that f starts inherit it. A machine that
// refuses it gets f without.
func withPriority(priority uint32, f func() error) error {
	if unix.SchedSetAttr(0, scheduling(priority), 0) != nil {
		return f()
	}
	err := f()
	if back := unix.SchedSetAttr(0, scheduling(0), 0); back != nil {
		err = errors.Join(err, fmt.Errorf("leave realtime scheduling: %w", back))
	}
	return err
}
