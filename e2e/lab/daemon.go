package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Daemon is one haclusterd on a node, with directories of its own and the
// realtime scheduling that its unit gives it.
type Daemon struct {
	*Process
	Node    *Node
	DataDir string
	RunDir  string
	Conf    string // the standalone document's path; empty in a cluster

	args []string
}

// Binary is the path of a program that make build made. HACLUSTER_BIN names
// another directory than bin/ at the top of the source tree.
func Binary(t T, name string) string {
	t.Helper()
	dir := os.Getenv("HACLUSTER_BIN")
	if dir == "" {
		_, file, _, _ := runtime.Caller(0)
		dir = filepath.Join(filepath.Dir(file), "..", "..", "bin")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("lab: %s is not built; run make build: %v", name, err)
	}
	return path
}

// StartStandalone runs haclusterd alone with a document given as text.
func (n *Node) StartStandalone(conf string, flags ...string) *Daemon {
	n.t.Helper()
	dir := n.tempDir("haclusterd")
	path := n.write(dir, "haclusterd.conf", conf)
	d := n.daemon(dir, append([]string{"--standalone=" + path}, flags...))
	d.Conf = path
	d.start()
	return d
}

// StartMember runs haclusterd as a cluster member: one that waits for init or
// join on its socket. The mesh uses the given network.
func (n *Node) StartMember(mesh Network, flags ...string) *Daemon {
	n.t.Helper()
	d := n.daemon(n.tempDir("haclusterd"), append([]string{"--advertise=" + n.Addr4(mesh).String()}, flags...))
	d.start()
	return d
}

// StartMemberBooted is StartMember on a machine that booted earlier than this one
// by the given time: the daemon's monotonic clocks are ahead of the others'.
func (n *Node) StartMemberBooted(earlier time.Duration, mesh Network, flags ...string) *Daemon {
	n.t.Helper()
	d := n.daemon(n.tempDir("haclusterd"), append([]string{"--advertise=" + n.Addr4(mesh).String()}, flags...))
	shift := strconv.Itoa(int(earlier.Seconds()))
	d.args = append([]string{"unshare", "--time", "--monotonic", shift, "--boottime", shift}, d.args...)
	d.start()
	return d
}

func (n *Node) daemon(dir string, flags []string) *Daemon {
	d := &Daemon{Node: n, DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run")}
	d.args = append([]string{Binary(n.t, "haclusterd"),
		"--name=" + n.Name, "--data-dir=" + d.DataDir, "--run-dir=" + d.RunDir}, flags...)
	return d
}

func (d *Daemon) start() {
	d.Node.t.Helper()
	d.Process = d.Node.start(daemonPriority, d.args)
}

// Restart starts the daemon again on its old directories, after it has ended.
func (d *Daemon) Restart() {
	d.Node.t.Helper()
	if d.Running() {
		d.Node.t.Fatalf("lab: %s: restart while it runs", d.Name)
	}
	d.start()
}

// Reload writes a new standalone document and sends SIGHUP.
func (d *Daemon) Reload(conf string) {
	d.Node.t.Helper()
	if err := os.WriteFile(d.Conf, []byte(conf), 0o600); err != nil {
		d.Node.t.Fatalf("lab: %s: %v", d.Name, err)
	}
	d.Signal(syscall.SIGHUP)
}

// Socket is the path of the daemon's API socket.
func (d *Daemon) Socket() string { return filepath.Join(d.RunDir, "api.sock") }

// WantSocket waits until the daemon listens on its API socket.
func (d *Daemon) WantSocket(within time.Duration) {
	d.Node.t.Helper()
	Want(d.Node.t, within, d.Name+" has its API socket", func() (string, bool) {
		_, err := os.Stat(d.Socket())
		if err != nil {
			return err.Error() + "\n" + tail(d.Log(), 20), false
		}
		return "", true
	})
}

// Ctl runs haclusterctl against this daemon.
func (d *Daemon) Ctl(args ...string) Result {
	d.Node.t.Helper()
	return d.Node.Run(slices.Concat([]string{Binary(d.Node.t, "haclusterctl"), "--socket=" + d.Socket()}, args)...)
}

// MustCtl is Ctl for what has to succeed; its standard output comes back.
func (d *Daemon) MustCtl(args ...string) string {
	d.Node.t.Helper()
	r := d.Ctl(args...)
	if r.Exit != 0 {
		d.Node.t.Fatalf("%s: haclusterctl %s: %v", d.Name, strings.Join(args, " "), r)
	}
	return r.Stdout
}

// CtlJSON runs a reading command with -o json and decodes what it prints.
func (d *Daemon) CtlJSON(into any, args ...string) {
	d.Node.t.Helper()
	out := d.MustCtl(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		d.Node.t.Fatalf("%s: haclusterctl %s -o json: %v in\n%s", d.Name, strings.Join(args, " "), err, out)
	}
}

// WantAlive waits until the daemon answers and says that so many nodes of its
// cluster, itself among them, are alive.
func (d *Daemon) WantAlive(nodes int, within time.Duration) {
	d.Node.t.Helper()
	Want(d.Node.t, within, fmt.Sprintf("%s knows %d nodes alive", d.Name, nodes), func() (string, bool) {
		r := d.Ctl("status", "-o", "json")
		var status struct {
			Nodes []struct {
				Alive bool `json:"alive"`
			} `json:"nodes"`
		}
		if err := json.Unmarshal([]byte(r.Stdout), &status); err != nil {
			return r.String(), false
		}
		alive := 0
		for _, n := range status.Nodes {
			if n.Alive {
				alive++
			}
		}
		return fmt.Sprintf("%d of %d nodes alive", alive, len(status.Nodes)), alive == nodes
	})
}

// WantElectorate waits until the daemon has stored that so many vote on leases. The
// electorate grows by one voter at a time, after Raft's; until it is complete a
// lease needs the voters that are in it.
func (d *Daemon) WantElectorate(voters int, within time.Duration) {
	d.Node.t.Helper()
	d.WantLog(fmt.Sprintf("epoch=%d voters=", voters), within) // each change is an epoch
}

// Form makes a cluster of running members: init with the document on the
// first, then each other one joins with the command that init printed.
func Form(t T, conf string, members ...*Daemon) {
	t.Helper()
	for _, d := range members {
		d.WantSocket(10 * time.Second)
	}
	args := []string{"init"}
	if conf != "" {
		args = append(args, "--config", members[0].Node.WriteFile("cluster.conf", conf))
	}
	out := members[0].MustCtl(args...)
	join := joinCommand(out)
	if join == nil && len(members) > 1 {
		t.Fatalf("lab: init printed no join command:\n%s", out)
	}
	for _, d := range members[1:] {
		d.MustCtl(join...)
	}
}

// JoinAsWitness makes a running member of a cluster's one that votes and holds
// no address.
func (d *Daemon) JoinAsWitness(of *Daemon) {
	d.Node.t.Helper()
	d.WantSocket(10 * time.Second)
	d.MustCtl(append(joinCommand(of.MustCtl("token", "create")), "--witness")...)
}

// joinCommand finds the arguments of the line "haclusterctl join …".
func joinCommand(out string) []string {
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if i := slices.Index(words, "join"); i > 0 && strings.HasSuffix(words[i-1], "haclusterctl") {
			return words[i:]
		}
	}
	return nil
}

// CloneMember starts a daemon on a copy of another one's data directory, with
// its name: a machine that was cloned, or set up from a backup.
func (n *Node) CloneMember(of *Daemon, mesh Network, flags ...string) *Daemon {
	n.t.Helper()
	d := n.daemon(n.tempDir("haclusterd"), append([]string{"--name=" + of.Node.Name, "--advertise=" + n.Addr4(mesh).String()}, flags...))
	if err := os.CopyFS(d.DataDir, os.DirFS(of.DataDir)); err != nil {
		n.t.Fatalf("lab: node %s: copy the data of %s: %v", n.Name, of.Node.Name, err)
	}
	err := filepath.WalkDir(d.DataDir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = os.Chmod(path, 0o700)
		} else if err == nil {
			err = os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil {
		n.t.Fatalf("lab: node %s: %v", n.Name, err)
	}
	d.start()
	return d
}
