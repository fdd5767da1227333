package debian

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/e2e/lab"
)

var vip = netip.MustParseAddr("192.0.2.100")

const (
	packageInside = "/root/haclusterd.deb"
	socket        = "/run/haclusterd/api.sock"
	document      = "/etc/keepalived/keepalived.conf"
	defaults      = "/etc/default/haclusterd"

	// expiry is how long an address may outlive a killed daemon: its lifetime of
	// three seconds behind the kernel gate, in the kernel's grain, and a loaded
	// machine.
	expiry = 4100*time.Millisecond + 250*time.Millisecond

	// restart is RestartSec, the start itself and a loaded machine.
	restart = 5 * time.Second

	// election is three adverts of 300 ms and the skew, and a loaded machine.
	election = 5 * time.Second
)

// guest is the machine in one step of the story, with the step's own test.
type guest struct {
	machine
	watch *lab.Watcher
}

// TestPackageOnDebian12 is one story: each step begins where the one before it
// has ended.
func TestPackageOnDebian12(t *testing.T) {
	lan := lab.New(t)
	watch := lan.Watch(vip)
	m := boot(t, lan.Host("lb01"))
	deb, err := os.ReadFile(packageFile(t))
	if err != nil {
		t.Fatal(err)
	}
	m.write(packageInside, string(deb), 0o644)

	for _, step := range []struct {
		claim string
		run   func(g guest)
	}{
		{"installing beside keepalived leaves that running", besideKeepalived},
		{"a new installation is enabled, ready and waits", installed},
		{"the socket is for root and its group", socketRights},
		{"the daemon has the capabilities of its unit and no others", capabilities},
		{"all threads are realtime", realtime},
		{"the daemon runs with the tighter drop-in of operate.md", tightened},
		{"init makes a cluster", initialised},
		{"a killed daemon is started again and is still a member", killed},
		{"a frozen daemon is ended by the watchdog", frozen},
		{"an upgrade keeps what was disabled", disabledStaysSo},
		{"standalone holds the address and runs scripts unprivileged", standalone},
		{"an upgrade moves no address", upgraded},
		{"an upgrade restarts a daemon that cannot be asked", upgradedUnasked},
		{"reload takes a new document and refuses a broken one", reload},
		{"a killed holder's address goes and comes back", killedHolder},
		{"a start beside keepalived with the same virtual router is refused", rival},
		{"journal lines carry their priority", priorities},
		{"removal says goodbye and keeps what was edited", removed},
		{"purging leaves nothing", purged},
	} {
		ok := t.Run(step.claim, func(t *testing.T) {
			g := guest{*m, watch}
			g.t = t
			step.run(g)
		})
		if !ok {
			t.FailNow() // what follows would tell nothing
		}
	}
}

// wantActive waits until haclusterd is active: with Type=notify that is when
// the daemon has said that it is ready.
func (g guest) wantActive(limit time.Duration) {
	g.t.Helper()
	lab.Want(g.t, limit, "haclusterd is active", func() (string, bool) {
		r := g.run("systemctl", "is-active", "haclusterd")
		return r.String(), r.exit == 0
	})
}

// wantOutput checks the standard output of a program, exit status apart.
func (g guest) wantOutput(want string, argv ...string) {
	g.t.Helper()
	if r := g.run(argv...); strings.TrimSpace(r.out) != want {
		g.t.Errorf("%s: %v\nwant %s", strings.Join(argv, " "), r, want)
	}
}

// journal is what haclusterd's unit has written until now: the journal's own daemon
// may be behind on a busy machine.
func (g guest) journal(flags ...string) string {
	g.t.Helper()
	g.must("journalctl", "--sync")
	return g.must(append([]string{"journalctl", "--unit=haclusterd", "--no-pager"}, flags...)...)
}

func besideKeepalived(g guest) {
	const unit = "/etc/systemd/system/keepalived.service" // a program that stands for it
	g.write(unit, "[Service]\nExecStart=/bin/sleep infinity\n", 0o644)
	g.must("systemctl", "daemon-reload")
	g.must("systemctl", "start", "keepalived")

	out := g.must("dpkg", "--install", packageInside)
	if !strings.Contains(out, "systemctl disable keepalived && systemctl enable --now haclusterd") {
		g.t.Errorf("dpkg does not say how to change over:\n%s", out)
	}
	g.wantOutput("active", "systemctl", "is-active", "keepalived")
	g.wantOutput("inactive", "systemctl", "is-active", "haclusterd")
	g.wantOutput("disabled", "systemctl", "is-enabled", "haclusterd")

	g.must("dpkg", "--purge", "haclusterd")
	g.must("systemctl", "stop", "keepalived")
	g.must("rm", unit)
	g.must("systemctl", "daemon-reload")
}

func installed(g guest) {
	g.must("dpkg", "--install", packageInside)
	g.wantOutput("enabled", "systemctl", "is-enabled", "haclusterd")
	g.wantOutput("enabled", "systemctl", "is-enabled", "haclusterd-realserver")
	g.wantOutput("active", "systemctl", "is-active", "haclusterd")
	g.wantOutput("notify", "systemctl", "show", "--value", "--property=Type", "haclusterd")
	g.wantOutput("10s", "systemctl", "show", "--value", "--property=WatchdogUSec", "haclusterd")
	g.wantOutput("660 root:haclusterd", "stat", "--format=%a %U:%G", socket)
	g.wantOutput("700 root:root", "stat", "--format=%a %U:%G", "/var/lib/haclusterd")
	if out := g.must("haclusterctl", "status"); !strings.Contains(out, "haclusterctl init, or haclusterctl join") {
		g.t.Errorf("status does not say what comes next:\n%s", out)
	}

	// The name hacluster is Pacemaker's.
	for _, database := range []string{"passwd", "group"} {
		if r := g.run("getent", database, "hacluster"); r.exit == 0 {
			g.t.Errorf("%s has an entry: %v", database, r)
		}
	}
	g.wantOutput("", "find", "/", "-xdev", "-name", "hacluster")
}

func socketRights(g guest) {
	const nobody = "65534"
	denied := "permission denied on " + socket
	if r := g.runAs(nobody, "haclusterctl", "status"); r.exit != 3 || !strings.Contains(r.errOut, denied) {
		g.t.Errorf("status as nobody: %v\nwant exit 3, %s", r, denied)
	}
	gid := strings.Split(g.must("getent", "group", "haclusterd"), ":")[2]
	if r := g.runAs(gid, "haclusterctl", "status"); r.exit != 0 {
		g.t.Errorf("status as a member of the group: %v", r)
	}
	if r := g.runAs(gid, "haclusterctl", "init"); r.exit != 3 {
		g.t.Errorf("init as a member of the group: %v\nwant exit 3", r)
	}
}

// capabilities wants the mask that the unit's words make in all sets but the
// inheritable and the ambient one.
func capabilities(g guest) {
	unit, err := os.ReadFile(filepath.Join(top, "deploy/systemd/haclusterd.service"))
	if err != nil {
		g.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(unit), "\nCapabilityBoundingSet=")
	words, _, _ := strings.Cut(rest, "\n")
	known := map[string]int{
		"CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_NET_RAW": unix.CAP_NET_RAW, "CAP_SYS_NICE": unix.CAP_SYS_NICE,
		"CAP_SETUID": unix.CAP_SETUID, "CAP_SETGID": unix.CAP_SETGID, "CAP_KILL": unix.CAP_KILL,
		"CAP_CHOWN": unix.CAP_CHOWN, "CAP_DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH, "CAP_BPF": unix.CAP_BPF,
	}
	var mask uint64
	for word := range strings.FieldsSeq(words) {
		bit, ok := known[word]
		if !ok {
			g.t.Errorf("the unit asks for %s, which no comment of this test knows a reason for", word)
		}
		mask |= 1 << bit
	}
	_, pid := g.daemon()
	dir := fmt.Sprintf("/proc/%d", pid)
	for field, want := range map[string]uint64{"CapBnd": mask, "CapPrm": mask, "CapEff": mask, "CapInh": 0, "CapAmb": 0} {
		if got, err := strconv.ParseUint(statusField(dir, field), 16, 64); err != nil || got != want {
			g.t.Errorf("%s = %x (%v), want %x", field, got, err, want)
		}
	}
}

// realtime looks at every thread. The first may carry SCHED_RESET_ON_FORK: the
// daemon starts scripts from such a thread and lets it end, but for the first,
// which only sleeps then. One that has just started a script is waited for.
func realtime(g guest) {
	_, pid := g.daemon()
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if len(threads) < 2 {
		g.t.Errorf("the daemon has %d threads, too few to tell", len(threads))
	}
	for _, thread := range threads {
		tid, _ := strconv.Atoi(filepath.Base(thread))
		lab.Want(g.t, 2*time.Second, fmt.Sprintf("thread %d has policy 2 (SCHED_RR), priority 1, flags 0", tid), func() (string, bool) {
			s, err := unix.SchedGetAttr(tid, 0)
			if err == unix.ESRCH {
				return "", true // ended meanwhile
			}
			if err != nil {
				g.t.Fatal(err)
			}
			return fmt.Sprintf("policy %d, priority %d, flags %x", s.Policy, s.Priority, s.Flags),
				s.Policy == unix.SCHED_RR && s.Priority == 1 && (tid == pid || s.Flags&unix.SCHED_FLAG_RESET_ON_FORK == 0)
		})
	}
	score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	if got := strings.TrimSpace(string(score)); err != nil || got != "-900" {
		// A container without CAP_SYS_RESOURCE cannot lower it; systemd says nothing.
		g.t.Logf("OOMScoreAdjust=-900 is not in effect here (%s): the container has no CAP_SYS_RESOURCE", got)
	}
}

// tightened leaves the drop-in in place for the cluster's steps.
func tightened(g guest) {
	g.write("/etc/systemd/system/haclusterd.service.d/tight.conf", "[Service]\n"+
		"ProtectSystem=full\nProtectHome=yes\nNoNewPrivileges=yes\nMemoryDenyWriteExecute=yes\n", 0o644)
	g.must("systemctl", "daemon-reload")
	g.must("systemctl", "restart", "haclusterd")
	_, pid := g.daemon()
	if got := statusField(fmt.Sprintf("/proc/%d", pid), "NoNewPrivs"); got != "1" {
		g.t.Errorf("NoNewPrivs = %s, want 1", got)
	}
}

func initialised(g guest) {
	if out := g.must("haclusterctl", "init"); !strings.Contains(out, "haclusterctl join ") {
		g.t.Errorf("init prints no command for the others:\n%s", out)
	}
	lab.Want(g.t, 10*time.Second, "the node leads its cluster", func() (string, bool) {
		r := g.run("haclusterctl", "status")
		return r.String(), strings.Contains(r.out, "leader lb01")
	})
}

func killed(g guest) {
	_, pid := g.daemon()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		g.t.Fatal(err)
	}
	lab.Want(g.t, restart, "another process runs", func() (string, bool) {
		now := g.property("haclusterd", "NRestarts")
		return now + " restarts", now == "1"
	})
	g.wantActive(restart)
	lab.Want(g.t, 10*time.Second, "the node leads its cluster", func() (string, bool) {
		r := g.run("haclusterctl", "status")
		return r.String(), strings.Contains(r.out, "leader lb01")
	})
}

func frozen(g guest) {
	_, pid := g.daemon()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		g.t.Fatal(err)
	}
	lab.Want(g.t, 40*time.Second, "another process runs", func() (string, bool) {
		now := g.property("haclusterd", "NRestarts")
		return now + " restarts", now == "2"
	})
	g.wantActive(restart)
	if log := g.journal("--output=cat"); !strings.Contains(log, "Watchdog timeout") {
		g.t.Errorf("the journal does not name the watchdog:\n%s", log)
	}
}

func disabledStaysSo(g guest) {
	g.must("systemctl", "disable", "--now", "haclusterd")
	g.must("dpkg", "--install", packageInside)
	g.wantOutput("disabled", "systemctl", "is-enabled", "haclusterd")
	g.wantOutput("inactive", "systemctl", "is-active", "haclusterd")
	g.must("systemctl", "enable", "haclusterd")
}

// conf is a document with the address and scripts of root and of nobody.
func conf(addr netip.Addr) string {
	return fmt.Sprintf(`
global_defs {
	vrrp_version 3
	enable_script_security
	script_user root
}
vrrp_script check {
	script /usr/local/bin/check.sh
	interval 1
	user nobody
}
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id 51
	priority 100
	advert_int 0.3
	track_script {
		check
	}
	notify_master /usr/local/bin/notify.sh
	virtual_ipaddress {
		%v/24
	}
}
`, addr)
}

// shellWho is a script that writes its user, real-time priority and
// scheduling policy, and fails when it cannot.
func shellWho(file string) string {
	return fmt.Sprintf("#!/bin/sh\necho \"uid $(id -u) sched $(cut -d' ' -f40,41 /proc/self/stat)\" >%s\n", file)
}

func standalone(g guest) {
	g.must("rm", "-r", "/etc/systemd/system/haclusterd.service.d")
	g.must("systemctl", "daemon-reload")
	g.write("/usr/local/bin/check.sh", shellWho("/tmp/check"), 0o755)
	g.write("/usr/local/bin/notify.sh", shellWho("/tmp/notify"), 0o755)
	g.write(document, conf(vip), 0o600)
	g.write(defaults, "HACLUSTERD_OPTS=\"--standalone\"\n", 0o644)
	g.must("systemctl", "start", "haclusterd")

	g.watch.WantHolder(g.node, vip, election)
	lab.Want(g.t, 5*time.Second, "the scripts have run", func() (string, bool) {
		check, notify := g.run("cat", "/tmp/check"), g.run("cat", "/tmp/notify")
		return check.String() + notify.String(),
			check.out == "uid 65534 sched 0 0\n" && notify.out == "uid 0 sched 0 0\n"
	})
	if got, _ := g.node.Address(vip); got.Valid == 0 {
		g.t.Errorf("%v has no lifetime", vip)
	}
	if got := strings.TrimSpace(g.must("cat", "/proc/sys/net/ipv4/conf/eth0/promote_secondaries")); got != "1" {
		g.t.Errorf("promote_secondaries = %s, want 1", got)
	}
	realtime(g) // after scripts were started, too
}

// upgraded installs the same program in another file: what runs is replaced.
func upgraded(g guest) {
	begin, pid := time.Now(), g.property("haclusterd", "MainPID")
	out := g.must("dpkg", "--install", packageInside)
	if !strings.Contains(out, "haclusterd of lb01 runs anew") {
		g.t.Errorf("dpkg does not say that the new program runs:\n%s", out)
	}
	lab.During(2 * time.Second)
	view := g.watch.Since(begin)
	view.WantDarkAtMost(50*time.Millisecond, vip)
	for _, advert := range view.Adverts(4, 51) {
		if advert.Priority == 0 {
			g.t.Errorf("it has said goodbye at %v", advert.At)
		}
	}
	g.wantOutput(pid, "systemctl", "show", "--value", "--property=MainPID", "haclusterd")
	if log := g.journal("--output=cat"); !strings.Contains(log, "the program was replaced") {
		g.t.Errorf("the journal does not say that another program runs:\n%s", log)
	}
	g.wantActive(restart)
	realtime(g)
}

// upgradedUnasked takes the socket away for one that is elsewhere.
func upgradedUnasked(g guest) {
	pid := g.property("haclusterd", "MainPID")
	g.must("mv", socket, socket+".away")
	out := g.must("dpkg", "--install", packageInside)
	if !strings.Contains(out, "does not answer on") {
		g.t.Errorf("dpkg does not say why the daemon is restarted:\n%s", out)
	}
	if now := g.property("haclusterd", "MainPID"); now == pid {
		g.t.Errorf("process %s goes on", pid)
	}
	g.must("rm", socket+".away")
	g.wantActive(restart)
	g.watch.WantHolder(g.node, vip, election)
}

func reload(g guest) {
	other := netip.MustParseAddr("192.0.2.101")
	g.write(document, conf(other), 0o600)
	g.must("systemctl", "reload", "haclusterd")
	g.node.WantAddr(other, 3*time.Second)
	g.node.WantNoAddr(vip, 3*time.Second)

	g.write(document, "vrrp_instance VI_1 {\n\tpriorty 100\n}\n", 0o600)
	g.must("systemctl", "reload", "haclusterd")
	lab.Want(g.t, 3*time.Second, "the refusal is in the journal", func() (string, bool) {
		r := g.run("journalctl", "--unit=haclusterd", "--no-pager", "--output=cat", "--priority=err")
		return r.String(), strings.Contains(r.out, "reload refused") && strings.Contains(r.out, "priorty")
	})
	if !g.node.Has(other) {
		g.t.Error("a refused document took the address away")
	}

	g.write(document, conf(vip), 0o600)
	g.must("systemctl", "reload", "haclusterd")
	g.watch.WantHolder(g.node, vip, election)
}

func killedHolder(g guest) {
	_, pid := g.daemon()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		g.t.Fatal(err)
	}
	g.node.WantNoAddr(vip, expiry)
	g.wantActive(restart)
	g.watch.WantHolder(g.node, vip, election)
}

// rival needs what the unit's few capabilities let the daemon see of others.
func rival(g guest) {
	const program = "/usr/local/bin/keepalived" // one that stands for it, outside of any unit
	g.write(program, "#!/bin/sh\nsleep 300\n", 0o755)
	g.must("sh", "-c", "setsid "+program+" </dev/null >/dev/null 2>&1 &")
	if r := g.run("systemctl", "restart", "haclusterd"); r.exit == 0 {
		g.t.Error("haclusterd has started")
	}
	if log := g.journal("--output=cat"); !strings.Contains(log, "runs virtual router 51") {
		g.t.Errorf("the journal does not say who runs the virtual router:\n%s", log)
	}
	g.must("pkill", "--exact", "keepalived")
	g.wantActive(restart)
	g.watch.WantHolder(g.node, vip, election)
}

func priorities(g guest) {
	want := map[string]string{"level=INFO": "6", "level=WARN": "4", "level=ERROR": "3"}
	seen := map[string]bool{}
	log := g.journal("--output=json", "--output-fields=MESSAGE,PRIORITY,_TRANSPORT")
	for line := range strings.Lines(log) {
		var entry struct {
			Message   string `json:"MESSAGE"`
			Priority  string `json:"PRIORITY"`
			Transport string `json:"_TRANSPORT"`
		}
		// A message that is not text comes as numbers; the daemon writes text.
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			g.t.Errorf("%v in %s", err, line)
			continue
		}
		level, _, _ := strings.Cut(entry.Message, " ")
		priority, ok := want[level]
		if !ok || entry.Transport != "stdout" {
			continue // systemd's own, or the runtime's last words
		}
		seen[level] = true
		if entry.Priority != priority {
			g.t.Errorf("priority %s, want %s: %s", entry.Priority, priority, entry.Message)
		}
	}
	for _, level := range []string{"level=INFO", "level=ERROR"} {
		if !seen[level] {
			g.t.Errorf("the journal has no line with %s:\n%s", level, log)
		}
	}
}

func removed(g guest) {
	begin := time.Now()
	g.must("dpkg", "--remove", "haclusterd")
	if g.node.Has(vip) {
		g.t.Errorf("%v is still there when dpkg has ended", vip)
	}
	adverts := g.watch.Since(begin).Adverts(4, 51)
	if len(adverts) == 0 || adverts[len(adverts)-1].Priority != 0 {
		g.t.Errorf("the last advert is no goodbye (priority 0): %v", adverts)
	}
	g.wantOutput("HACLUSTERD_OPTS=\"--standalone\"", "cat", defaults)
	g.wantOutput("inactive", "systemctl", "is-active", "haclusterd")
	if !g.exists("/var/lib/haclusterd") {
		g.t.Error("the identity of the member is gone")
	}

	g.must("dpkg", "--install", packageInside)
	g.wantActive(restart)
	g.wantOutput("HACLUSTERD_OPTS=\"--standalone\"", "cat", defaults)
	g.watch.WantHolder(g.node, vip, election)
}

func purged(g guest) {
	g.must("dpkg", "--purge", "haclusterd")
	if g.node.Has(vip) {
		g.t.Errorf("%v is still there when dpkg has ended", vip)
	}
	for _, path := range []string{"/var/lib/haclusterd", "/run/haclusterd", "/etc/haclusterd", defaults,
		"/usr/share/doc/haclusterd", "/lib/systemd/system/haclusterd.service",
		"/etc/systemd/system/haclusterd.service", "/etc/systemd/system/multi-user.target.wants/haclusterd.service",
		"/lib/systemd/system/haclusterd-realserver.service", "/etc/systemd/system/haclusterd-realserver.service",
		"/etc/systemd/system/multi-user.target.wants/haclusterd-realserver.service"} {
		if g.exists(path) {
			g.t.Errorf("%s is still there", path)
		}
	}
	if r := g.run("getent", "group", "haclusterd"); r.exit == 0 {
		g.t.Errorf("the group is still there: %v", r)
	}
	g.wantOutput("running", "systemctl", "is-system-running")
	if !g.exists(document) {
		g.t.Error("keepalived's document is gone, which is not the package's")
	}
}
