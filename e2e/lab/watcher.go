package lab

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Watcher sees the service segment from outside: it captures what enters the
// switch and asks for the virtual addresses from a namespace of its own.
type Watcher struct {
	t     T
	host  *Node
	addrs []netip.Addr
	cap   *capture
	pulse *pulse

	// Under cap.mu, in order of arrival.
	adverts       []Advert
	announcements []Announcement
	probes        []probe
	answers       []answer
	heartbeats    map[[2]string]time.Time // newest by sending node and receiving address
}

// Watch starts to watch; each address is asked for every 10 ms. The capture is
// kept as a file when the test fails.
func (l *LAN) Watch(addrs ...netip.Addr) *Watcher {
	l.t.Helper()
	w := &Watcher{t: l.t, addrs: addrs, host: l.Host("watcher"), heartbeats: make(map[[2]string]time.Time)}
	p, err := newPulse(w.host.ns)
	if err != nil {
		l.t.Fatalf("lab: %v", err)
	}
	w.pulse = p
	l.t.Cleanup(p.close)
	c, err := newCapture(l.sw, w.see)
	if err != nil {
		l.t.Fatalf("lab: %v", err)
	}
	w.cap = c
	if len(addrs) > 0 {
		p, err := newProber(w.host, addrs)
		if err != nil {
			l.t.Fatalf("lab: probe from the watcher: %v", err)
		}
		l.t.Cleanup(p.close)
	}
	l.t.Cleanup(func() {
		if lost := c.close(); lost > 0 {
			l.t.Errorf("lab: the watcher lost %d frames: its figures cannot be trusted", lost)
		}
		if l.t.Failed() {
			path := filepath.Join(l.t.ArtifactDir(), "capture.pcap")
			l.t.Logf("lab: capture in %s (%v)", path, w.Save(path))
			l.t.Logf("lab: the watcher saw\n%v", w.All())
		}
	})
	return w
}

// Save writes everything captured so far, with nanosecond time stamps.
func (w *Watcher) Save(path string) error {
	w.cap.mu.Lock()
	frames := slices.Clone(w.cap.frames)
	w.cap.mu.Unlock()
	return writePcap(path, frames)
}

// see files one frame; the capture calls it under its lock.
func (w *Watcher) see(f Frame) {
	if f.Network != Service {
		return
	}
	switch ev := decode(f, w.host.Name); {
	case ev.advert != nil:
		w.adverts = append(w.adverts, *ev.advert)
	case ev.announcement != nil:
		w.announcements = append(w.announcements, *ev.announcement)
	case ev.probe != nil:
		w.probes = append(w.probes, *ev.probe)
	case ev.heartbeat.IsValid():
		w.heartbeats[[2]string{f.Node, ev.heartbeat.String()}] = f.At
	case ev.answer != nil && slices.Contains(w.addrs, ev.answer.addr):
		w.answers = append(w.answers, *ev.answer)
	}
}

// Window is what the watcher saw in a stretch of time.
type Window struct {
	w        *Watcher
	from, to time.Time
}

// All is everything seen so far.
func (w *Watcher) All() Window { return Window{w, time.Time{}, time.Now().Round(0)} }

// Since is everything seen from a moment until now.
func (w *Watcher) Since(from time.Time) Window { return Window{w, from.Round(0), time.Now().Round(0)} }

// Between is everything seen between two moments.
func (w *Watcher) Between(from, to time.Time) Window { return Window{w, from.Round(0), to.Round(0)} }

func within[E any](win Window, all []E, at func(E) time.Time, keep func(E) bool) []E {
	var some []E
	for _, e := range all {
		if !at(e).Before(win.from) && !at(e).After(win.to) && keep(e) {
			some = append(some, e)
		}
	}
	return some
}

// Series is what the probes of one kind say of an address.
func (v Window) Series(addr netip.Addr, kind Kind) Series {
	v.w.cap.mu.Lock()
	defer v.w.cap.mu.Unlock()
	return newSeries(kind,
		within(v, v.w.probes, func(p probe) time.Time { return p.at }, func(p probe) bool { return p.addr == addr && p.kind == kind }),
		within(v, v.w.answers, func(a answer) time.Time { return a.at }, func(a answer) bool { return a.addr == addr && a.kind == kind }))
}

// E is the longest time with two holders of an address, by either kind of
// probe.
func (v Window) E(addr netip.Addr) time.Duration {
	return longest(v.two(addr))
}

func (v Window) two(addr netip.Addr) []Stretch {
	return append(v.Series(addr, ByNeighbour).Two, v.Series(addr, ByEcho).Two...)
}

// Dark is the longest time without a holder, by either kind of probe.
func (v Window) Dark(addr netip.Addr) time.Duration { return longest(v.dark(addr)) }

func (v Window) dark(addr netip.Addr) []Stretch {
	return append(v.Series(addr, ByNeighbour).Dark, v.Series(addr, ByEcho).Dark...)
}

// Adverts are the advertisements of a virtual router; family is 4 or 6.
func (v Window) Adverts(family, vrid int) []Advert {
	v.w.cap.mu.Lock()
	defer v.w.cap.mu.Unlock()
	return within(v, v.w.adverts, func(a Advert) time.Time { return a.At },
		func(a Advert) bool { return a.VRID == vrid && a.Src.Is6() == (family == 6) })
}

// Announcements are the gratuitous ARPs or unsolicited neighbour
// advertisements for an address.
func (v Window) Announcements(addr netip.Addr) []Announcement {
	v.w.cap.mu.Lock()
	defer v.w.cap.mu.Unlock()
	return within(v, v.w.announcements, func(a Announcement) time.Time { return a.At },
		func(a Announcement) bool { return a.Addr == addr })
}

// Reign is an unbroken run of adverts of one node.
type Reign struct {
	Node        string
	First, Last Advert
	Count       int
}

func (r Reign) String() string {
	return fmt.Sprintf("%s %s–%s (%d adverts, last priority %d)",
		r.Node, r.First.At.Format("05.000"), r.Last.At.Format("05.000"), r.Count, r.Last.Priority)
}

// Reigns tell who advertised a virtual router, in order. Two masters show as
// many short reigns. A goodbye (priority 0) ends a reign and begins none.
func (v Window) Reigns(family, vrid int) []Reign {
	var all []Reign
	for _, a := range v.Adverts(family, vrid) {
		if n := len(all); n > 0 && all[n-1].Node == a.Node {
			all[n-1].Last = a
			all[n-1].Count++
			continue
		}
		if a.Priority == 0 {
			continue
		}
		all = append(all, Reign{a.Node, a, a, 1})
	}
	return all
}

func (v Window) String() string {
	var out strings.Builder
	for _, addr := range v.w.addrs {
		fmt.Fprintf(&out, "%v\n  %v\n  %v\n", addr, v.Series(addr, ByNeighbour), v.Series(addr, ByEcho))
	}
	type router struct{ family, vrid int }
	var routers []router
	v.w.cap.mu.Lock()
	for _, a := range v.w.adverts {
		r := router{4, a.VRID}
		if a.Src.Is6() {
			r.family = 6
		}
		if !slices.Contains(routers, r) {
			routers = append(routers, r)
		}
	}
	v.w.cap.mu.Unlock()
	const shown = 10
	for _, r := range routers[:min(len(routers), shown)] {
		reigns := v.Reigns(r.family, r.vrid)
		fmt.Fprintf(&out, "IPv%d VRID %d: %d reigns, the last of them %v\n", r.family, r.vrid, len(reigns), reigns[max(0, len(reigns)-8):])
	}
	if more := len(routers) - shown; more > 0 {
		fmt.Fprintf(&out, "and %d more virtual routers\n", more)
	}
	return out.String()
}

// WantMaster waits until the node is the only one that advertises: its advert
// is the last one seen, with a priority above zero.
func (w *Watcher) WantMaster(node *Node, family, vrid int, limit time.Duration) {
	w.t.Helper()
	begin := time.Now()
	Want(w.t, limit, fmt.Sprintf("%s is master of IPv%d VRID %d", node.Name, family, vrid), func() (string, bool) {
		all := w.Since(begin).Adverts(family, vrid)
		if len(all) == 0 {
			return "no advert", false
		}
		last := all[len(all)-1]
		return fmt.Sprintf("advert of %s, priority %d", last.Node, last.Priority), last.Node == node.Name && last.Priority > 0
	})
}

// WantHolder waits until the node alone answers for the address, to the latest
// probes of both kinds.
func (w *Watcher) WantHolder(node *Node, addr netip.Addr, limit time.Duration) {
	w.t.Helper()
	Want(w.t, limit, fmt.Sprintf("%s alone answers for %v", node.Name, addr), func() (string, bool) {
		now := w.Since(w.lately(addr))
		a, b := now.Series(addr, ByNeighbour), now.Series(addr, ByEcho)
		only := []string{node.Name}
		return fmt.Sprintf("%v; %v", a, b), slices.Equal(a.Nodes(), only) && slices.Equal(b.Nodes(), only)
	})
}

// lately is the moment of the fifth-last round of probes for an address, but not
// longer than some rounds ago on a machine that has hardly run the prober.
func (w *Watcher) lately(addr netip.Addr) time.Time {
	const rounds, most = 5, 50
	w.cap.mu.Lock()
	defer w.cap.mu.Unlock()
	begin := time.Now().Round(0).Add(-most * probeEvery)
	seen := 0
	for _, p := range slices.Backward(w.probes) {
		if p.at.Before(begin) {
			break
		}
		if p.addr == addr && p.kind == ByNeighbour {
			if seen++; seen == rounds {
				return p.at
			}
		}
	}
	return begin
}

// WantHeartbeats waits until each of the nodes has sent heartbeats to each other
// one over the service network lately.
func (w *Watcher) WantHeartbeats(limit time.Duration, nodes ...*Node) {
	w.t.Helper()
	begin := time.Now()
	Want(w.t, limit, "heartbeats on the service network", func() (string, bool) {
		w.cap.mu.Lock()
		defer w.cap.mu.Unlock()
		for _, from := range nodes {
			for _, to := range nodes {
				if from != to && !w.heartbeats[[2]string{from.Name, to.Addr4(Service).String()}].After(begin) {
					return fmt.Sprintf("none of %s to %s", from.Name, to.Name), false
				}
			}
		}
		return "", true
	})
}

// WantNeverTwo fails the story when two nodes held an address at once for
// longer than the limit at any time so far; zero allows no single answer, and
// excuses nothing.
func (v Window) WantNeverTwo(limit time.Duration, addrs ...netip.Addr) {
	v.w.t.Helper()
	for _, addr := range addrs {
		v.want("held twice", v.two(addr), limit, addr)
	}
}

// WantDarkAtMost fails the story when nobody answered for an address for
// longer than the limit.
func (v Window) WantDarkAtMost(limit time.Duration, addrs ...netip.Addr) {
	v.w.t.Helper()
	for _, addr := range addrs {
		v.want("dark", v.dark(addr), limit, addr)
	}
}

// want fails the story for each stretch of which more counts than the limit.
func (v Window) want(what string, all []Stretch, limit time.Duration, addr netip.Addr) {
	v.w.t.Helper()
	for _, s := range all {
		counted := s.Length()
		if limit > 0 && counted > limit {
			counted = v.Counted(s)
		}
		Margin(v.w.t, what, counted, limit)
		if counted > limit {
			v.w.t.Errorf("%v was %s for %v from %s on, want at most %v; a daemon had to wait for a processor or the kernel for %v of it\n  %v\n  %v",
				addr, what, s.Length(), s.From.Format("05.000"), limit, s.Length()-v.Counted(s), v.Series(addr, ByNeighbour), v.Series(addr, ByEcho))
		}
	}
}

// Takeover is the time from the last advert of one node to the first one of
// the next in the window, and whether there was such a change.
func (v Window) Takeover(family, vrid int, from, to *Node) (Stretch, bool) {
	reigns := v.Reigns(family, vrid)
	for i := 1; i < len(reigns); i++ {
		if reigns[i-1].Node == from.Name && reigns[i].Node == to.Name {
			return Stretch{reigns[i-1].Last.At, reigns[i].First.At}, true
		}
	}
	return Stretch{}, false
}
