package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// machine is one of the three: a namespace with a daemon in it.
type machine struct {
	*lab.Node
	daemon *lab.Daemon
	dir    string
}

// dirPrefix begins the names of the demo's directories; the process id and the
// machine's name follow.
const dirPrefix = "hac-demo-"

// base holds the directories of the daemons: short, as socket names have only
// 108 bytes, and in memory, which is as fast as the disk of a real machine.
func base() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// sweep removes the directories of former demos that were left running. Their
// processes have gone with their namespaces.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(base(), dirPrefix+"*"))
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.Split(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")[0])
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			os.RemoveAll(dir)
		}
	}
}

func newMachine(t lab.T, lan *lab.LAN, name string) *machine {
	m := &machine{Node: lan.Node(name), dir: filepath.Join(base(), fmt.Sprintf("%s%d-%s", dirPrefix, os.Getpid(), name))}
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, err := os.ReadFile(m.logFile())
			t.Logf("--- haclusterd on %s (%v)\n%s", name, err, log)
		}
		os.RemoveAll(m.dir)
	})
	return m
}

func (m *machine) logFile() string { return filepath.Join(m.dir, "log") }

// start runs haclusterd. It writes to a file, not to the demo, because it may
// live longer than that.
func (m *machine) start(t lab.T) {
	d := &lab.Daemon{Node: m.Node, DataDir: filepath.Join(m.dir, "data"), RunDir: filepath.Join(m.dir, "run")}
	d.Process = m.Start("/bin/sh", "-c", `log=$1; shift; exec "$@" >>"$log" 2>&1`, "sh", m.logFile(),
		lab.Binary(t, "haclusterd"), "--name="+m.Name, "--data-dir="+d.DataDir, "--run-dir="+d.RunDir,
		"--advertise="+m.Addr4(lab.Control).String())
	m.daemon = d
	lab.Want(t, 10*time.Second, "haclusterd on "+m.Name+" answers", func() (string, bool) {
		r := d.Ctl("status")
		return r.String(), r.Exit == 0
	})
}

// runsRevision finds the daemon's line about a revision that it runs from now on.
var runsRevision = regexp.MustCompile(`time=(\S+) level=INFO msg="revision runs" rev=(\d+)`)

// runsSince is when the machine began to run a revision; zero: not yet.
func (m *machine) runsSince(revision int) time.Time {
	log, err := os.ReadFile(m.logFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return time.Time{}
	}
	for _, found := range runsRevision.FindAllStringSubmatch(string(log), -1) {
		if found[2] == strconv.Itoa(revision) {
			if at, err := time.Parse(time.RFC3339Nano, found[1]); err == nil {
				return at
			}
		}
	}
	return time.Time{}
}

// write puts a file onto the machine and returns its path.
func (m *machine) write(t lab.T, name, text string) string {
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	return path
}

// keepalivedConf is what the machine had before: a file of its own.
func keepalivedConf(name, state string, priority int) string {
	return fmt.Sprintf(`! keepalived.conf of %s
global_defs {
    router_id %s
}

vrrp_instance VI_1 {
    state %s
    interface eth0
    virtual_router_id 51
    priority %d
    advert_int 1
    virtual_ipaddress {
        192.0.2.100/24
    }
}
`, name, name, state, priority)
}
