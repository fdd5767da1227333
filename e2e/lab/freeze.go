package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Freezer stops processes as a hypervisor stops a machine: none of them gets a
// signal, and none can notice.
type Freezer struct {
	t    T
	dir  string
	file string // that freezes, and what it takes
	on   string
	off  string
}

// Freezer puts the program and all its descendants into a cgroup of their own;
// what they start later is in it too.
func (p *Process) Freezer() *Freezer {
	t := p.node.t
	t.Helper()
	f, err := newFreezer(t, fmt.Sprintf("%s%v-%s-%d", namePrefix, self(), p.node.Name, p.PID()))
	if err != nil {
		t.Fatalf("lab: %s: cgroup freezer: %v", p.Name, err)
	}
	t.Cleanup(f.remove)
	for _, pid := range p.Tree() {
		if err := os.WriteFile(filepath.Join(f.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			t.Fatalf("lab: %s: put process %d into %s: %v", p.Name, pid, f.dir, err)
		}
	}
	return f
}

// newFreezer makes a cgroup that can be frozen: in the unified hierarchy, else
// in version 1's freezer.
func newFreezer(t T, name string) (*Freezer, error) {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.subtree_control")); err != nil {
			continue
		}
		f := &Freezer{t: t, dir: filepath.Join(root, name), file: "cgroup.freeze", on: "1", off: "0"}
		if err := os.Mkdir(f.dir, 0o755); err == nil {
			return f, nil
		}
	}
	f := &Freezer{t: t, dir: filepath.Join("/sys/fs/cgroup/freezer", name), file: "freezer.state", on: "FROZEN", off: "THAWED"}
	return f, os.Mkdir(f.dir, 0o755)
}

// Freeze stops everything in the cgroup and returns when all of it stands.
func (f *Freezer) Freeze() {
	f.t.Helper()
	f.set(f.on)
	Want(f.t, 5*time.Second, f.dir+" is frozen", func() (string, bool) {
		file, want := f.file, f.on
		if file == "cgroup.freeze" { // that says what was asked; events say what is
			file, want = "cgroup.events", "frozen 1"
		}
		text, err := os.ReadFile(filepath.Join(f.dir, file))
		return fmt.Sprint(string(text), err), strings.Contains(string(text), want)
	})
}

// Thaw lets it go on.
func (f *Freezer) Thaw() {
	f.t.Helper()
	f.set(f.off)
}

func (f *Freezer) set(value string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, f.file), []byte(value), 0); err != nil {
		f.t.Fatalf("lab: %v", err)
	}
}

// remove thaws, so that what is in it can be killed, and removes the cgroup once
// it is empty. What a lab leaves that was killed is empty and costs nothing.
func (f *Freezer) remove() {
	_ = os.WriteFile(filepath.Join(f.dir, f.file), []byte(f.off), 0)
	Poll(5*time.Second, func() (string, bool) {
		procs, _ := os.ReadFile(filepath.Join(f.dir, "cgroup.procs"))
		for pid := range strings.FieldsSeq(string(procs)) {
			_ = os.WriteFile(filepath.Join(filepath.Dir(f.dir), "cgroup.procs"), []byte(pid), 0)
		}
		return "", os.Remove(f.dir) == nil
	})
}
