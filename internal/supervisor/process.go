package supervisor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one life of the worker, as its supervisor sees it.
type process struct {
	pid     int
	fd      int // our end of the connection
	started time.Time
	ready   bool // its start is over

	fed     time.Time // when it was last heard; zero: it has not fed yet
	resting bool      // its engine has ended on purpose
	doubted bool      // it was silent while the supervisor did not run either

	waiting  bool   // it is an heir, and waits
	state    []byte // that it has handed over so far
	bequeath bool   // it has handed all of it over

	will map[string]Clause
	open bool // the connection has not ended

	status syscall.WaitStatus // valid when reaped
	reaped bool
}

// start starts a worker, which shares the pledge, if there is one.
func start(o *Options, pledge *os.File, now time.Time, env ...string) (*process, error) {
	fd, child, err := pair()
	if err != nil {
		return nil, err
	}
	defer child.Close()
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr, child}
	env = append(env, fmt.Sprintf("%s=%d", workerEnv, workerFD))
	if pledge != nil {
		files = append(files, pledge)
		env = append(env, fmt.Sprintf("%s=%d", pledgeEnv, pledgeFD))
	}
	p, err := os.StartProcess(o.Program, o.Args, &os.ProcAttr{
		Env:   slices.Concat(environment(), env),
		Files: files,
		// A group of its own: Ctrl-C on a terminal comes through the supervisor,
		// once, and not from the terminal as well.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("start worker: %w", err)
	}
	w := &process{pid: p.Pid, fd: fd, started: now, open: true, will: make(map[string]Clause)}
	_ = p.Release() // it is waited for by its number
	return w, nil
}

// environment is that of this process, without what is the supervisor's.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == "NOTIFY_SOCKET" || name == "WATCHDOG_USEC" || name == "WATCHDOG_PID" || name == workerEnv || name == heirEnv || name == afterEnv || name == adoptEnv || name == pledgeEnv
	})
}

// silence is how long the worker may be silent now; 0: as long as it likes.
func (p *process) silence(idle time.Duration) time.Duration {
	if p.fed.IsZero() || p.resting {
		return 0
	}
	limit := idle
	for _, c := range p.will {
		if c.Silence > 0 {
			limit = min(limit, c.Silence)
		}
	}
	return limit
}

// kill ends the worker and waits for its end, for a while: one that hangs in
// the kernel dies later. It says whether it is dead.
func (p *process) kill(within time.Duration) bool {
	if p.reaped {
		return true
	}
	// Never a number that was reaped: it may be another's by now.
	_ = unix.Kill(p.pid, unix.SIGKILL)
	for end := time.Now().Add(within); ; time.Sleep(500 * time.Microsecond) {
		if p.reap() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// reap takes the worker's exit status, if it has ended.
func (p *process) reap() bool {
	if p.reaped {
		return true
	}
	var status unix.WaitStatus
	pid, err := unix.Wait4(p.pid, &status, unix.WNOHANG, nil)
	if pid == p.pid || errors.Is(err, unix.ECHILD) {
		p.status, p.reaped = syscall.WaitStatus(status), true
	}
	return p.reaped
}

// signal sends a signal to a worker that was not reaped.
func (p *process) signal(s syscall.Signal) {
	if !p.reaped {
		_ = unix.Kill(p.pid, s) // it may have ended a moment ago
	}
}

// ended says how the worker ended, for people.
func (p *process) ended() string {
	switch {
	case p.status.Signaled() && p.status.CoreDump():
		return fmt.Sprintf("signal %s, core dumped", p.status.Signal())
	case p.status.Signaled():
		return fmt.Sprintf("signal %s", p.status.Signal())
	default:
		return fmt.Sprintf("exit status %d", p.status.ExitStatus())
	}
}
