package debian

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// machine is a Debian with systemd as its init, on a node of a lab.
type machine struct {
	t    *testing.T
	node *lab.Node
	root string // its file system, seen from here
	init int    // its process 1, seen from here
}

const (
	bootLimit = 60 * time.Second
	runLimit  = 60 * time.Second
	guestPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// boot starts a fresh machine called lb01 and waits until its init has started
// everything. It ends with the test.
func boot(t *testing.T, node *lab.Node) *machine {
	t.Helper()
	m := &machine{t: t, node: node, root: newRoot(t)}
	m.write("/etc/hostname", "lb01\n", 0o644)

	name := fmt.Sprintf("hac-%d", os.Getpid())
	groups := newGroups(t, name)
	var log bytes.Buffer
	// The shell goes into the groups and becomes the container's manager.
	cmd := exec.Command("sh", "-c", `for g in $0; do echo $$ >"$g/cgroup.procs" || exit; done; exec "$@"`,
		strings.Join(groups, " "), "systemd-nspawn", "--quiet", "--settings=no", "--register=no", "--keep-unit",
		"--directory="+m.root, "--machine="+name, "--hostname=lb01",
		"--network-namespace-path=/run/netns/"+node.Namespace(), "--capability=CAP_NET_ADMIN,CAP_BPF", "--system-call-filter=bpf",
		"--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe", "--boot")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start systemd-nspawn: %v", err)
	}
	ended := make(chan struct{})
	go func() { // reaps the manager; ends with it
		_ = cmd.Wait() // what it wrote says more
		close(ended)
	}()
	t.Cleanup(func() {
		if m.init != 0 {
			_ = syscall.Kill(m.init, syscall.SIGKILL) // with it goes everything in the container
		}
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		// systemd-nspawn leaves it where /run is no memory file system.
		_ = os.Remove("/run/systemd/nspawn/propagate/" + name)
		if t.Failed() {
			t.Logf("systemd-nspawn wrote:\n%s", log.String())
		}
	})

	lab.Want(t, bootLimit, "the machine has booted", func() (string, bool) {
		select {
		case <-ended:
			t.Fatalf("systemd-nspawn has ended; can this kernel and sandbox run containers?\n%s", log.String())
		default:
		}
		if m.init = initOf(cmd.Process.Pid); m.init == 0 {
			return "no init yet", false
		}
		state := m.run("systemctl", "is-system-running")
		if strings.TrimSpace(state.out) == "degraded" {
			t.Fatalf("the machine has booted with failures:\n%s", m.run("systemctl", "--failed", "--no-pager"))
		}
		return state.String(), strings.TrimSpace(state.out) == "running"
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("journal of the machine:\n%s", m.run("journalctl", "--no-pager", "-n", "80").out)
		}
	})
	return m
}

// newGroups makes a control group for the container in each hierarchy that
// systemd uses on this machine, so that nothing is shared with other ones.
func newGroups(t *testing.T, name string) []string {
	t.Helper()
	const top = "/sys/fs/cgroup"
	hierarchies := []string{top}
	if _, err := os.Stat(filepath.Join(top, "cgroup.controllers")); err != nil { // version 1, or both
		hierarchies = nil
		for _, h := range []string{"systemd", "unified"} {
			if _, err := os.Stat(filepath.Join(top, h)); err == nil {
				hierarchies = append(hierarchies, filepath.Join(top, h))
			}
		}
	}
	var groups []string
	for _, h := range hierarchies {
		dir := filepath.Join(h, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatalf("make a control group (needs a writable %s): %v", h, err)
		}
		groups = append(groups, dir)
		t.Cleanup(func() {
			if err := removeGroup(dir); err != nil {
				t.Errorf("remove the control group: %v", err)
			}
		})
	}
	if len(groups) == 0 {
		t.Fatalf("%s has no hierarchy of control groups that systemd can use", top)
	}
	return groups
}

// removeGroup removes a control group and what the container made below it.
func removeGroup(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	for _, d := range slices.Backward(dirs) {
		err = errors.Join(err, os.Remove(d))
	}
	return err
}

// initOf is the child of a process that is process 1 of a namespace, or 0.
func initOf(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // a process that is gone has none
	for word := range strings.FieldsSeq(string(text)) {
		ids := strings.Fields(statusField("/proc/"+word, "NSpid"))
		if child, err := strconv.Atoi(word); err == nil && len(ids) > 1 && ids[len(ids)-1] == "1" {
			return child
		}
	}
	return 0
}

// result is what a program in the machine left.
type result struct {
	out, errOut string
	exit        int
}

func (r result) String() string { return fmt.Sprintf("exit %d\n%s%s", r.exit, r.out, r.errOut) }

// run runs a program as root in the machine to its end.
func (m *machine) run(argv ...string) result {
	m.t.Helper()
	return m.runAs("0", argv...)
}

// runAs is run as a user and group of a number, with no other group.
func (m *machine) runAs(id string, argv ...string) result {
	m.t.Helper()
	args := []string{"--target", strconv.Itoa(m.init), "--all", "--setuid", id, "--setgid", id,
		"env", "-i", guestPath, "LC_ALL=C", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"}
	var out, errOut strings.Builder
	cmd := exec.Command("nsenter", append(args, argv...)...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.WaitDelay = time.Second // what it left behind may hold the pipes
	if err := cmd.Start(); err != nil {
		m.t.Fatalf("enter the machine: %v", err)
	}
	limit := time.AfterFunc(runLimit, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	_ = cmd.Wait() // the status says more than the error
	return result{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
}

// must is run for what has to succeed; both its outputs come back.
func (m *machine) must(argv ...string) string {
	m.t.Helper()
	r := m.run(argv...)
	if r.exit != 0 {
		m.t.Fatalf("%s: %v", strings.Join(argv, " "), r)
	}
	return r.out + r.errOut
}

// property is one property of a unit.
func (m *machine) property(unit, name string) string {
	m.t.Helper()
	return strings.TrimSpace(m.must("systemctl", "show", "--value", "--property="+name, unit))
}

// write puts a file into the machine.
func (m *machine) write(path, text string, mode fs.FileMode) {
	m.t.Helper()
	full := filepath.Join(m.root, path)
	err := os.MkdirAll(filepath.Dir(full), 0o755)
	if err == nil {
		err = os.WriteFile(full, []byte(text), mode)
	}
	if err == nil {
		err = os.Chmod(full, mode)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// exists reports whether a path is there in the machine.
func (m *machine) exists(path string) bool {
	m.t.Helper()
	return m.run("test", "-e", path).exit == 0
}

// daemon is the process id of haclusterd's unit, in the machine and here.
func (m *machine) daemon() (inside, here int) {
	m.t.Helper()
	inside, err := strconv.Atoi(m.property("haclusterd", "MainPID"))
	if err != nil || inside == 0 {
		m.t.Fatalf("haclusterd has no process: %v\n%s", err, m.must("systemctl", "status", "--no-pager", "haclusterd"))
	}
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", m.init))
	if err != nil {
		m.t.Fatal(err)
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		if ns, err := os.Readlink(dir + "/ns/pid"); err != nil || ns != namespace {
			continue
		}
		ids := strings.Fields(statusField(dir, "NSpid"))
		if len(ids) > 0 && ids[len(ids)-1] == strconv.Itoa(inside) {
			here, _ = strconv.Atoi(filepath.Base(dir))
			return inside, here
		}
	}
	m.t.Fatalf("process %d of the machine is not seen from here", inside)
	return 0, 0
}

// statusField is a line of the status file below a directory of /proc.
func statusField(dir, name string) string {
	text, _ := os.ReadFile(filepath.Join(dir, "status")) // a process that is gone has none
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
