package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// owner is the process that a namespace or directory belongs to. It stands in
// the name: hac-PROGRAM.PID.START-…, where START tells the process from a later
// one with the same number.
type owner struct {
	program string // base name of the executable: e2e.test, demo
	pid     int
	start   uint64 // clock ticks since boot
}

// self is this process.
var self = sync.OnceValue(func() owner {
	start, _ := startOf(os.Getpid())
	return owner{strings.ReplaceAll(filepath.Base(os.Args[0]), "-", "_"), os.Getpid(), start}
})

func (o owner) String() string { return fmt.Sprintf("%s.%d.%d", o.program, o.pid, o.start) }

// parseOwner reads the name of a namespace or directory; false: not the lab's.
func parseOwner(name string) (owner, bool) {
	text, mine := strings.CutPrefix(name, namePrefix)
	text, _, _ = strings.Cut(text, "-")
	words := strings.Split(text, ".") // the program's name may have dots of its own
	if !mine || len(words) < 3 {
		return owner{}, false
	}
	last := len(words) - 1
	pid, err := strconv.Atoi(words[last-1])
	if err != nil {
		return owner{}, false
	}
	start, err := strconv.ParseUint(words[last], 10, 64)
	return owner{strings.Join(words[:last-1], "."), pid, start}, err == nil
}

func (o owner) lives() bool {
	start, ok := startOf(o.pid)
	return ok && start == o.start
}

// sweptBy reports whether a process may remove what o has left. A test leaves
// nothing on purpose; a program may (KEEP=1 of the demo), so only the same
// program puts it away.
func (o owner) sweptBy(by owner) bool {
	return !o.lives() && (strings.HasSuffix(o.program, ".test") || o.program == by.program)
}

// startOf is when a process began, in clock ticks since boot: field 22 of
// /proc/PID/stat. False: there is no such process, or only its exit status.
func startOf(pid int) (uint64, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	end := strings.LastIndexByte(string(text), ')') // the name before it may hold anything
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return 0, false
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	return start, err == nil
}

// Sweep removes what labs left behind whose process has gone: the namespaces,
// with the processes in them, and the files.
func Sweep() { sweep(self()) }

func sweep(by owner) {
	for _, path := range leftovers(netnsDir, by) {
		name := filepath.Base(path)
		killProcesses(name)
		if netns.DeleteNamed(name) != nil {
			_ = os.Remove(path) // a name without a mount; or another lab sweeps as well
		}
	}
	for _, path := range leftovers(memory(), by) {
		_ = unix.Unmount(filepath.Join(path, "data"), unix.MNT_DETACH) // a disk of its own, perhaps
		forgetFRR(path)
		_ = os.RemoveAll(path)
	}
}

func leftovers(dir string, by owner) []string {
	all, _ := filepath.Glob(filepath.Join(dir, namePrefix+"*"))
	return slices.DeleteFunc(all, func(path string) bool {
		o, ok := parseOwner(filepath.Base(path))
		return !ok || !o.sweptBy(by)
	})
}
