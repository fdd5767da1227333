package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F29, with F9, F10 and F12, and S67: a keepalived shares the virtual router with a cluster
// of two, and one of them holds. hacluster promises there only what can be kept
// alone: it is never worse than three keepalived under the same fault at the same
// time.
func TestF29WithKeepalivedAsPeerIsNeverWorse(t *testing.T) {
	type fault struct {
		name   string
		strike func(holder *lab.Node, p *lab.Process)
		lasts  time.Duration
		heal   func(holder *lab.Node, p *lab.Process)
		after  time.Duration
	}
	faults := []fault{
		{"killed", func(_ *lab.Node, p *lab.Process) { p.KillAll() }, 7 * time.Second, nil, 0},
		{"stopped", func(_ *lab.Node, p *lab.Process) { p.SignalAll(syscall.SIGSTOP) }, 8 * time.Second,
			func(_ *lab.Node, p *lab.Process) { p.SignalAll(syscall.SIGCONT) }, 5 * time.Second},
		{"unplugged", func(n *lab.Node, _ *lab.Process) { n.CutLink(lab.Service) }, 6 * time.Second,
			func(n *lab.Node, _ *lab.Process) { n.RestoreLink(lab.Service) }, 6 * time.Second},
		{"leaving", func(_ *lab.Node, p *lab.Process) { p.Signal(syscall.SIGTERM) }, 4 * time.Second, nil, 0},
	}
	measure := func(w *lab.Watcher, holder *lab.Node, p *lab.Process, f fault) lab.Window {
		w.WantHolder(holder, vip, electionTime+3*masterDown(150))
		w.WantMaster(holder, 4, 51, 3*time.Second)
		lab.During(time.Second)
		struck := time.Now()
		f.strike(holder, p)
		lab.During(f.lasts)
		if f.heal != nil {
			f.heal(holder, p)
			lab.During(f.after)
		}
		return w.Since(struck)
	}
	conf := "global_defs {\n\tvrrp_version 3\n}\n" + trioConf("")
	for _, f := range faults {
		for peer, role := range map[int]string{0: "as holder", 2: "as backup"} {
			t.Run(f.name+" with keepalived "+role, func(t *testing.T) {
				t.Parallel()
				start := func(name string, clustered bool) (*lab.Watcher, *lab.Node, *lab.Process) {
					lan := lab.NewNamed(t, fmt.Sprintf("%s_%s_%d", name, f.name, peer))
					nodes := []*lab.Node{lan.Node("lb01"), lan.Node("lb02"), lan.Node("lb03")}
					watch := lan.Watch(vip)
					procs := make([]*lab.Process, len(nodes))
					var members []*lab.Daemon
					for i, n := range nodes {
						if clustered && i != peer {
							d := n.StartMember(lab.Control)
							members, procs[i] = append(members, d), d.Process
						}
					}
					if clustered {
						lab.Form(t, conf, members...)
					}
					for i, n := range nodes {
						if procs[i] == nil {
							procs[i] = n.StartKeepalived(conf)
						}
					}
					return watch, nodes[0], procs[0]
				}
				mixed, ourHolder, ourProcess := start("mixed", true)
				alone, theirHolder, theirProcess := start("alone", false)

				got := make(chan lab.Window, 1)
				go func() { got <- measure(alone, theirHolder, theirProcess, f) }()
				ours := measure(mixed, ourHolder, ourProcess, f)
				theirs := <-got
				t.Logf("with hacluster: two for %v, dark for %v; keepalived alone: two for %v, dark for %v",
					ours.E(vip), ours.Dark(vip), theirs.E(vip), theirs.Dark(vip))
				two := theirs.E(vip) + meeting
				if peer == 0 && two > meeting {
					two += time.Second // it answers on, and its last advert was up to an interval ago
				}
				ours.WantNeverTwo(two, vip)
				// Where keepalived goes on answering on two machines it is not dark.
				ours.WantDarkAtMost(max(theirs.Dark(vip), masterDown(120))+slack, vip)
			})
		}
	}
}
