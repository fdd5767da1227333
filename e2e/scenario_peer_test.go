package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F29, with F9, F10 and F12, and S67: a keepalived shares the virtual router with a cluster of two. hacluster
// promises there only what can be kept alone: it is never worse than three
// keepalived under the same fault at the same time.
func TestF29WithKeepalivedAsPeerIsNeverWorse(t *testing.T) {
	faults := []struct {
		name   string
		strike func(holder *lab.Node, p *lab.Process)
		lasts  time.Duration
		heal   func(holder *lab.Node, p *lab.Process)
		after  time.Duration
	}{
		{"killed", func(_ *lab.Node, p *lab.Process) { p.KillAll() }, 7 * time.Second, nil, 0},
		{"stopped", func(_ *lab.Node, p *lab.Process) { p.SignalAll(syscall.SIGSTOP) }, 8 * time.Second,
			func(_ *lab.Node, p *lab.Process) { p.SignalAll(syscall.SIGCONT) }, 5 * time.Second},
		{"unplugged", func(n *lab.Node, _ *lab.Process) { n.CutLink(lab.Service) }, 6 * time.Second,
			func(n *lab.Node, _ *lab.Process) { n.RestoreLink(lab.Service) }, 6 * time.Second},
		{"leaving", func(_ *lab.Node, p *lab.Process) { p.Signal(syscall.SIGTERM) }, 4 * time.Second, nil, 0},
	}
	type outcome struct{ e, dark time.Duration }
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			measure := func(lan *lab.LAN, w *lab.Watcher, holder *lab.Node, p *lab.Process) outcome {
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
				view := w.Since(struck)
				return outcome{view.E(vip), view.Dark(vip)}
			}
			mixed, alone := lab.NewNamed(t, "mixed_"+f.name), lab.NewNamed(t, "alone_"+f.name)
			conf := "global_defs {\n\tvrrp_version 3\n}\n" + trioConf("")

			a, b, c := mixed.Node("lb01"), mixed.Node("lb02"), mixed.Node("lb03")
			watchMixed := mixed.Watch(vip)
			da, db := a.StartMember(lab.Control), b.StartMember(lab.Control)
			lab.Form(t, conf, da, db)
			c.StartKeepalived(conf)

			var procs []*lab.Process
			var nodes []*lab.Node
			for _, name := range []string{"lb01", "lb02", "lb03"} {
				nodes = append(nodes, alone.Node(name))
			}
			watchAlone := alone.Watch(vip)
			for _, n := range nodes {
				procs = append(procs, n.StartKeepalived(conf))
			}

			got := make(chan outcome, 1)
			go func() { got <- measure(alone, watchAlone, nodes[0], procs[0]) }()
			ours := measure(mixed, watchMixed, a, da.Process)
			theirs := <-got
			t.Logf("with hacluster: two for %v, dark for %v; keepalived alone: two for %v, dark for %v", ours.e, ours.dark, theirs.e, theirs.dark)
			if ours.e > theirs.e+meeting {
				t.Errorf("two holders for %v, keepalived alone %v", ours.e, theirs.e)
			}
			// Where keepalived goes on answering on two machines it is not dark.
			if limit := max(theirs.dark, masterDown(120)) + slack; ours.dark > limit {
				t.Errorf("dark for %v, want at most %v", ours.dark, limit)
			}
		})
	}
}
