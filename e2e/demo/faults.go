package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// kill ends the holder without a word.
func (p *play) kill() {
	p.l.title("The holder is killed (kill -9)")
	begin := time.Now()
	p.a.daemon.KillAll()
	p.watch.WantHolder(p.b.Node, vip, masterDown(120)+5*time.Second)
	view := p.watch.Since(begin.Add(-2 * time.Second))
	change, ok := view.Takeover(4, vrid, p.a.Node, p.b.Node)
	took := change.Length()
	limit := masterDown(120)
	switch {
	case !ok:
		p.t.Fatalf("lb02 did not take over: %v", view.Reigns(4, vrid))
	case took > limit+slack:
		p.t.Errorf("lb02 took over after %s, want %s", span(took), span(limit))
	}
	view.WantNeverTwo(0, vip)
	p.l.say("lb02 sends its first advert %s after the last one of lb01. VRRP alone waits", span(took))
	p.l.say("for %s, three advert intervals and a skew; the members know sooner, because", span(limit))
	p.l.say("the machine answers for itself and not for the address, whose gate its kernel has")
	p.l.say("closed. Nobody answered for %s, and never two did.", span(view.Dark(vip)))
	p.l.pause()
	p.run(p.c, "status")
	p.l.record("kill -9 of the holder: last advert → first of the next", span(took), span(limit)+" (VRRP)")
	p.l.record("  nobody answered for", span(view.Dark(vip)), "")
	p.l.record("  two answered for", span(view.E(vip)), "0 ms")
}

// returns starts the killed daemon again.
func (p *play) returns() {
	p.l.title("It returns")
	begin := time.Now()
	p.a.start(p.t)
	p.watch.WantHolder(p.a.Node, vip, masterDown(150)+5*time.Second)
	took := time.Since(begin)
	lab.During(time.Second) // a second holder would show itself now
	view := p.watch.Since(begin)
	view.WantNeverTwo(meeting, vip)
	p.settled(p.c)
	p.l.say("lb01 has the higher priority: it listens first, then lb02 hands the address over,")
	p.l.say("%s after the start. Nobody answered for %s, two for %s.", span(took), span(view.Dark(vip)), span(view.E(vip)))
	p.l.pause()
	p.run(p.c, "vips")
	p.l.record("return: start → it holds again", span(took), "")
	p.l.record("  nobody answered for", span(view.Dark(vip)), "")
	p.l.record("  two answered for", span(view.E(vip)), "at most "+span(meeting))
}

// block drops protocol 112 on every machine.
func (p *play) block() {
	p.l.title("A firewall rule drops protocol 112 everywhere")
	p.l.say("No machine hears VRRP any more. With VRRP alone every backup would now take over.")
	p.l.pause()
	begin := time.Now()
	for _, m := range p.machines() {
		m.Block(lab.VRRP, lab.Both)
	}
	var alerted time.Duration
	for _, m := range []*machine{p.b, p.c} {
		seen, done := lab.Poll(masterDown(100)+5*time.Second, func() (string, bool) {
			r := m.daemon.Ctl("alerts", "-o", "json")
			return r.String(), strings.Contains(r.Stdout, "vrrp_channel_lost")
		})
		if !done {
			p.watch.Since(begin).WantNeverTwo(0, vip, second)
			p.t.Fatalf("%s raised no vrrp_channel_lost; its alerts: %s", m.Name, seen)
		}
		if alerted == 0 {
			alerted = time.Since(begin)
		}
	}
	lab.During(time.Until(begin.Add(blockedFor)))
	view := p.watch.Since(begin)
	for _, kind := range []lab.Kind{lab.ByNeighbour, lab.ByEcho} {
		if nodes := view.Series(vip, kind).Nodes(); !slices.Equal(nodes, []string{"lb01"}) {
			p.t.Errorf("while protocol 112 was blocked, %v was answered (%v) by %v, want lb01 alone", vip, kind, nodes)
		}
	}
	view.WantNeverTwo(0, vip, second)
	p.l.say("%s later: lb01 holds the address, alone. lb02 and lb03 know from the second", span(time.Since(begin)))
	p.l.say("heartbeat channel that it is alive, and say so:")
	p.l.pause()
	p.run(p.b, "alerts")
	p.l.record(fmt.Sprintf("protocol 112 blocked for %.0f s: two answered for", time.Since(begin).Seconds()), span(view.E(vip)), "0 ms")
	p.l.record("  nobody answered for", span(view.Dark(vip)), "")
	p.l.record("  alert after", span(alerted), "")
}

// killBlocked kills the holder while nobody hears adverts: that the backups
// stayed where they were must not mean that they stay there for ever.
func (p *play) killBlocked() {
	p.l.title("And when the holder dies while protocol 112 is blocked?")
	begin := time.Now()
	p.a.daemon.KillAll()
	limit := masterDown(120)*11/10 + 500*time.Millisecond
	p.watch.WantHolder(p.b.Node, vip, limit)
	took := time.Since(begin)
	lab.During(time.Second) // a second holder would show itself now
	view := p.watch.Since(begin)
	view.WantNeverTwo(meeting, vip)
	p.l.say("Its heartbeats end too: lb02 takes over, and answers %s after the kill.", span(took))
	p.l.pause()
	p.run(p.c, "vips")
	p.l.record("holder killed while 112 is blocked: kill → lb02 answers", span(took), "at most "+span(limit))
	p.l.record("  two answered for", span(view.E(vip)), "at most "+span(meeting))
}

// heal takes the rule back and starts the killed daemon again.
func (p *play) heal() {
	p.l.title("Healed")
	begin := time.Now()
	for _, m := range p.machines() {
		m.Unblock(lab.VRRP)
	}
	p.a.start(p.t)
	p.watch.WantHolder(p.a.Node, vip, masterDown(150)+5*time.Second)
	lab.Want(p.t, 15*time.Second, "no alert is open", func() (string, bool) {
		r := p.b.daemon.Ctl("alerts")
		return r.String(), r.Exit == 0 && r.Stdout == ""
	})
	took := time.Since(begin)
	p.settled(p.b)
	view := p.watch.Since(begin)
	view.WantNeverTwo(meeting, vip, second)
	p.l.say("The rule is gone and lb01 runs again; %s later it holds the address and no alert", span(took))
	p.l.say("is open.")
	p.l.pause()
	p.run(p.b, "status")
	p.l.record("rule gone, lb01 started → it holds, no alert open", span(took), "")
	p.l.record("  two answered for", span(view.E(vip)), "at most "+span(meeting))
}
