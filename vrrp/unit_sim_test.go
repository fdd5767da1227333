package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// router is one node of a simulated network: one unit with a member on each
// LAN, the kernel's part being booked by an audit.
type router struct {
	name  string
	addrs []netip.Addr // by LAN
	spec  UnitSpec
	unit  *Unit
	audit *audit
	dead  bool      // killed: does nothing, hears nothing
	until time.Time // paused until then
}

// network is a few routers in virtual time. What one sends the others hear
// after latency, unless the path is cut.
type network struct {
	t       testing.TB
	now     time.Time
	routers []*router
	queue   []delivery
	cuts    map[[3]string]bool // from, to, LAN ("1", "2")
	traceIO bool
	trace   strings.Builder
}

const latency = 100 * time.Microsecond

type delivery struct {
	at time.Time
	to *router
	ev Event
}

func (n *network) router(name string) *router {
	for _, r := range n.routers {
		if r.name == name {
			return r
		}
	}
	n.t.Fatalf("there is no router %q", name)
	return nil
}

// add makes a router from the words behind its name: an address, then options.
func (n *network) add(name string, words []string) {
	addr := netip.MustParseAddr(words[0])
	count := 1
	in := InstanceSpec{Version: 3, Family: IPv4, VRID: 51, Priority: 100, AdvertInterval: time.Second,
		DownTimerAdverts: 3, Preempt: true, Interface: "eth0", DontTrackPrimary: true,
		Announce: Announce{Repeat: 5, Delay: 5 * time.Second, LowerPrioRepeat: 5, LowerPrioDelay: 5 * time.Second}}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		number, _ := strconv.Atoi(value)
		duration, _ := time.ParseDuration(value)
		switch key {
		case "priority":
			in.Priority = Priority(number)
		case "version":
			in.Version = number
		case "interval":
			in.AdvertInterval = duration
		case "nopreempt":
			in.Preempt = false
		case "preempt_delay":
			in.PreemptDelay = duration
		case "master":
			in.StartMaster = true
		case "lans":
			count = number
		case "script":
			in.Tracks = append(in.Tracks, Track{Key: "script:chk", Weight: number})
		case "higher_prio_send_advert":
			in.HigherPrioSendAdvert = true
		case "lower_prio_no_advert":
			in.LowerPrioNoAdvert = true
		default:
			n.t.Fatalf("router %s: unknown option %q", name, w)
		}
	}
	r := &router{name: name, spec: UnitSpec{Name: "VI_1"}}
	for lan := 1; lan <= count; lan++ {
		in.Name = "VI_" + strconv.Itoa(lan)
		raw := addr.As4()
		raw[2] += byte(lan - 1)
		r.addrs = append(r.addrs, netip.AddrFrom4(raw))
		r.spec.Instances = append(r.spec.Instances, in)
	}
	if count > 1 {
		r.spec.Name, r.spec.Group = "VG", true
	}
	n.routers = append(n.routers, r)
	n.boot(r)
}

// boot starts the router's process: its address is known and it starts up.
func (n *network) boot(r *router) {
	r.unit, r.audit, r.dead, r.until = NewUnit(r.spec), &audit{}, false, time.Time{}
	for lan, addr := range r.addrs {
		n.step(r, SourceChanged{Instance: r.spec.Instances[lan].Name, Source: addr})
	}
	n.step(r, Startup{})
}

func (n *network) step(r *router, ev Event) {
	actions := r.unit.Step(n.now, ev)
	if err := r.audit.check(n.now, r.unit, ev, actions); err != nil {
		n.t.Fatalf("%v %s: %v", n.now.Sub(epoch), r.name, err)
	}
	for _, a := range actions {
		switch a := a.(type) {
		case SendAdvert:
			n.transmit(r, a)
			n.note(r, n.traceIO, fmt.Sprintf("advert %s priority %d", a.Instance, a.Priority))
		case AnnounceAddrs:
			n.note(r, n.traceIO, fmt.Sprintf("announce %s x%d", a.Instance, a.Repeat))
		case Claim:
			n.note(r, n.traceIO, "claim "+a.Instance)
		case Release:
			n.note(r, n.traceIO, "release "+a.Instance)
		case NoteLowerPriority:
			n.note(r, n.traceIO, fmt.Sprintf("lower %s from %v, %d", a.Instance, a.From, a.Priority))
		case Notify:
			if a.Instance == "" || !r.spec.Group {
				n.note(r, true, fmt.Sprintf("%-6v  %s", a.To, a.Reason))
			}
		}
	}
}

func (n *network) note(r *router, on bool, text string) {
	if on {
		at := strconv.FormatFloat(n.now.Sub(epoch).Round(time.Millisecond).Seconds(), 'f', 3, 64)
		fmt.Fprintf(&n.trace, "%ss %s %s\n", at, r.name, text)
	}
}

func (n *network) transmit(from *router, a SendAdvert) {
	lan := slices.IndexFunc(from.spec.Instances, func(in InstanceSpec) bool { return in.Name == a.Instance })
	for _, to := range n.routers {
		if to == from || lan >= len(to.addrs) || n.cuts[[3]string{from.name, to.name, strconv.Itoa(lan + 1)}] {
			continue
		}
		n.queue = append(n.queue, delivery{n.now.Add(latency), to, Advert{
			Instance: to.spec.Instances[lan].Name, From: from.addrs[lan],
			Priority: a.Priority, Interval: from.spec.Instances[lan].AdvertInterval,
		}})
	}
}

// run lets d pass.
func (n *network) run(d time.Duration) {
	end := n.now.Add(d)
	for range 1_000_000 {
		at, r, ev := n.next()
		if at.IsZero() || at.After(end) {
			n.now = end
			return
		}
		n.now = at
		n.step(r, ev)
	}
	n.t.Fatal("the routers never come to rest")
}

// next takes what happens first: packets before timers.
func (n *network) next() (at time.Time, r *router, ev Event) {
	n.queue = slices.DeleteFunc(n.queue, func(d delivery) bool { return d.to.dead })
	index := -1
	for i, d := range n.queue {
		when := d.at
		if when.Before(d.to.until) {
			when = d.to.until // waits in the socket
		}
		if at.IsZero() || when.Before(at) {
			at, index = when, i
		}
	}
	for _, each := range n.routers {
		due := each.unit.Deadline()
		if each.dead || due.IsZero() {
			continue
		}
		if due.Before(each.until) {
			due = each.until
		}
		if at.IsZero() || due.Before(at) {
			at, r, ev = due, each, Tick{}
		}
	}
	if r == nil && index >= 0 {
		d := n.queue[index]
		n.queue = slices.Delete(n.queue, index, index+1)
		return at, d.to, d.ev
	}
	return at, r, ev
}

// audit books what a unit does to the kernel and what it reports.
type audit struct {
	claimed map[string]bool
	told    map[string]State
}

// check judges one step.
func (a *audit) check(now time.Time, u *Unit, ev Event, actions []Action) error {
	if a.claimed == nil {
		a.claimed, a.told = make(map[string]bool), make(map[string]State)
	}
	_, respec := ev.(Respec)
	for _, action := range actions {
		switch action := action.(type) {
		case Claim:
			if a.claimed[action.Instance] && !respec {
				return fmt.Errorf("%T: claims %s twice", ev, action.Instance)
			}
			a.claimed[action.Instance] = true
		case Release:
			if !a.claimed[action.Instance] {
				return fmt.Errorf("%T: releases %s, which it does not hold", ev, action.Instance)
			}
			a.claimed[action.Instance] = false
		case Notify:
			if a.told[action.Instance] != action.From {
				return fmt.Errorf("%T: %q goes %v to %v, but was %v", ev, action.Instance, action.From, action.To, a.told[action.Instance])
			}
			if action.Reason == "" && action.To != Init {
				return fmt.Errorf("%T: %q goes %v without a reason", ev, action.Instance, action.To)
			}
			a.told[action.Instance] = action.To
			if action.Instance != "" && a.claimed[action.Instance] != (action.To == Master) {
				return fmt.Errorf("%T: %s tells %v while claimed is %t", ev, action.Instance, action.To, a.claimed[action.Instance])
			}
		case SendAdvert:
			if action.Priority == 0 && a.claimed[action.Instance] {
				return fmt.Errorf("%T: says goodbye for %s before the release", ev, action.Instance)
			}
		case AnnounceAddrs:
			if !a.claimed[action.Instance] {
				return fmt.Errorf("%T: announces %s, which it does not hold", ev, action.Instance)
			}
		}
	}
	status := u.Status()
	for _, in := range status.Instances {
		if a.claimed[in.Name] != (status.State == Master) || in.State != status.State || a.told[in.Name] != status.State {
			return fmt.Errorf("%T: unit is %v, %s is %v and told %v, claimed is %t",
				ev, status.State, in.Name, in.State, a.told[in.Name], a.claimed[in.Name])
		}
	}
	if due := u.Deadline(); !due.IsZero() && !due.After(now) {
		return fmt.Errorf("%T: deadline %v is not ahead", ev, due.Sub(now))
	}
	return nil
}
