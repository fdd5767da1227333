package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// kernel is Debian's.
const kernel = "/usr/bin/linux.uml"

// ErrMissing says what to install.
var ErrMissing = errors.New("no " + kernel + " or " + moduleDir + ": apt-get install user-mode-linux kmod")

// Options are what Run needs beside the command.
type Options struct {
	Memory         int64 // bytes; the host's is used up as pages are first touched. 0: 1 GiB
	Stdout, Stderr io.Writer
}

// Run boots a guest, runs the command in it and returns its exit status. An
// error means that there is none: the guest did not come up, or ctx was done
// first; nothing of it is left then.
func Run(ctx context.Context, o Options, argv ...string) (status int, err error) {
	if o.Memory == 0 {
		o.Memory = 1 << 30
	}
	for _, path := range []string{kernel, moduleDir} {
		if _, err := os.Stat(path); err != nil {
			return 0, ErrMissing
		}
	}
	state, err := os.MkdirTemp("", "guest")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(state)
	if err := prepare(state, argv); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	var streams sync.WaitGroup
	streams.Go(func() { follow(filepath.Join(state, stdoutFile), o.Stdout, ended) })
	streams.Go(func() { follow(filepath.Join(state, stderrFile), o.Stderr, ended) })
	err = boot(ctx, state, o.Memory)
	close(ended)
	streams.Wait()
	if err != nil {
		return 0, err
	}
	var r result
	if err := readFile(state, resultFile, &r); err != nil {
		return 0, fmt.Errorf("the guest ended without a result; its last words:\n%s", lastWords(state))
	}
	if r.Err != "" {
		return 0, fmt.Errorf("in the guest: %s", r.Err)
	}
	return r.Status, nil
}

func prepare(state string, argv []string) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	umask := unix.Umask(0)
	unix.Umask(umask)
	for _, name := range []string{stdoutFile, stderrFile} {
		if err := os.WriteFile(filepath.Join(state, name), nil, 0o600); err != nil {
			return err
		}
	}
	return writeFile(state, jobFile, job{Argv: argv, Env: os.Environ(), Dir: dir, Umask: umask})
}

// boot runs the kernel until the guest powers off. The kernel and the process
// that it traces take turns: on one CPU that is three times as fast as when each
// turn wakes another one.
func boot(ctx context.Context, state string, memory int64) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	console, err := os.Create(filepath.Join(state, consoleFile))
	if err != nil {
		return err
	}
	defer console.Close()
	cmd := exec.Command(kernel, fmt.Sprintf("mem=%dM", memory>>20),
		"rootfstype=hostfs", "rootflags=/", "rw", "init="+self, stateVar+"="+state,
		"uml_dir="+state+"/", "umid=guest", "con=null", "ssl=null", "con0=null,fd:1",
		"quiet", "noreboot", "panic=-1", "random.trust_cpu=on")
	cmd.Env = append(os.Environ(), "TMPDIR="+memoryDir(memory))
	cmd.Stdout, cmd.Stderr = console, console
	// The guest's kernel is process 1 of a namespace: its helpers and the
	// processes that it traces end with it, however it ends.
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}

	done := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		// The signal at the parent's death is sent when this thread ends, and the
		// thread's CPU is inherited; so it is not given back.
		runtime.LockOSThread()
		var set unix.CPUSet
		err := unix.SchedGetaffinity(0, &set)
		if err == nil {
			err = unix.SchedSetaffinity(0, oneOf(set))
		}
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			done <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	select {
	case <-done: // it powers off with a status that says nothing
		return nil
	case <-ctx.Done():
		err := cmd.Process.Kill()
		<-done
		return errors.Join(context.Cause(ctx), err)
	}
}

// oneOf picks one CPU of a set at random, so that two guests seldom share one.
func oneOf(set unix.CPUSet) *unix.CPUSet {
	var cpus []int
	for i := range 8 * len(set) * 8 {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	var one unix.CPUSet
	one.Set(cpus[rand.N(len(cpus))])
	return &one
}

// memoryDir is where the guest's memory, an executable mapping of a file, is
// best kept.
func memoryDir(size int64) string {
	const shm = "/dev/shm"
	var fs unix.Statfs_t
	if err := unix.Statfs(shm, &fs); err == nil && fs.Flags&unix.ST_NOEXEC == 0 && int64(fs.Bavail)*fs.Bsize > size {
		return shm
	}
	return os.TempDir()
}

// followEvery is how far output lags behind.
const followEvery = 5 * time.Millisecond

// follow copies what is appended to a file, until ended and all is copied. A
// writer that fails gets no more.
func follow(path string, w io.Writer, ended <-chan struct{}) {
	f, err := os.Open(path)
	if err != nil || w == nil {
		return
	}
	defer f.Close()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for last := false; ; {
		if _, err := io.Copy(w, f); err != nil || last {
			return
		}
		select {
		case <-ended:
			last = true
		case <-tick.C:
		}
	}
}

// lastWords are the end of what the guest's kernel said.
func lastWords(state string) string {
	b, err := os.ReadFile(filepath.Join(state, consoleFile))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
