package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Run runs the program and waits for its end, at the longest until Timeout, or
// the end of ctx, and 3 s. Children that the program leaves behind live on, and
// may write to what was its output, which is then thrown away.
func Run(ctx context.Context, c Command) Result {
	start := time.Now()
	r := launch(ctx, c)
	r.Took = time.Since(start)
	return r
}

func launch(ctx context.Context, c Command) Result {
	if ctx.Err() != nil {
		return Result{Outcome: Cancelled, Err: context.Cause(ctx)}
	}
	program, err := c.program()
	if err != nil {
		return Result{Outcome: LaunchFailed, Err: err}
	}
	read, write, err := os.Pipe()
	if err != nil {
		return Result{Outcome: LaunchFailed, Err: err}
	}
	in, err := c.input()
	if err != nil {
		return Result{Outcome: LaunchFailed, Err: errors.Join(err, read.Close(), write.Close())}
	}
	out, err := collect(read)
	if err != nil {
		return Result{Outcome: LaunchFailed, Err: errors.Join(err, in.Close(), read.Close(), write.Close())}
	}
	p, err := start(program, c, in, write)
	in.Close()
	write.Close() // the goroutine of collect ends, if no program has it
	if err != nil {
		return Result{Outcome: LaunchFailed, Err: err}
	}
	r := await(ctx, p, c.Timeout)
	r.Output, r.Truncated = out.text()
	return r
}

// program finds the program and checks that it may be run.
func (c Command) program() (string, error) {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return "", errors.New("no program given")
	}
	path, err := lookPath(c.Argv[0])
	if err != nil {
		return "", err
	}
	if c.Secure && c.runsAsRoot() {
		if err := CheckSecure(path); err != nil {
			return "", err
		}
	}
	return path, nil
}

func (c Command) runsAsRoot() bool {
	if c.User != nil {
		return c.User.UID == 0
	}
	return os.Geteuid() == 0
}

// lookPath finds a program in Path, not in the daemon's own PATH.
func lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for dir := range strings.SplitSeq(Path, ":") {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
}

// start starts the program, one without a `#!` line by a shell as keepalived
// does.
func start(program string, c Command, in, out *os.File) (*os.Process, error) {
	attr := &os.ProcAttr{
		Dir:   "/",
		Env:   c.environment(),
		Files: []*os.File{in, out, out},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Credential: c.User.credential()},
	}
	p, err := startNormal(program, c.Argv, attr)
	if errors.Is(err, syscall.ENOEXEC) {
		shell := append([]string{"/bin/sh", program}, c.Argv[1:]...)
		p, err = startNormal(shell[0], shell, attr)
	}
	return p, err
}

// input opens what the program reads: a file without a name for Input, which may
// hold secrets and must not wait for a program that does not read.
func (c Command) input() (*os.File, error) {
	if c.Input == nil {
		return os.Open(os.DevNull)
	}
	fd, err := unix.MemfdCreate("input", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "input")
	_, err = f.Write(c.Input)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (c Command) environment() []string {
	env := []string{"PATH=" + Path, "LANG=C.UTF-8"}
	if c.User != nil {
		env = append(env, "HOME="+c.User.Home, "USER="+c.User.Name, "LOGNAME="+c.User.Name)
	} else {
		env = append(env, "HOME=/")
	}
	return append(env, c.Env...)
}

// await waits for the end of the program and ends it when its time is up.
func await(ctx context.Context, p *os.Process, timeout time.Duration) Result {
	type end struct {
		state *os.ProcessState
		err   error
	}
	ended := make(chan end, 1)
	// Reaps the program, also one that ends after Run has given up on it.
	go func() {
		state, err := p.Wait()
		ended <- end{state, err}
	}()

	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	r := Result{Outcome: Exited}
	select {
	case e := <-ended:
		return r.with(e.state, e.err)
	case <-expired:
		r.Outcome = TimedOut
	case <-ctx.Done():
		r.Outcome = Cancelled
		r.Err = context.Cause(ctx)
	}
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, killDelay}, {syscall.SIGKILL, reapDelay}} {
		// The group cannot be another's yet: its leader is not reaped, or was
		// just now and its children keep the number.
		_ = syscall.Kill(-p.Pid, step.signal)
		select {
		case e := <-ended:
			if step.signal == syscall.SIGTERM {
				// Children that ignored TERM must not outlive a timeout.
				_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
			}
			return r.with(e.state, e.err)
		case <-time.After(step.wait):
		}
	}
	return r
}

// with adds what the kernel says of the end.
func (r Result) with(state *os.ProcessState, err error) Result {
	if err != nil {
		r.Err = fmt.Errorf("wait: %w", err)
		if r.Outcome == Exited {
			r.Outcome = LaunchFailed // nothing is known: never a success
		}
		return r
	}
	status, _ := state.Sys().(syscall.WaitStatus)
	r.Status = status.ExitStatus()
	if status.Signaled() {
		r.Signal = status.Signal()
		if r.Outcome == Exited {
			r.Outcome = Killed
		}
	}
	return r
}

// output keeps the beginning of what a program writes.
type output struct {
	pipe syscall.RawConn
	done chan struct{}

	mu        sync.Mutex // held from a read until its bytes are kept
	buf       [OutputLimit]byte
	kept      []byte
	truncated bool
}

// outputGrace is how long what the program left behind has to end its output as
// well.
const outputGrace = 50 * time.Millisecond

// collect reads in a goroutine until all writers have closed: the program and
// whatever it left behind, which would be killed by a closed pipe.
func collect(read *os.File) (*output, error) {
	pipe, err := read.SyscallConn()
	if err != nil {
		return nil, err
	}
	o := &output{pipe: pipe, done: make(chan struct{})}
	go func() {
		defer read.Close()
		defer close(o.done)
		_ = pipe.Read(func(fd uintptr) bool {
			for {
				if err := o.take(int(fd)); err != nil {
					return !errors.Is(err, unix.EAGAIN) // then it waits for more
				}
			}
		})
	}()
	return o, nil
}

// take reads once from the pipe, which does not block: unix.EAGAIN says that it is
// empty, io.EOF that all writers have closed. It keeps what there is room for.
func (o *output) take(fd int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := unix.Read(fd, o.buf[:])
	switch {
	case errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return err
	case n == 0:
		return io.EOF
	}
	room := min(n, OutputLimit-len(o.kept))
	o.kept = append(o.kept, o.buf[:room]...)
	o.truncated = o.truncated || room < n
	return nil
}

func (o *output) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.truncated
}

// text returns the output after the program's end. What it wrote is in the pipe
// then, and is read here if the goroutine got no processor to do so.
func (o *output) text() (string, bool) {
	select {
	case <-o.done:
	case <-time.After(outputGrace):
		_ = o.pipe.Control(func(fd uintptr) {
			for range 1 + OutputLimit { // each takes a byte at least
				if o.full() || o.take(int(fd)) != nil {
					return
				}
			}
		})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.ToValidUTF8(string(o.kept), "\uFFFD"), o.truncated
}
