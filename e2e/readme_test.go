package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// readmeConf is what a file of the README's example directory holds.
func readmeConf(name string, vrid, priority int, addr netip.Addr) string {
	return fmt.Sprintf(`! keepalived.conf of %s
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id %d
	priority %d
	advert_int 1
	virtual_ipaddress {
		%v/24
	}
}
`, name, vrid, priority, addr)
}

// readme is the README's example world: three machines in a cluster, one that
// runs alone, and a directory with the files that the commands name.
type readme struct {
	t     *testing.T
	dir   string
	lb    []*lab.Daemon // lb01, lb02, lb03
	alone *lab.Node
	join  string // the command that init printed
}

// TestEveryCommandOfTheReadmeWorks runs each line of each sh block, in order,
// as it stands there. A command that is not known here is a failure.
func TestEveryCommandOfTheReadmeWorks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := shellLines(string(text))
	if len(commands) < 20 {
		t.Fatalf("found %d commands in the README, want at least 20: %q", len(commands), commands)
	}

	lan := lab.New(t)
	w := &readme{t: t, dir: t.TempDir()}
	for _, name := range []string{"lb01", "lb02", "lb03"} {
		d := lan.Node(name).StartMember(lab.Service)
		d.WantSocket(10 * time.Second)
		w.lb = append(w.lb, d)
	}
	w.alone = lan.Node("alone")
	w.write("cluster.conf", documentOf(t, string(text)))
	w.write("lb01.conf", readmeConf("lb01", 51, 150, vip))
	w.write("lb02.conf", readmeConf("lb02", 51, 120, vip))
	w.write("keepalived.conf", readmeConf("alone", 52, 100, vip2))

	for _, command := range commands {
		w.do(command)
	}
	for _, must := range []string{"init", "join", "status", "config edit", "config import"} {
		if !slices.ContainsFunc(commands, func(c string) bool { return strings.HasPrefix(c, "haclusterctl "+must) }) {
			t.Errorf("the README shows no haclusterctl %s", must)
		}
	}
}

var fencedShell = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// shellLines are the commands in the README's sh blocks.
func shellLines(text string) []string {
	var all []string
	for _, block := range fencedShell.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				all = append(all, line)
			}
		}
	}
	return all
}

// documentOf is the README's example of a configuration.
func documentOf(t *testing.T, text string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "```\nvrrp_instance")
	document, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the README shows no configuration in a block without a language")
	}
	return "vrrp_instance" + document
}

func (w *readme) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// do runs one command where its reader would.
func (w *readme) do(command string) {
	w.t.Helper()
	words := strings.Fields(command)
	switch {
	case words[0] == "make" && len(words) == 2:
		w.wantTarget(words[1])
	case strings.HasPrefix(command, "haclusterctl init "):
		out := w.shell(w.lb[0], command)
		for line := range strings.Lines(out) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "haclusterctl join ") {
				w.join = line
			}
		}
		if w.join == "" {
			w.t.Fatalf("%s: no join command in\n%s", command, out)
		}
	case strings.HasPrefix(command, "haclusterctl join "):
		w.wantShape(words, strings.Fields(w.join))
		w.shell(w.lb[1], w.join)
		w.shell(w.lb[2], w.join)
		for _, d := range w.lb {
			wantPeers(w.t, d, 2)
		}
	case strings.HasPrefix(command, "haclusterctl handover "):
		w.wantOneHolder()
		w.shell(w.lb[2], command)
	case words[0] == "haclusterctl":
		w.shell(w.lb[1], command)
	case strings.HasPrefix(command, "haclusterd --check "):
		w.wantExit(w.alone.Run(w.env("", w.local(command))...), command)
	case strings.HasPrefix(command, "haclusterd --standalone="):
		daemon := w.local(command) + " --run-dir=" + filepath.Join(w.dir, "run") + " --data-dir=" + filepath.Join(w.dir, "data")
		p := w.alone.Start(w.env("", "exec "+daemon)...)
		w.alone.WantAddr(vip2, electionTime)
		if exit := p.Stop(5 * time.Second); exit != 0 {
			w.t.Errorf("%s: exit %d after SIGTERM\n%s", command, exit, p.Log())
		}
	default:
		w.t.Errorf("this test does not know the README's command %q", command)
	}
}

// local replaces the one path that is not the test's to write.
func (w *readme) local(command string) string {
	return strings.ReplaceAll(command, "/etc/keepalived/", w.dir+"/")
}

// env is a shell that runs a line as the reader's would: in the directory with
// the files, and with an editor that makes a small change.
func (w *readme) env(socket, line string) []string {
	return []string{
		"/usr/bin/env", "-C", w.dir, "HACLUSTER_SOCKET=" + socket,
		"PATH=" + filepath.Dir(lab.Binary(w.t, "haclusterctl")) + ":/usr/bin:/bin",
		`EDITOR=sed -i "s/priority 120/priority 125/"`,
		"/bin/sh", "-c", line,
	}
}

func (w *readme) shell(d *lab.Daemon, command string) string {
	w.t.Helper()
	r := d.Node.Run(w.env(d.Socket(), command)...)
	w.wantExit(r, command)
	return r.Stdout
}

func (w *readme) wantExit(r lab.Result, command string) {
	w.t.Helper()
	if r.Exit != 0 {
		w.t.Fatalf("README: %s: %v", command, r)
	}
}

// wantShape checks that the README's example of a command has the flags of the
// real one.
func (w *readme) wantShape(shown, real []string) {
	w.t.Helper()
	same := len(shown) == len(real)
	for i := 0; same && i < len(real); i++ {
		same = shown[i] == real[i] || !strings.HasPrefix(real[i], "-") && i > 1
	}
	if !same {
		w.t.Errorf("the README shows %q, init prints %q", shown, real)
	}
}

func (w *readme) wantTarget(name string) {
	w.t.Helper()
	text, err := os.ReadFile("../Makefile")
	if err != nil {
		w.t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `:`).Match(text) {
		w.t.Errorf("README: make %s: the Makefile has no such target", name)
	}
}

func (w *readme) wantOneHolder() {
	w.t.Helper()
	lab.Want(w.t, 20*time.Second, "one holder on lb01", func() (string, bool) {
		r := w.lb[0].Ctl("status", "--exit-code")
		return r.String(), r.Exit == 0
	})
}
