package splitbrain

import (
	"fmt"
	"slices"
	"time"
)

// PathState is what a node's probes show of its own data path on the networks
// of a unit (R3).
type PathState uint8

// Path states.
const (
	PathUnknown   PathState = iota // nothing there has ever answered, or answers prove nothing
	PathAlive                      // a gateway, or without one a member, answers
	PathLost                       // what answered before is silent
	PathSuspended                  // it answers again, but not for long enough yet
)

func (s PathState) String() string {
	if int(s) < len(pathNames) {
		return pathNames[s]
	}
	return "invalid"
}

var pathNames = [...]string{"unknown", "alive", "lost", "suspended"}

// lastRank reports whether a candidate in this state comes after all others:
// it serves only if nobody better is left (S50).
func (s PathState) lastRank() bool { return s == PathLost || s == PathSuspended }

// Damping of R3: how long answers must come after a loss before the node is
// back in rank, and after how long without a loss that begins anew.
const (
	firstSuspension = 10 * time.Second
	lastSuspension  = 5 * time.Minute
)

// pathMemory is the damped state of the data path on one network.
type pathMemory struct {
	state      PathState
	since      time.Time
	suspension time.Duration // after the next recovery; 0: no loss lately
}

// step takes what the probes show at present.
func (p *pathMemory) step(now time.Time, shown PathState) {
	next := shown
	switch {
	case shown == PathLost:
		if p.state != PathLost {
			p.suspension = min(max(2*p.suspension, firstSuspension), lastSuspension)
		}
	case shown == PathAlive && p.state == PathLost:
		next = PathSuspended
	case shown == PathAlive && p.state == PathSuspended && now.Sub(p.since) < p.suspension:
		next = PathSuspended
	case shown == PathAlive && p.state == PathAlive && now.Sub(p.since) >= lastSuspension:
		p.suspension = 0
	}
	if next != p.state {
		p.state, p.since = next, now
	}
}

// due is when step may say something else although the probes show the same.
func (p *pathMemory) due() time.Time {
	if p.state == PathSuspended {
		return p.since.Add(p.suspension)
	}
	return time.Time{}
}

// shows is what the probes of one network show of this node's data path, and
// when the latest one that was answered had been sent (R3, soft). A gateway
// speaks for the path; without one that answers at all, the own addresses of
// members do whose records arrive: all of them silent is a fault here.
func (n *NetworkEvidence) shows() (state PathState, began time.Time) {
	if n.Fabric {
		return PathUnknown, time.Time{}
	}
	known, alive := false, false
	judge := func(e Echo) {
		known = true
		alive = alive || !n.silent(e)
		began = later(began, e.Began)
	}
	for _, g := range n.Gateways {
		if g.known() || n.Named && g.Silent > 0 {
			judge(g)
		}
	}
	if !known {
		for i := range n.Members {
			m := &n.Members[i]
			if m.Heard && m.known() && (!n.silent(m.Echo) || m.besideRecords()) {
				judge(m.Echo)
			}
		}
	}
	switch {
	case alive:
		return PathAlive, began
	case known:
		return PathLost, began
	}
	return PathUnknown, began
}

// weigh sums up the data path over the networks of a unit: one that is lost
// counts more than one of which nothing is known, and that more than a live
// one.
func (e *Evidence) weigh(paths []pathMemory, began []time.Time) {
	weight := func(s PathState) int { return [...]int{1, 0, 3, 2}[s] }
	e.Path, e.PathSince, e.PathBegan = PathUnknown, time.Time{}, time.Time{}
	for i, p := range paths {
		if i == 0 || weight(p.state) > weight(e.Path) {
			e.Path, e.PathSince = p.state, p.since
		}
		if i == 0 || began[i].Before(e.PathBegan) {
			e.PathBegan = began[i]
		}
	}
}

// pathShown is when the peer had sent the latest answered probe of its own
// path, by our clock; zero: its record shows none.
func (p *Peer) pathShown() time.Time {
	if p.Claim.PathAge == 0 {
		return time.Time{}
	}
	return p.At.Add(-p.Claim.PathAge)
}

// provesPath reports whether the peer's path is alive by a probe that it began
// after the given time: what answered before proves nothing of now (S49).
func (p *Peer) provesPath(after time.Time) bool {
	return p.Claim.Path == PathAlive && p.pathShown().After(after)
}

// pathLoss is the alert of a holder whose data path is lost (R3). It comes after all
// verdicts, and says what they are.
func (d *decider) pathLoss() {
	e := &d.Evidence
	if e.Path != PathLost {
		return
	}
	d.Look = true
	a := Alert{
		Kind: DataPathLost, Unit: d.Unit.Name, Since: e.PathSince,
		Evidence: []string{fmt.Sprintf("arp/nd: %s: %s", d.Node, e.describe(d.Now))},
		Remedy:   fmt.Sprintf("look at the cable, switch port and VLAN of %s, and at the gateway", d.Node),
	}
	others := "no other member has shown that it has one"
	stays := "it stays until one does"
	for i := range d.Peers {
		if p := &d.Peers[i]; d.candidate(p) && p.provesPath(e.PathSince) {
			others = "that of " + p.Node + " is not"
			stays = "it stays until " + p.Node + " asks for it"
			a.Evidence = append(a.Evidence, fmt.Sprintf("arp/nd: a probe of %s, sent %s, was answered", p.Node, d.ago(p.pathShown())))
			break
		}
	}
	m := &d.Memory
	switch {
	case m.yielding == d.Unit.Tenure.Seq && m.release.request != 0:
		stays = "it is handed over to " + m.release.node
	case m.yielding == d.Unit.Tenure.Seq:
		stays = d.Node + " lets go of it"
	case len(d.Refusals) > 0:
		stays = "a member asks for it and is refused: " + d.Refusals[0].Reason
	}
	a.Summary = fmt.Sprintf("%s: the data path of %s is lost, %s; %s", d.Unit.Name, d.Node, others, stays)
	d.Alerts = append(d.Alerts, a)
}

// surpasses reports whether answers show that this node serves where the holder
// does not, which says that its path is lost. Where a gateway has yet to answer
// this node and the holder itself answers, they do not: this node may be as far
// from the gateway as the holder, and has only never been nearer.
func (d *decider) surpasses(holder *Peer) bool {
	for i := range d.Evidence.Networks {
		n := &d.Evidence.Networks[i]
		if len(n.Gateways) == 0 || n.Fabric || slices.ContainsFunc(n.Gateways, Echo.known) {
			continue
		}
		if m := n.member(holder.Node); m != nil && m.known() && !n.silent(m.Echo) {
			return false
		}
	}
	return true
}

// describe says what the probes show, for people.
func (e *Evidence) describe(now time.Time) string {
	say := func(what string, x Echo) string {
		switch {
		case x.Silent > 0:
			return fmt.Sprintf("%s silent for %v", what, now.Sub(x.SilentSince).Round(time.Millisecond))
		case x.known():
			return fmt.Sprintf("%s answered %v ago", what, now.Sub(x.Answered).Round(time.Millisecond))
		}
		return what + " never probed"
	}
	s := ""
	for i := range e.Networks {
		n := &e.Networks[i]
		s += ", " + n.Interface + ": "
		if n.Fabric {
			s += "the network answers for every address itself"
			continue
		}
		first := true
		add := func(t string) {
			if !first {
				s += "; "
			}
			s, first = s+t, false
		}
		for _, g := range n.Gateways {
			add(say("gateway", g))
		}
		for _, m := range n.Members {
			add(say(m.Node, m.Echo))
		}
		if first {
			s += "nothing to probe"
		}
	}
	if s == "" {
		return "no networks"
	}
	return s[2:]
}

// sayers is whether this node may ask for the unit because its holder says
// that its own data path is lost, while ours is proved since (R3, R4).
func (d *decider) mayRelieve(holder *Peer) bool {
	m := &d.Memory
	if holder.Claim.Path != PathLost {
		m.relief, m.lossSeen = time.Time{}, time.Time{}
		return false
	}
	if m.lossSeen.IsZero() {
		// It lost the path before it said so; what we begin now is after that.
		m.lossSeen = d.Now
	}
	d.Look = true
	e := &d.Evidence
	if !d.surpasses(holder) {
		// When a gateway answers here, the holder must have had the time to hear it.
		m.lossSeen = d.Now.Add(steadyEvery)
	}
	if e.Path != PathAlive || e.PathBegan.Before(m.lossSeen) {
		m.relief = time.Time{}
		return false
	}
	if m.relief.IsZero() {
		m.relief = d.Now.Add(d.rank(TenureID{Boot: holder.Boot}))
	}
	d.wake(m.relief)
	return !d.Now.Before(m.relief)
}
