package sim

import (
	"time"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// This file is the shell around the core of package splitbrain: what wakes it, what
// gathers before it looks, and what it does with what the core says.

// gatherFor is how long datagrams wait for others after one has come, as in the
// arbiter's.
const gatherFor = 2 * time.Millisecond

// inbox is what has come for the arbiter since it last looked.
type inbox struct {
	datagrams []received
	sightings []splitbrain.Sighting
	woken     bool // there is something else to look at
	// Until then, in true time, what comes gathers, unless the arbiter looks for
	// another reason; afterwards it wakes the arbiter.
	gathers time.Time
	due     uint64 // the event of that time, if anything has gathered
}

type received struct {
	datagram splitbrain.Datagram
	at       time.Time
}

// arrive takes a datagram.
func (n *node) arrive(d splitbrain.Datagram) {
	n.inbox.datagrams = append(n.inbox.datagrams, received{d, n.now()})
	n.come()
}

// come wakes the arbiter for a datagram or a sighting, unless they gather.
func (n *node) come() {
	in := &n.inbox
	switch {
	case !n.w.now.Before(in.gathers):
		in.woken = true
	case in.due == 0:
		in.due = n.w.schedule(in.gathers, n, gathered{})
	}
}

// gathered is when what has gathered is looked at.
type gathered struct{}

func (gathered) do(n *node, event uint64) {
	if n.inbox.due == event {
		n.settle()
	}
}

// feed gives the core what has come. What comes just after that gathers, unless
// this had gathered itself.
func (n *node) feed() {
	in := &n.inbox
	gathered := n.w.now.Before(in.gathers) || in.due != 0
	in.woken, in.gathers, in.due = false, time.Time{}, 0
	for i := range in.datagrams {
		r := &in.datagrams[i]
		n.core.Receive(r.at, &r.datagram, "mesh")
	}
	for _, s := range in.sightings {
		n.core.Sighted(s)
	}
	if !gathered && len(in.datagrams)+len(in.sightings) > 0 {
		in.gathers = n.clock.truly(n.now().Add(gatherFor))
	}
	clear(in.datagrams)
	in.datagrams, in.sightings = in.datagrams[:0], in.sightings[:0]
}

// settle makes the arbiter look, whatever has come.
func (n *node) settle() {
	n.inbox.woken = true
	n.attend()
}

// attend tells the arbiter of changes, and the unit of verdicts, until both are
// quiet, and arms the timers.
func (n *node) attend() {
	for n.running {
		if n.stepped {
			n.stepped = false
			if view := n.view(); !same(&view, &n.told) {
				n.told, n.inbox.woken = view, true
				n.core.SetUnits([]splitbrain.UnitView{view})
			}
		}
		if !n.inbox.woken {
			break
		}
		n.feed()
		out := n.core.Step(n.now(), n.clock.instant(n.w.now))
		n.pledge = max(n.pledge, n.core.Binding())
		if out.NewWill || !n.willed {
			n.will, n.willed = n.core.Will(n.now()), true
		}
		n.elect(out.Store)
		n.send(&out)
		for i := range out.Probes {
			n.ask(out.Probes[i].Addr)
		}
		for _, v := range out.Verdicts {
			n.verdict(v.Verdict)
		}
		if out.Changed {
			n.fence()
		}
	}
	n.arm()
}

func (n *node) arm() {
	w := n.w
	if !n.running {
		return
	}
	if n.unit != nil {
		if due := n.unit.Deadline(); !due.IsZero() && !due.Equal(n.unitTimer.due) {
			n.unitTimer = timer{due, w.schedule(later(n.clock.truly(due), w.now), n, unitDue{})}
		}
	}
	if due := n.core.Deadline(); !due.Equal(n.coreTimer.due) {
		n.coreTimer = timer{due, w.schedule(later(n.clock.truly(due), w.now), n, coreDue{})}
	}
}

// timer is when something is due, and the event that it is then. Events of what
// was due before are void.
type timer struct {
	due   time.Time // by the node's clock; zero: never
	event uint64
}

type (
	unitDue struct{}
	coreDue struct{}
)

func (unitDue) do(n *node, event uint64) {
	if n.unitTimer.event == event {
		n.unitTimer = timer{}
		n.event(vrrp.Tick{})
		n.attend()
	}
}

func (coreDue) do(n *node, event uint64) {
	if n.coreTimer.event == event {
		n.coreTimer = timer{}
		n.settle()
	}
}

func (n *node) send(out *splitbrain.Output) {
	if out.Record != nil {
		n.spread(out.Record)
	}
	for i := range out.Relays {
		for _, m := range n.w.nodes {
			if r := &out.Relays[i]; m.name == r.To {
				n.w.deliver(meshNet, n, m, (*relayed)(r))
			}
		}
	}
	for _, a := range out.Alerts {
		n.w.check.alerts[a.Kind]++
		n.w.logf("%s: alert %s (%s) resolved=%v: %s", n.name, a.Kind, a.Peer, a.Resolved, a.Summary)
	}
}

// letter is a record on its way to a node, or to several: none of them changes it.
type letter splitbrain.Record

func (l *letter) do(n *node, _ uint64) {
	n.arrive(splitbrain.Datagram{Record: splitbrain.Record(*l)})
	n.attend()
}

// relayed is one that another node passes on.
type relayed splitbrain.OutRelay

func (r *relayed) do(n *node, _ uint64) {
	n.arrive(r.Datagram)
	n.attend()
}

// spread takes a record to all other nodes.
func (n *node) spread(r *splitbrain.Record) {
	for _, m := range n.w.nodes {
		if m != n && n.knows(m) {
			n.w.deliver(meshNet, n, m, (*letter)(r))
		}
	}
}

// view is what the node would make of the unit's status.
func (n *node) view() splitbrain.UnitView {
	if n.unit == nil {
		return splitbrain.UnitView{}
	}
	s := n.unit.Status()
	heard := s.Instances[0].LastAdvert
	return splitbrain.UnitView{
		Name: s.Name, State: splitbrain.State(s.State), Since: s.Since, Wants: splitbrain.Want(s.Wants),
		Tenure:   splitbrain.Tenure{Seq: s.Tenure.Seq, Priority: uint8(s.Tenure.Priority), Primary: s.Tenure.Primary},
		Released: s.State != vrrp.Master && s.Tenure.Seq > 0,
		Eligible: s.State != vrrp.Fault && s.State != vrrp.Init,
		Priority: uint8(s.Priority), Primary: s.Primary,
		VIPs:           n.vips(),
		Heard:          splitbrain.Advert{From: heard.From, Priority: uint8(heard.Priority), At: heard.At},
		AdvertInterval: n.w.interval, DownTimerAdverts: 3,
		Policy: n.w.policy, Lease: n.lease(),
		Networks: n.networks(), AllowForeign: n.w.allowed(),
	}
}

func same(a, b *splitbrain.UnitView) bool {
	return a.State == b.State && a.Since.Equal(b.Since) && a.Wants == b.Wants && a.Tenure == b.Tenure &&
		a.Released == b.Released && a.Eligible == b.Eligible && a.Priority == b.Priority &&
		a.Primary == b.Primary && a.Heard.From == b.Heard.From && a.Heard.Priority == b.Heard.Priority && a.Name == b.Name &&
		a.Lease == b.Lease && len(a.VIPs) == len(b.VIPs)
}
