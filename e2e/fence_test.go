package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// fenceAgent is an agent by the convention of ClusterLabs: it notes what it is
// asked, and its power switch kills the processes that the option pids lists.
const fenceAgent = `#!/bin/sh
while read -r line; do
	case $line in
	action=*) action=${line#*=} ;;
	nodename=*) node=${line#*=} ;;
	log=*) log=${line#*=} ;;
	pids=*) pids=${line#*=} ;;
	passwd=*) passwd=${line#*=} ;;
	monitor=*) monitor=${line#*=} ;;
	esac
done
echo "$action $node" >>"$log"
case $action in
monitor) echo "login with $passwd"; exit "${monitor:-0}" ;;
off | reboot) [ -n "$pids" ] && kill -9 $(cat "$pids") ;;
esac
exit 0
`

// fencePlace is a directory with the agent and its log.
type fencePlace struct{ agent, log, dir string }

func newFencePlace(t *testing.T) fencePlace {
	t.Helper()
	dir := t.TempDir()
	p := fencePlace{agent: filepath.Join(dir, "fence_lab"), log: filepath.Join(dir, "log"), dir: dir}
	if err := os.WriteFile(p.agent, []byte(fenceAgent), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

// words is a fence_agent block; of are the daemons that its switch kills.
func (p fencePlace) words(node string, more ...string) string {
	return fmt.Sprintf("fence_agent %s %s {\n log %s\n pids %s\n passwd s3cret-word\n %s\n }",
		node, p.agent, p.log, filepath.Join(p.dir, node), strings.Join(more, "\n"))
}

// power tells the switch which processes a node has.
func (p fencePlace) power(t *testing.T, d *lab.Daemon) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, d.Node.Name), []byte(strings.Trim(fmt.Sprint(d.Tree()), "[]")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runs are the lines that agents have noted, but for monitor.
func (p fencePlace) runs() string {
	text, _ := os.ReadFile(p.log)
	var out []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "monitor") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, ", ")
}

// Two nodes that hear each other on no channel both hold the address; policy mesh
// cannot end that. The one that is named first proves it by unicast and takes the
// other's power (R11).
func TestASplitThatNothingElseEndsIsFenced(t *testing.T) {
	t.Parallel()
	place := newFencePlace(t)
	lan := lab.New(t)
	a, b := lan.Node("lb01"), lan.Node("lb02")
	watch := lan.Watch(vip)
	da, db := a.StartMember(lab.Service), b.StartMember(lab.Service)
	lab.Form(t, strings.Replace(trioConf(`split_brain {
		fence_first lb02
		fence_after 2
		fence_timeout 5
		`+place.words("lb01")+"\n"+place.words("lb02")+"\n}"), "@lb03 priority 100", "", 1), da, db)
	wantPeers(t, da, 1)
	watch.WantHolder(a, vip, electionTime+3*masterDown(150))
	place.power(t, da)
	place.power(t, db)

	for _, c := range []lab.Channel{lab.VRRP, lab.GossipUDP, lab.Heartbeats, lab.API} {
		b.Block(c, lab.Both)
	}
	// lb02 has the lower priority, and is named first.
	lab.Want(t, 20*time.Second, "lb02 fences lb01", func() (string, bool) { return place.runs(), place.runs() == "reboot lb01" })
	lab.Want(t, 5*time.Second, "lb01 is dead", func() (string, bool) { return da.Log(), !da.Running() })
	a.WantNoAddr(vip, 5*time.Second)
	alone := time.Now()
	wantAlert(t, db, 5*time.Second, "node_fenced", "lb01")
	lab.During(15 * time.Second) // longer than fence_delay: the other one would have had its turn
	watch.Since(alone).WantNeverTwo(0, vip)
	watch.WantHolder(b, vip, time.Second)
	if got := place.runs(); got != "reboot lb01" {
		t.Errorf("agents ran %q, want lb01 fenced once", got)
	}
	for _, text := range []string{db.Log(), alertsOf(db)} {
		if strings.Contains(text, "s3cret-word") {
			t.Error("the agent's password is shown")
		}
	}
}

// Agents are checked when they are configured: one that would fail is known before
// it is needed. One is a real agent of Debian's fence-agents.
func TestFenceAgentsAreChecked(t *testing.T) {
	t.Parallel()
	place := newFencePlace(t)
	lan := lab.New(t)
	a, b := lan.Node("lb01"), lan.Node("lb02")
	da, db := a.StartMember(lab.Control), b.StartMember(lab.Control)
	conf := func(monitor string) string {
		return strings.Replace(trioConf(`split_brain {
			fence_first lb01
			`+place.words("lb01", monitor)+`
			fence_agent lb02 fence_dummy {
				status_file `+filepath.Join(place.dir, "power")+`
			}
		}`), "@lb03 priority 100", "", 1)
	}
	lab.Form(t, conf("monitor 1"), da, db)
	wantPeers(t, da, 1)
	// lb02 would use the agent of lb01, and finds that it fails.
	wantAlert(t, db, 10*time.Second, "fence_agent_failed", "lb01", "exit status 1", "login with ***")
	if strings.Contains(alertsOf(da), "fence_agent_failed/lb01") {
		t.Errorf("fence_dummy fails: %s", alertsOf(da))
	}
	if shown := db.MustCtl("config", "diff", "1", "1"); strings.Contains(shown, "s3cret") {
		t.Errorf("diff shows a secret:\n%s", shown)
	}
	fixed := db.Node.WriteFile("fixed.conf", conf("monitor 0"))
	db.MustCtl("config", "apply", fixed)
	lab.Want(t, 10*time.Second, "the alert ends", func() (string, bool) {
		open := db.MustCtl("alerts", "-o", "json")
		return open, !strings.Contains(open, "fence_agent_failed")
	})
	if place.runs() != "" {
		t.Errorf("a check has fenced: %s", place.runs())
	}
}
