package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

var (
	vip    = netip.MustParseAddr("192.0.2.100")
	second = netip.MustParseAddr("192.0.2.101")
)

const (
	vrid = 51

	// blockedFor is three times as long as a backup waits before it takes over.
	blockedFor = 11 * time.Second

	// meeting is how long a hand-over may show two holders: the old one gives
	// the address up when it hears of the new one.
	meeting = 100 * time.Millisecond

	// slack is what a busy machine may add to a time of the protocol.
	slack = 500 * time.Millisecond
)

// masterDown is Master_Down_Interval of VRRP version 2 at one advert a second
// (RFC 3768 section 6.1).
func masterDown(priority int) time.Duration {
	return 3*time.Second + time.Duration(256-priority)*time.Second/256
}

// play is the demo while it runs.
type play struct {
	t       lab.T
	l       *teller
	a, b, c *machine
	watch   *lab.Watcher
}

// tell plays the whole story.
func tell(t lab.T, l *teller) {
	begin := time.Now()
	lan := lab.New(t) // ends what was left running
	sweep()
	p := &play{t: t, l: l, a: newMachine(t, lan, "lb01"), b: newMachine(t, lan, "lb02"), c: newMachine(t, lan, "lb03")}
	p.watch = lan.Watch(vip, second)
	capture := captureFile(t)
	t.Cleanup(func() { p.saveCapture(capture) })

	l.say("Three network namespaces are the machines lb01, lb02 and lb03; each runs haclusterd.")
	l.say("A fourth one asks for the virtual address every 10 ms, and a capture at the switch")
	l.say("says who answers. Commands are shown as you would type them on a real machine.")

	p.form()
	p.configure()
	p.kill()
	p.returns()
	p.edit()
	p.block()
	p.killBlocked()
	p.heal()

	l.title("What was measured")
	l.table()
	p.saveCapture(capture)
	l.pause()
	l.say("The figures come from %s (open it with tcpdump or Wireshark).", capture)
	l.say("The demo took %s.", span(time.Since(begin)))
	if os.Getenv("KEEP") == "1" && !t.Failed() {
		p.instructions()
	}
}

func (p *play) machines() []*machine { return []*machine{p.a, p.b, p.c} }

// run types a command on a machine, prints what it says, and goes on only when
// it succeeds.
func (p *play) run(m *machine, args ...string) string {
	p.l.typed(m.Name, "haclusterctl "+quoted(args))
	r := m.daemon.Ctl(args...)
	p.l.shown(r.Stderr + r.Stdout)
	if r.Exit != 0 {
		p.t.Fatalf("%s: haclusterctl %s: exit %d", m.Name, quoted(args), r.Exit)
	}
	return r.Stdout
}

func quoted(args []string) string {
	var words []string
	for _, arg := range args {
		if strings.ContainsAny(arg, " '") {
			arg = "'" + arg + "'"
		}
		words = append(words, filepath.Base(arg))
		if !filepath.IsAbs(arg) {
			words[len(words)-1] = arg
		}
	}
	return strings.Join(words, " ")
}

// form makes a cluster of the three.
func (p *play) form() {
	p.l.title("Make a cluster")
	for _, m := range p.machines() {
		m.start(p.t)
	}
	begin := time.Now()
	p.l.typed("lb01", "haclusterctl init")
	r := p.a.daemon.Ctl("init")
	if r.Exit != 0 {
		p.t.Fatalf("lb01: haclusterctl init: %v", r)
	}
	p.l.shown(r.Stdout)
	var join []string
	for line := range strings.Lines(r.Stdout) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "haclusterctl" && words[1] == "join" {
			join = words[1:]
		}
	}
	if join == nil {
		p.t.Fatalf("haclusterctl init printed no join command")
	}
	p.run(p.b, join...)
	p.run(p.c, join...)
	p.l.record("three members, from the start of init", span(time.Since(begin)), "")
	for _, m := range p.machines() {
		p.heard(m)
	}
}

// heard waits until a machine hears the two others.
func (p *play) heard(m *machine) {
	lab.Want(p.t, 15*time.Second, m.Name+" hears the two others", func() (string, bool) {
		var status struct {
			Nodes []struct {
				Alive bool `json:"alive"`
			} `json:"nodes"`
		}
		m.daemon.CtlJSON(&status, "status")
		alive := 0
		for _, n := range status.Nodes {
			if n.Alive {
				alive++
			}
		}
		return fmt.Sprintf("%d alive", alive), alive == 3
	})
}

// configure imports three files, and waits for a holder.
func (p *play) configure() {
	p.l.title("Three keepalived.conf become one configuration")
	p.l.say("The files differ in router_id, state and priority (150, 120, 100).")
	p.l.pause()
	args := []string{"config", "import"}
	for i, m := range p.machines() {
		state, priority := "BACKUP", []int{150, 120, 100}[i]
		if i == 0 {
			state = "MASTER"
		}
		path := p.a.write(p.t, m.Name+".conf", keepalivedConf(m.Name, state, priority))
		args = append(args, "--node", m.Name+"="+path)
	}
	begin := time.Now()
	p.runShown(p.a, "config import --node lb01=lb01.conf --node lb02=lb02.conf --node lb03=lb03.conf --apply", append(args, "--apply")...)
	p.run(p.b, "config", "show")
	p.watch.WantHolder(p.a.Node, vip, masterDown(150)+2*time.Second)
	p.l.say("%v is held by lb01, seen from the fourth namespace %s after the command began:", vip, span(time.Since(begin)))
	p.l.say("nobody had answered for it, so lb01 waited Master_Down_Interval, %s.", span(masterDown(150)))
	p.l.pause()
	p.settled(p.c)
	p.run(p.c, "status")
}

// runShown is run with a command printed otherwise than it is given.
func (p *play) runShown(m *machine, command string, args ...string) {
	p.l.typed(m.Name, "haclusterctl "+command)
	r := m.daemon.Ctl(args...)
	p.l.shown(r.Stderr + r.Stdout)
	if r.Exit != 0 {
		p.t.Fatalf("%s: haclusterctl %s: exit %d", m.Name, command, r.Exit)
	}
}

// settled waits until a machine's status says that all is well.
func (p *play) settled(m *machine) {
	lab.Want(p.t, 15*time.Second, "status on "+m.Name+" says SAFE", func() (string, bool) {
		r := m.daemon.Ctl("status", "--exit-code")
		return r.String(), r.Exit == 0
	})
}

// edit changes the configuration on another machine.
func (p *play) edit() {
	p.l.title("One edit, on another machine")
	var before struct {
		Revision struct {
			Number int `json:"number"`
		} `json:"revision"`
	}
	p.c.daemon.CtlJSON(&before, "config", "show")
	former := before.Revision.Number
	const editor = `sed -i "/192.0.2.100/a 192.0.2.101/24"`
	p.l.typed("lb03", `EDITOR='`+editor+`' haclusterctl config edit -m 'a second address'`)
	begin := time.Now()
	r := p.c.Run("/usr/bin/env", "EDITOR="+editor, lab.Binary(p.t, "haclusterctl"), "--socket="+p.c.daemon.Socket(), "config", "edit", "-m", "a second address")
	p.l.shown(r.Stderr + r.Stdout)
	if r.Exit != 0 {
		p.t.Fatalf("lb03: haclusterctl config edit: exit %d", r.Exit)
	}
	var latest time.Time
	for _, m := range p.machines() {
		lab.Want(p.t, 5*time.Second, m.Name+" runs the edit", func() (string, bool) {
			at := m.runsSince(former + 1)
			if at.After(latest) {
				latest = at
			}
			return "no such line in " + m.logFile(), !at.IsZero()
		})
	}
	p.watch.WantHolder(p.a.Node, second, 5*time.Second)
	answers := p.watch.Since(begin).Series(second, lab.ByNeighbour)
	everywhere, answered := latest.Sub(begin), answers.Holdings[0].From.Sub(begin.Round(0))
	p.l.say("All three run it %s after the command was typed, and lb01 answers for the", span(everywhere))
	p.l.say("new address after %s.", span(answered))
	p.l.pause()
	p.run(p.b, "config", "diff", strconv.Itoa(former), strconv.Itoa(former+1))
	p.l.record("edit on lb03: typed → running on all three", span(everywhere), "")
	p.l.record("  typed → the new address answers", span(answered), "")
}

// captureFile is where the capture goes.
func captureFile(t lab.T) string {
	dir, err := filepath.Abs("dist")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	return filepath.Join(dir, "demo.pcap")
}

func (p *play) saveCapture(path string) {
	if err := p.watch.Save(path); err != nil {
		p.t.Errorf("save the capture: %v", err)
	}
}

// instructions say how to use what is left running.
func (p *play) instructions() {
	ctl := lab.Binary(p.t, "haclusterctl")
	p.l.title("It goes on running: try it")
	for _, m := range p.machines() {
		p.l.say("ip netns exec %s %s --socket %s status", m.Namespace(), ctl, m.daemon.Socket())
	}
	p.l.pause()
	p.l.say("Or stay on lb01, and look at its addresses and its log:")
	p.l.pause()
	p.l.say("export HACLUSTER_SOCKET=%s PATH=%s:$PATH", p.a.daemon.Socket(), filepath.Dir(ctl))
	p.l.say("ip netns exec %s bash", p.a.Namespace())
	p.l.say("haclusterctl vips; haclusterctl config edit; ip addr; tail -f %s", p.a.logFile())
	p.l.pause()
	p.l.say("Kill a daemon: kill -9 %d (lb01), %d (lb02) or %d (lb03).", p.a.daemon.PID(), p.b.daemon.PID(), p.c.daemon.PID())
	p.l.say("Drop VRRP on lb02, with Debian's package nftables, and let it pass again:")
	p.l.pause()
	p.l.say("ip netns exec %s nft 'table inet t { chain c { type filter hook input priority 0; meta l4proto 112 drop; }; }'", p.b.Namespace())
	p.l.say("ip netns exec %s nft delete table inet t", p.b.Namespace())
	p.l.pause()
	p.l.say("The next make demo cleans up. To do it now:")
	p.l.pause()
	common := strings.TrimSuffix(p.a.Namespace(), p.a.Name)
	p.l.say("kill %d %d %d", p.a.daemon.PID(), p.b.daemon.PID(), p.c.daemon.PID())
	p.l.say("for n in lb01 lb02 lb03 watcher switch; do ip netns del %s$n; done", common)
	p.l.say("rm -r %s*", strings.TrimSuffix(p.a.dir, p.a.Name))
}
