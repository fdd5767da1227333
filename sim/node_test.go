package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// node is one machine.
type node struct {
	w        *world
	index    int
	name     string
	addr     netip.Addr
	priority vrrp.Priority
	witness  bool // has no unit
	clock    clock

	life    int // counts boots
	up      bool
	running bool      // up and not paused
	since   time.Time // when it began to run, or to be able to serve
	began   time.Time // when this life began
	unit    *vrrp.Unit
	core    *splitbrain.Core
	boot    splitbrain.BootID
	told    splitbrain.UnitView
	stepped bool // the unit was, since then
	inbox   inbox
	unitTimer,
	coreTimer timer
	will   splitbrain.Record // deposited with the supervisor
	willed bool
	pledge kclock.Instant // that the supervisor holds; 0: nothing is known

	off       bool            // without power
	holds     bool            // the kernel has the VIP
	heldFrom  time.Time       // since when
	outranked span            // in which it has heard a stranger that comes before it
	rivals    map[*node]rival // the latest announcement of each that it has seen
	gate      gate
	stall     stall
	paused    time.Time
	pauses    int
	then      []func() // what the process was about to do when it was stopped
	buffered  []deed
	fencer    *fencer
	disarmed  time.Time // until then, by its clock, a person has frozen its fencing
	stubborn  bool      // it does not yield
	stuck     bool      // its kernel takes packets for the VIP whatever the gate says
	penance   time.Time // when it last was neither
	answered  bool      // when that was last looked at
	guilty    time.Time // when this life last did
	degraded  bool      // its tracked script is down: lower priority
	broken    bool      // its tracked interface is down: FAULT

	disk disk
}

// disk is what outlives a machine.
type disk struct {
	roster     roster
	electorate splitbrain.Electorate
	leases     []time.Duration // L of the last three revisions
}

const (
	unitName  = "VI_1"
	trackSoft = "script:chk"
	trackHard = "interface:eth0"
	softDrop  = -70

	// announceDelay is when a MASTER announces its addresses again.
	announceDelay = 5 * time.Second
)

var (
	vip  = netip.MustParsePrefix("192.0.2.100/24")
	vip2 = netip.MustParsePrefix("192.0.2.101/24")
)

func newNode(w *world, i int) *node {
	n := &node{
		w: w, index: i, name: fmt.Sprintf("n%d", i+1), addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}),
		rivals: make(map[*node]rival),
	}
	n.priority = vrrp.Priority(200 - 20*i)
	if w.equal {
		n.priority = 100
	}
	n.witness = i >= w.config.nodes && i != w.config.nodes+w.config.witnesses
	n.clock = w.clocks.draw(w.rng)
	n.disk.leases = []time.Duration{w.lease}
	return n
}

// byEvents reports whether leases of a majority open the gate.
func (n *node) byEvents() bool { return n.w.policy == splitbrain.PolicyQuorum }

// now is the time that this node's timers run on.
func (n *node) now() time.Time { return n.clock.local(n.w.now) }

func (n *node) spec() vrrp.UnitSpec {
	s := vrrp.UnitSpec{Name: unitName, KernelLease: vrrp.LeaseByAdverts, Instances: []vrrp.InstanceSpec{{
		Name: unitName, Interface: "eth0", Family: vrrp.IPv4, VRID: 51, Version: 3,
		Priority: n.priority, AdvertInterval: n.w.interval, DownTimerAdverts: 3, Preempt: n.w.preempt,
		Addresses: []vrrp.Address{{Prefix: vip, Interface: "eth0"}},
		Announce:  vrrp.Announce{Repeat: 5, Delay: announceDelay, LowerPrioRepeat: 5, LowerPrioDelay: announceDelay},
		Tracks:    []vrrp.Track{{Key: trackSoft, Weight: softDrop}, {Key: trackHard}},
	}}}
	if n.byEvents() {
		s.KernelLease, s.LeaseTime = vrrp.LeaseByEvents, n.lease()
	}
	if n.w.addresses[n.index] > 1 {
		s.Instances[0].Addresses = append(s.Instances[0].Addresses, vrrp.Address{Prefix: vip2, Interface: "eth0"})
	}
	return s
}

var allVIPs = [...]netip.Addr{vip.Addr(), vip2.Addr()}

func (n *node) vips() []netip.Addr { return allVIPs[:max(n.w.addresses[n.index], 1)] }

// start begins a new life: what an earlier one left is removed first.
func (n *node) start() {
	n.off, n.stubborn, n.stuck = false, false, false
	n.shut()
	n.w.drop(n)
	n.gate.granted = vrrp.Lease{}
	n.answered, n.guilty = false, time.Time{}
	n.boot = splitbrain.BootID(n.w.rng.Uint64() | 1)
	n.begin(nil)
}

// begin starts a process: the first one of a life, or one that goes on with it.
func (n *node) begin(h *heir) {
	w := n.w
	n.life++
	n.up, n.running, n.since, n.began = true, true, w.now, w.now
	n.buffered, n.then, n.stall, n.outranked = nil, nil, stall{}, span{}
	n.core = splitbrain.NewCore(n.name, n.boot, 1, w.heartbeat, n.now())
	n.core.ElectorateStored(n.disk.electorate)
	startup := vrrp.Startup{Recovered: n.life > 1}
	if h != nil {
		n.core.Inherit(h.legacy)
		startup = vrrp.Startup{Heritage: h.heritage}
	}
	n.core.SetBinding(n.pledge)
	n.told, n.willed = splitbrain.UnitView{}, false
	n.inbox, n.unitTimer, n.coreTimer = inbox{}, timer{}, timer{}
	n.core.SetMembers(n.others())
	n.core.SetMACs([]splitbrain.MAC{n.mac()})
	n.core.SetLeaseBound(n.leaseBound())
	n.beginFencing()
	w.logf("%s starts, boot %x", n.name, n.boot)
	n.unit = nil
	if !n.witness {
		n.unit = vrrp.NewUnit(n.spec())
		n.event(vrrp.SourceChanged{Instance: unitName, Source: n.addr})
		n.event(vrrp.TrackResult{Key: trackSoft, Up: !n.degraded})
		n.event(vrrp.TrackResult{Key: trackHard, Up: !n.broken})
		n.event(startup)
	}
	n.settle()
}

// maxBuffered is what a socket keeps for a process that does not read.
const maxBuffered = 200

func (n *node) receive(what deed) {
	switch {
	case n.running:
		what.do(n, 0)
	case n.up && len(n.buffered) < maxBuffered:
		n.buffered = append(n.buffered, what)
	}
}

// event feeds the unit and carries out what it says.
func (n *node) event(ev vrrp.Event) {
	if n.unit == nil {
		return
	}
	t0, now := n.w.now, n.now()
	if n.stops(atLook, func() { n.take(t0, now, ev) }) {
		return
	}
	n.take(t0, now, ev)
}

func (n *node) take(t0, now time.Time, ev vrrp.Event) {
	n.stepped = true
	actions := n.unit.Step(now, ev)
	var stood time.Duration
	for _, a := range actions {
		if a, ok := a.(vrrp.Notify); ok && a.To == vrrp.Master && a.From != vrrp.Master {
			stood = n.enter(t0, n.unit.Status().Tenure.Seq)
			break
		}
	}
	n.perform(actions)
	if stood > 0 && n.running {
		n.event(vrrp.Paused{For: stood})
	}
}

func (n *node) perform(actions []vrrp.Action) {
	w := n.w
	for i, action := range actions {
		switch a := action.(type) {
		case vrrp.SendAdvert:
			before := w.now
			rest := actions[i+1:]
			if a.Priority > 0 && n.stops(atSend, func() { n.advertise(a, before, rest) }) {
				return
			}
			n.advertise(a, before, rest)
			return
		case vrrp.Claim:
			w.hold(n)
		case vrrp.Release:
			n.shut() // before any address goes
			w.drop(n)
		case vrrp.AnnounceAddrs:
			n.announce(a.Repeat)
		case vrrp.Notify:
			w.logf("%s %v → %v: %s", n.name, a.From, a.To, a.Reason)
			if a.To == vrrp.Master {
				w.check.usurps(n)
			}
		}
	}
}

// advertise sends an advert, as far as the gate lets it pass, and goes on.
func (n *node) advertise(a vrrp.SendAdvert, before time.Time, rest []vrrp.Action) {
	w := n.w
	if a.Priority == 0 || n.open() {
		if a.Priority > 0 {
			w.check.signOfLife()
		}
		ev := &advert{n, vrrp.Advert{Instance: unitName, From: n.addr, Priority: a.Priority, Interval: w.interval, Kin: true}}
		for _, to := range w.nodes {
			if to != n && !to.witness {
				w.deliver(vrrpNet, n, to, ev)
			}
		}
		if w.stranger.up {
			w.toKernel(n, w.stranger.node, &overheard{&w.stranger, ev.Advert})
		}
	}
	done := func() {
		n.perform(rest)
		if a.Priority > 0 && n.running {
			n.prolong(before)
		}
	}
	if a.Priority > 0 && n.stops(atStore, done) {
		return
	}
	done()
}

// advert is one on its way to a node.
type advert struct {
	from *node
	vrrp.Advert
}

// An advert is taken as the engine does: the arbiter hears of each one, but gets a
// new view only when something has changed.
func (a *advert) do(n *node, _ uint64) {
	if !n.knows(a.from) { // any more, or yet
		n.hearStranger(a.Advert, n.vips(), n.w.foreign == foreignFollow)
		return
	}
	n.core.Observe(splitbrain.AdvertEvidence{
		Unit: unitName, From: a.From, Priority: uint8(a.Priority), VIPs: n.vips(), At: n.now(),
	})
	n.event(a.Advert)
	n.attend()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (n *node) verdict(v splitbrain.Verdict) {
	if !n.w.quiet {
		n.logVerdict(v)
	}
	var ev vrrp.Event
	switch v := v.(type) {
	case splitbrain.Hold:
		ev = vrrp.Hold{Until: v.Until, Rank: v.Rank, Reason: v.Reason}
	case splitbrain.TakeOver:
		ev = vrrp.TakeOver{After: v.After, Reason: v.Reason}
	case splitbrain.Yield:
		if n.stubborn {
			return
		}
		ev = vrrp.Yield{Tenure: v.Tenure, Successor: v.Successor, Reason: v.Reason}
	case splitbrain.Members:
		ev = vrrp.Members{Addrs: v.Addrs}
	case splitbrain.Lease:
		ev = vrrp.Lease{Tenure: v.Tenure, Until: v.Until}
	case splitbrain.Reannounce:
		ev = vrrp.Reannounce{}
	}
	if n.w.latency == 0 {
		n.tell(ev)
		return
	}
	n.w.schedule(n.w.now.Add(n.w.latency), n, &told{ev})
}

func (n *node) logVerdict(v splitbrain.Verdict) {
	switch v := v.(type) {
	case splitbrain.Hold:
		n.w.logf("%s: verdict hold for %v, rank %v: %s", n.name, v.Until.Sub(n.now()), v.Rank, v.Reason)
	case splitbrain.TakeOver:
		n.w.logf("%s: verdict take over after %v: %s", n.name, v.After, v.Reason)
	case splitbrain.Yield:
		n.w.logf("%s: verdict yield %d to %s: %s", n.name, v.Tenure, v.Successor, v.Reason)
	}
}

// told is a verdict on its way to the engine.
type told struct{ vrrp.Event }

func (t *told) do(n *node, _ uint64) {
	n.tell(t.Event)
	n.attend()
}

// tell delivers a verdict to the engine.
func (n *node) tell(ev vrrp.Event) {
	l, ok := ev.(vrrp.Lease)
	switch {
	case !n.running:
		n.then = append(n.then, func() { n.tell(ev) })
	case !ok:
		n.event(ev)
	case !n.stops(atStore, func() { n.grant(l) }):
		n.grant(l)
	}
}

// hold and drop are the kernel's side of a VIP.
func (w *world) hold(n *node) {
	n.holds, n.heldFrom = true, w.now
	w.check.dirty = true
}

func (w *world) drop(n *node) {
	n.holds = false
	w.check.dirty = true
}
