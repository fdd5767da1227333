package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A supervisor whose program was replaced on the disk, by an upgrade, executes the
// new one before a planned restart: process id, worker, will and gate stay, because
// what they need are open files and some numbers, which adoptEnv tells.

// adoptEnv is set for a supervisor that takes the place of another one in its
// process: the file that describes the worker.
const adoptEnv = "HACLUSTERD_ADOPT"

// trialTime bounds the trial run of the new program.
const trialTime = 5 * time.Second

// renew executes the program on the disk when it is another one than that of
// this process. It returns only when there is nothing to do or that did not work.
func (s *Supervisor) renew() error {
	present, err := os.Stat("/proc/self/exe")
	if err != nil {
		return err
	}
	disk, err := os.Stat(s.path)
	if err != nil || os.SameFile(present, disk) {
		return err
	}
	// One that does not run here must not take the place of one that does.
	trial := exec.Command(s.path, "--version")
	trial.WaitDelay = time.Second
	kill := time.AfterFunc(trialTime, func() { _ = trial.Process.Kill() })
	defer kill.Stop()
	if out, err := trial.CombinedOutput(); err != nil {
		return fmt.Errorf("%s --version: %w: %s", s.path, err, out)
	}
	s.log.Info("the program was replaced: the supervisor executes the new one", "path", s.path)
	keep, err := s.describe()
	if err != nil {
		return err
	}
	defer keep.Close()
	env := append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, adoptEnv+"=") }),
		fmt.Sprintf("%s=%d", adoptEnv, keep.Fd()))
	return fmt.Errorf("execute %s: %w", s.path, unix.Exec(s.path, os.Args, env))
}

// describe writes what the next program needs into a file without a name, and lets
// that and the files that it names outlive the execution.
func (s *Supervisor) describe() (*os.File, error) {
	w := s.worker
	var gate []*os.File
	var err error
	if s.gate != nil {
		if gate, err = s.gate.Files(); err != nil {
			return nil, err
		}
	}
	b := binary.AppendUvarint(nil, uint64(w.pid))
	b = binary.AppendUvarint(b, uint64(w.fd))
	b = binary.AppendUvarint(b, uint64(w.started.Unix()))
	b = binary.AppendUvarint(b, uint64(len(gate)))
	for _, f := range gate {
		b = binary.AppendUvarint(b, uint64(f.Fd()))
	}
	for name, c := range w.will {
		message, err := clauseMessage(0, name, &c)
		if err != nil {
			return nil, err
		}
		b = appendBytes(b, message[1:])
	}
	fd, err := unix.MemfdCreate("haclusterd", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	keep := os.NewFile(uintptr(fd), "description of the worker")
	if _, err = keep.WriteAt(b, 0); err == nil {
		err = outlive(fd, w.fd)
	}
	for _, f := range gate {
		err = errors.Join(err, outlive(int(f.Fd())))
	}
	if err != nil {
		return nil, errors.Join(err, keep.Close())
	}
	return keep, nil
}

// outlive lets files stay open over an execution.
func outlive(fds ...int) error {
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return os.NewSyscallError("fcntl", err)
		}
	}
	return nil
}

// adopt takes over what the program before described, if there was one. A planned
// restart follows: the worker still runs that program.
func (s *Supervisor) adopt() error {
	fd, err := strconv.Atoi(os.Getenv(adoptEnv))
	if err != nil {
		return nil
	}
	os.Unsetenv(adoptEnv)
	keep := os.NewFile(uintptr(fd), "description of the worker")
	defer keep.Close()
	b, err := io.ReadAll(io.NewSectionReader(keep, 0, maxState))
	if err != nil {
		return fmt.Errorf("read the description of the worker: %w", err)
	}
	d := decoder{b: b}
	now := time.Now()
	w := &process{pid: int(d.number(1 << 31)), fd: int(d.number(1 << 31)), open: true, ready: true, will: make(map[string]Clause)}
	w.started = time.Unix(int64(d.number(1<<62)), 0)
	var gate []*os.File
	for range d.count(1) {
		fd := int(d.number(1 << 31))
		unix.CloseOnExec(fd)
		gate = append(gate, os.NewFile(uintptr(fd), "gate"))
	}
	unix.CloseOnExec(w.fd)
	for len(d.b) > 0 {
		_, name, c, err := parseClauseMessage(d.bytes(maxMessage))
		if err != nil {
			return err
		}
		w.will[name] = c
	}
	if d.bad {
		return fmt.Errorf("description of the worker: %w", errMalformed)
	}
	if len(gate) > 0 && s.o.AdoptGate != nil {
		if s.gate, err = s.o.AdoptGate(gate); err != nil {
			s.gateMissing = err.Error()
			s.log.Error("kernel gate not taken over", "err", err)
		}
	}
	w.fed = now // what it fed meanwhile waits in the socket
	s.worker = w
	s.log.Info("supervisor goes on", "worker", w.pid, "clauses", len(w.will))
	s.plan(now)
	return nil
}
