package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that runs on a node.
type Process struct {
	Name string // for messages and the log file: NODE-PROGRAM-N

	node *Node
	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{} // closed when the process was reaped
	exit int           // valid after done
}

// Start runs a program on the node until it ends or the test does. What it
// writes is kept; it is shown when the test fails.
func (n *Node) Start(argv ...string) *Process {
	n.t.Helper()
	return n.start(0, argv)
}

// start is Start with a realtime priority, which the program's children have
// as well; 0: none.
func (n *Node) start(priority uint32, argv []string) *Process {
	n.t.Helper()
	p := &Process{
		Name: n.Name + "-" + filepath.Base(argv[0]),
		node: n,
		cmd:  exec.Command(argv[0], argv[1:]...),
		log:  &logBuffer{},
		done: make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = environment()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	start := p.cmd.Start
	if priority > 0 {
		start = func() error { return withPriority(priority, p.cmd.Start) }
	}
	if err := n.ns.do(start); err != nil {
		n.t.Fatalf("lab: node %s: start %s: %v", n.Name, argv[0], err)
	}
	go func() { // reaps the process; ends with it
		_ = p.cmd.Wait() // the status says more than the error
		p.exit = p.cmd.ProcessState.ExitCode()
		close(p.done)
	}()
	n.t.Cleanup(func() {
		p.KillAll()
		if n.t.Failed() {
			p.show()
		}
	})
	return p
}

// environment is what every program of the lab gets: nothing of the caller's
// but the path.
func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", "HOME=/nonexistent"}
}

// Result is what a program left that ran to its end.
type Result struct {
	Stdout, Stderr string
	Exit           int // exit status; -1: killed by a signal or not ended in time
	Took           time.Duration
}

func (r Result) String() string {
	return fmt.Sprintf("exit %d after %v\n%s%s", r.Exit, r.Took.Round(time.Millisecond), r.Stdout, r.Stderr)
}

// runLimit bounds Run: no command of a story takes so long.
const runLimit = 60 * time.Second

// Run runs a program on the node to its end, at most a minute.
func (n *Node) Run(argv ...string) Result {
	n.t.Helper()
	return n.run(nil, argv)
}

// Nobody is a user without any right.
const Nobody = 65534

// RunAs is Run as another user, who has no other group.
func (n *Node) RunAs(uid uint32, argv ...string) Result {
	n.t.Helper()
	return n.run(&syscall.Credential{Uid: uid, Gid: uid}, argv)
}

func (n *Node) run(as *syscall.Credential, argv []string) Result {
	n.t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	cmd.WaitDelay = time.Second // a grandchild may hold the pipes
	begin := time.Now()
	if err := n.ns.do(cmd.Start); err != nil {
		n.t.Fatalf("lab: node %s: run %s: %v", n.Name, argv[0], err)
	}
	limit := time.AfterFunc(runLimit, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	_ = cmd.Wait() // the status says more than the error
	return Result{out.String(), errOut.String(), cmd.ProcessState.ExitCode(), time.Since(begin)}
}

// Burn starts programs on the node that want a processor each, for ever.
func (n *Node) Burn(programs int) {
	n.t.Helper()
	for range programs {
		n.Start("/bin/sh", "-c", "while :; do :; done")
	}
}

// PID is the process id of the program itself, not of its children.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running reports whether the program has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the program alone.
func (p *Process) Signal(sig syscall.Signal) {
	p.node.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.node.t.Fatalf("lab: %s: send %v: %v", p.Name, sig, err)
	}
}

// SignalAll sends a signal to the program and all its descendants.
func (p *Process) SignalAll(sig syscall.Signal) {
	for _, pid := range p.Tree() {
		_ = syscall.Kill(pid, sig) // gone already is fine
	}
}

// KillAll kills the program and all its descendants at the same moment. They
// are stopped first, and children are killed before their parents, so that
// none can act on the death of another.
func (p *Process) KillAll() {
	if !p.Running() {
		return
	}
	var stopped []int
	for range 5 { // what was started while others were being stopped is stopped next
		tree := p.Tree()
		if slices.Equal(tree, stopped) {
			break
		}
		stopped = tree
		for _, pid := range tree {
			_ = syscall.Kill(pid, syscall.SIGSTOP) // gone already is fine
		}
	}
	for _, pid := range slices.Backward(stopped) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.done
	// A descendant is somebody else's to reap, and may hold its files a moment
	// longer: a restart would find them locked.
	Poll(time.Second, func() (string, bool) {
		return "", !slices.ContainsFunc(stopped, ending)
	})
}

// ending reports whether a process still runs or still ends: its first thread
// can be a zombie while others hold its files.
func ending(pid int) bool {
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	_, runs := startOf(pid)
	return runs || len(threads) > 1
}

// Tree are the process ids of the program and its descendants, itself first.
func (p *Process) Tree() []int {
	pids := []int{p.PID()}
	for i := 0; i < len(pids); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, task := range tasks {
			list, _ := os.ReadFile(task)
			for word := range strings.FieldsSeq(string(list)) {
				if pid, err := strconv.Atoi(word); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

// Worker is the process id of the child that does the work of a supervised
// program: the first one that runs the same executable.
func (p *Process) Worker() (pid int, ok bool) {
	same, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID()))
	if err != nil {
		return 0, false
	}
	for _, pid := range p.Tree()[1:] {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == same {
			return pid, true
		}
	}
	return 0, false
}

// SignalWorker sends a signal to the worker alone, and returns when.
func (p *Process) SignalWorker(sig syscall.Signal) time.Time {
	p.node.t.Helper()
	pid, ok := p.Worker()
	if !ok {
		p.node.t.Fatalf("lab: %s has no worker: %v", p.Name, p.Tree())
	}
	sent := time.Now()
	if err := syscall.Kill(pid, sig); err != nil {
		p.node.t.Fatalf("lab: %s: send %v to its worker, process %d: %v", p.Name, sig, pid, err)
	}
	return sent
}

// Stop sends SIGTERM and waits for the end; the exit status comes back.
func (p *Process) Stop(within time.Duration) int {
	p.node.t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.WantExit(within)
}

// WantExit waits for the program's end and returns its exit status.
func (p *Process) WantExit(within time.Duration) int {
	p.node.t.Helper()
	select {
	case <-p.done:
		return p.exit
	case <-time.After(within):
		p.node.t.Fatalf("%s: still running after %v", p.Name, within)
		return -1
	}
}

// Log is everything that the program has written so far.
func (p *Process) Log() string { return p.log.String() }

// Line is one line of output and when its end arrived.
type Line struct {
	At   time.Time
	Text string
}

// Lines are the whole lines that the program has written so far.
func (p *Process) Lines() []Line { return p.log.lines() }

// WantLog waits until the program has written a text.
func (p *Process) WantLog(text string, within time.Duration) {
	p.node.t.Helper()
	Want(p.node.t, within, fmt.Sprintf("%s writes %q", p.Name, text), func() (string, bool) {
		log := p.Log()
		return "\n" + tail(log, 20), strings.Contains(log, text)
	})
}

// show puts the end of the log into the test's and all of it into a file.
func (p *Process) show() {
	p.node.t.Helper()
	log := p.Log()
	path := filepath.Join(p.node.t.ArtifactDir(), fmt.Sprintf("%s-%d.log", p.Name, p.PID()))
	if err := os.WriteFile(path, []byte(log), 0o644); err != nil {
		p.node.t.Logf("lab: keep the log of %s: %v", p.Name, err)
	}
	p.node.t.Logf("--- %s (pid %d; all of it in %s)\n%s", p.Name, p.PID(), path, tail(log, 60))
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// logBuffer collects output; the test reads while the program writes.
type logBuffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	marks []mark
}

// mark says when what stands before an offset had arrived.
type mark struct {
	end int
	at  time.Time
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.buf.Write(p)
	b.marks = append(b.marks, mark{b.buf.Len(), time.Now()})
	return n, err
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) lines() []Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Line
	end, next := 0, 0
	for text := range strings.Lines(b.buf.String()) {
		if !strings.HasSuffix(text, "\n") {
			break
		}
		end += len(text)
		for b.marks[next].end < end {
			next++
		}
		all = append(all, Line{b.marks[next].at, strings.TrimSuffix(text, "\n")})
	}
	return all
}
