package run

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// startNormal starts a process that is scheduled normally, with nice value 0 at
// most, whatever the daemon's own scheduling is.
//
// Only the thread that forks can have that done without a race, by the flag
// SCHED_RESET_ON_FORK. The flag would pass to the threads that the runtime
// starts from that one, so the thread ends when the process is started.
func startNormal(program string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	sched, err := unix.SchedGetAttr(0, 0)
	if err != nil || !inherited(sched) {
		return os.StartProcess(program, argv, attr)
	}
	type started struct {
		p   *os.Process
		err error
	}
	result := make(chan started, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		p, err := (*os.Process)(nil), resetOnFork()
		if err == nil {
			p, err = os.StartProcess(program, argv, attr)
		}
		result <- started{p, err}
	}()
	s := <-result
	return s.p, s.err
}

// inherited reports whether a child would get more than normal scheduling.
func inherited(s *unix.SchedAttr) bool {
	if s.Flags&unix.SCHED_FLAG_RESET_ON_FORK != 0 {
		return false
	}
	return s.Policy == unix.SCHED_FIFO || s.Policy == unix.SCHED_RR || s.Policy == unix.SCHED_DEADLINE || s.Nice < 0
}

// resetOnFork sets the flag for the calling thread.
func resetOnFork() error {
	s, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return os.NewSyscallError("sched_getattr", err)
	}
	s.Flags |= unix.SCHED_FLAG_RESET_ON_FORK
	return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(0, s, 0))
}
