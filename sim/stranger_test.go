package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// This file is a router on the service network that is no member (R10): keepalived on
// the same virtual router, another cluster with the same VRID, or a machine that
// merely has the VIP. It asks nobody, and has no gate.

// foreign is what the cluster's configuration says of such routers.
type foreign int

const (
	foreignFollow  foreign = iota // those that have our addresses
	foreignIgnore                 // none
	foreignAllowed                // this one: allow_foreign lists it
	allForeign
)

func (f foreign) String() string {
	return [...]string{"follow", "ignore", "allowed"}[f]
}

// habit is what a stranger does.
type habit int

const (
	sharing   habit = iota // it is keepalived, on the same virtual router with the same VIP
	unrelated              // the same, with another VIP
	squatting              // it has the VIP, and knows nothing of VRRP
	habits
)

func (h habit) String() string { return [...]string{"sharing", "unrelated", "squatting"}[h] }

// stranger is that router. There is one at most.
type stranger struct {
	*node // its place in the network
	habit habit
	unit  *vrrp.Unit
	timer timer
}

func newStranger(w *world, i int) stranger {
	return stranger{node: &node{w: w, index: i, name: "stranger", addr: netip.AddrFrom4([4]byte{192, 0, 2, 200})}}
}

// comes makes it appear with a priority.
func (s *stranger) comes(h habit, priority vrrp.Priority, interval time.Duration) {
	if s.up {
		return
	}
	w := s.w
	s.up, s.habit, s.priority, s.timer = true, h, priority, timer{}
	w.logf("a stranger comes, %v, with priority %d each %v", h, priority, interval)
	if h == squatting {
		s.have(true)
		s.announce()
		return
	}
	s.unit = vrrp.NewUnit(vrrp.UnitSpec{Name: unitName, Instances: []vrrp.InstanceSpec{{
		Name: unitName, Interface: "eth0", Family: vrrp.IPv4, VRID: 51, Version: 3,
		Priority: priority, AdvertInterval: interval, DownTimerAdverts: 3, Preempt: true,
		Addresses: []vrrp.Address{{Prefix: vip, Interface: "eth0"}},
		Announce:  vrrp.Announce{Repeat: 5, Delay: announceDelay, LowerPrioRepeat: 5, LowerPrioDelay: announceDelay},
	}}})
	s.event(vrrp.SourceChanged{Instance: unitName, Source: s.addr})
	s.event(vrrp.TrackResult{Key: trackHard, Up: true})
	s.event(vrrp.Startup{})
}

// goes takes it away: politely, or its power.
func (s *stranger) goes(politely bool) {
	if !s.up {
		return
	}
	s.w.logf("the stranger goes, politely=%v", politely)
	if politely && s.unit != nil {
		s.event(vrrp.Shutdown{Reason: "stopped"})
	}
	s.up, s.unit = false, nil
	s.have(false)
}

// followed reports whether the members' units take its adverts.
func (s *stranger) followed() bool {
	switch s.w.foreign {
	case foreignIgnore:
		return false
	case foreignFollow:
		return s.habit == sharing
	}
	return s.habit != squatting
}

// allowed is allow_foreign.
func (w *world) allowed() []netip.Prefix {
	if w.foreign != foreignAllowed {
		return nil
	}
	return []netip.Prefix{netip.PrefixFrom(w.stranger.addr, 32)}
}

// serves reports whether the VIP is with it as VRRP has it.
func (s *stranger) serves() bool { return s.holds && s.habit == sharing && s.followed() }

func (s *stranger) have(it bool) {
	s.holds, s.heldFrom = it && s.habit != unrelated, s.w.now
	s.w.check.dirty = true
}

func (s *stranger) event(ev vrrp.Event) {
	if s.unit == nil {
		return
	}
	for _, action := range s.unit.Step(s.w.now, ev) {
		switch a := action.(type) {
		case vrrp.SendAdvert:
			s.advertise(a.Priority)
		case vrrp.Claim:
			s.have(true)
		case vrrp.Release:
			s.have(false)
		case vrrp.AnnounceAddrs:
			s.announce()
		case vrrp.Notify:
			s.w.logf("the stranger %v → %v: %s", a.From, a.To, a.Reason)
		}
	}
	if due := s.unit.Deadline(); !due.IsZero() && !due.Equal(s.timer.due) {
		s.timer = timer{due, s.w.schedule(later(due, s.w.now), nil, strangerDue{s})}
	}
}

// strangerDue is when its unit's timer ends.
type strangerDue struct{ *stranger }

func (d strangerDue) do(_ *node, event uint64) {
	if d.timer.event == event {
		d.timer = timer{}
		d.event(vrrp.Tick{})
	}
}

func (s *stranger) advertise(priority vrrp.Priority) {
	interval := s.unit.Status().Instances[0].AdvertInterval
	ev := &foreignAdvert{s.habit, vrrp.Advert{Instance: unitName, From: s.addr, Priority: priority, Interval: interval}}
	for _, to := range s.w.nodes {
		if !to.witness {
			s.w.deliver(vrrpNet, s.node, to, ev)
		}
	}
}

// announce tells the neighbours that it has the VIP.
func (s *stranger) announce() {
	if !s.holds {
		return
	}
	for _, to := range s.w.nodes {
		if s.w.around != unprobed {
			s.w.deliver(vrrpNet, s.node, to, &sighting{vip.Addr(), s.node, s.w.now})
		}
	}
	s.w.toKernel(s.node, s.w.router.node, &announcement{s.node, s.w.now})
}

// foreignAdvert is one of its adverts on its way to a member, whose engine judges
// the sender.
type foreignAdvert struct {
	habit habit
	vrrp.Advert
}

func (a *foreignAdvert) do(n *node, _ uint64) {
	s := &n.w.stranger
	var vips []netip.Addr
	if a.habit == sharing {
		vips = allVIPs[:1]
	}
	before := n.outranked
	n.outranked = span{}
	if s.followed() && a.Priority > 0 && n.unit != nil && a.Priority > n.unit.Status().Priority {
		n.outranked = span{n.w.now, n.w.now.Add(2 * a.Interval)}
		if n.w.now.Before(before.to) {
			n.outranked.from = before.from
		}
	}
	n.hearStranger(a.Advert, vips, s.followed())
}

// hearStranger takes an advert whose sender is no member, or refuses it.
func (n *node) hearStranger(a vrrp.Advert, vips []netip.Addr, follow bool) {
	ev := splitbrain.AdvertEvidence{Unit: unitName, From: a.From, Priority: uint8(a.Priority), VIPs: vips, At: n.now()}
	if !follow {
		ev.Refused = "stranger"
	}
	n.core.Observe(ev)
	if a.Kin = false; follow {
		n.event(a)
	}
	n.attend()
}

// overheard is a member's advert on its way to the stranger.
type overheard struct {
	*stranger
	vrrp.Advert
}

func (o *overheard) do(*node, uint64) { o.event(o.Advert) }

// usurps fails when a member takes over that hears a stranger which comes before it:
// that is settled by VRRP (R10). A verdict may have been on its way when the first of
// its adverts came, and one that has just gone on reads all in one moment.
func (c *checker) usurps(n *node) {
	s, now := &n.w.stranger, n.w.now
	heard := n.outranked
	if s.serves() && !n.stubborn && now.Before(heard.to) && now.Sub(heard.from) > overlooked && now.Sub(n.since) > overlooked &&
		s.priority > n.unit.Status().Priority {
		c.fail("R10: %s takes over, and hears a stranger of higher priority since %v", n.name, heard.from.Sub(epoch))
	}
}

// overlooked is for how long an advert may not have been considered yet.
const overlooked = 100 * time.Millisecond

// span is a time from and to.
type span struct{ from, to time.Time }

// beside fails when a stranger that is followed serves beside a member for longer
// than adverts need to settle that.
func (c *checker) beside(t time.Time) {
	w := c.w
	s := &w.stranger
	if !s.serves() {
		return
	}
	for i, n := range w.nodes {
		from := c.strange[i]
		if from.IsZero() || !n.running || !n.answers() {
			continue
		}
		from = later(later(from, n.heldFrom), later(s.heldFrom, n.since))
		if bound := c.bySlowest(w.interval + w.interval/2 + 50*time.Millisecond); t.Sub(from) > bound {
			c.fail("R10: %s and a stranger hear each other since %v, and both serve for %v", n.name, c.strange[i].Sub(epoch), t.Sub(from))
		}
	}
}

// visit puts a stranger into the schedule.
func (w *world) visit(rng *rand.Rand, at, span time.Duration) {
	h := habit(rng.IntN(int(habits)))
	if h == unrelated && w.foreign == foreignAllowed {
		h = sharing // else an operator's word keeps all from serving
	}
	priority := []vrrp.Priority{10, 100, 190, 250, 255}[rng.IntN(5)]
	interval := w.interval
	if rng.IntN(3) == 0 {
		interval /= 2
	}
	politely := rng.IntN(2) == 0
	w.at(at, func() { w.stranger.comes(h, priority, interval); w.check.relink() })
	w.at(at+span, func() { w.stranger.goes(politely); w.check.relink() })
}

// F20, F29: a router of a higher priority with our addresses is followed, and the
// cluster serves again when it goes. One that is not followed moves nothing.
func TestStrangerIsFollowedOrNotAsConfigured(t *testing.T) {
	for f := range allForeign {
		for h := range habits {
			for _, policy := range []splitbrain.Policy{splitbrain.PolicyMesh, splitbrain.PolicyQuorum} {
				if f == foreignAllowed && h == unrelated {
					continue // an operator's word against the addresses: nobody serves ours
				}
				t.Run(fmt.Sprint(f, h, policy), func(t *testing.T) {
					w := steady(t, func(c *config) {
						if policy == splitbrain.PolicyQuorum {
							quorum(3, 0)(c)
						}
						c.foreign, c.around = f, withGateway
					})
					w.at(20*time.Second, func() { w.stranger.comes(h, 250, time.Second); w.check.relink() })
					w.at(40*time.Second, func() { w.stranger.goes(false); w.check.relink() })
					w.run(39 * time.Second)
					follows := h == sharing && f != foreignIgnore
					if got := w.holders() == ""; got != follows || w.check.violation != "" {
						t.Fatalf("%q holds beside the stranger, followed %v, %s\n%s", w.holders(), follows, w.check.violation, tail(w.trace.String(), 3000))
					}
					alerts := slices.Collect(func(yield func(splitbrain.AlertKind) bool) {
						for k := range w.check.alerts {
							if !yield(k) {
								return
							}
						}
					})
					if said := slices.Contains(alerts, splitbrain.ForeignMaster); said != (h != squatting && f != foreignAllowed) {
						t.Errorf("alerts %v; foreign_master %v", alerts, said)
					}
					w.run(60 * time.Second)
					if w.holders() != "n1" || w.check.violation != "" {
						t.Errorf("%q holds when the stranger is gone, %s\n%s", w.holders(), w.check.violation, tail(w.trace.String(), 3000))
					}
				})
			}
		}
	}
}
