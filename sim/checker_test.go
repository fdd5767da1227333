package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// checker watches the guarantees of policy mesh after every event.
type checker struct {
	w         *world
	dirty     bool
	violation string

	pairs    [][]pair
	contact  [][]time.Time // since when two nodes reach each other on good links
	path     []time.Time   // since when a node and the gateway reach each other on good links
	cutoff   []cutoff      // of a node from the gateway
	strange  []time.Time   // since when a node and the stranger reach each other on good links
	lan      [][]time.Time // the same for two nodes on the service network
	vacant   time.Time     // since when nobody holds; zero: somebody does
	moves    int           // changes of holder
	holder   *node
	sole     *node     // the only one that answers; nil: nobody, several, or one whose process does not run
	soleFrom time.Time // since when
	twoMax   time.Duration
	vacMax   time.Duration
	ghostMax time.Duration // longest time that a VIP was held beside that of a dead or stopped process
	alerts   map[splitbrain.AlertKind]int
}

// pair is what stands between two nodes that both hold.
type pair struct {
	both      time.Time // since when both hold, running; zero: they do not
	connected time.Time // since when records can go both ways; zero: they cannot
	oneWay    time.Time // since when they can go one way at least
	direct    bool      // no relay is needed
	lost      int       // records lost between them since both
	ghost     time.Time // since when both hold, one of them not running
}

func (c *checker) init(w *world) {
	c.w = w
	c.alerts = make(map[splitbrain.AlertKind]int)
	c.pairs = make([][]pair, len(w.nodes))
	c.contact = make([][]time.Time, len(w.nodes))
	c.path = make([]time.Time, len(w.nodes))
	c.cutoff = make([]cutoff, len(w.nodes))
	c.strange = make([]time.Time, len(w.nodes))
	c.lan = make([][]time.Time, len(w.nodes))
	for i := range c.pairs {
		c.pairs[i] = make([]pair, len(w.nodes))
		c.contact[i] = make([]time.Time, len(w.nodes))
		c.lan[i] = make([]time.Time, len(w.nodes))
	}
	c.vacant = epoch
}

// lost counts a datagram that a link lost by chance.
func (c *checker) lost(ch int) {
	if ch != meshNet {
		return
	}
	for i := range c.pairs {
		for j := range c.pairs[i] {
			if p := &c.pairs[i][j]; !p.both.IsZero() {
				p.lost++ // on any link: it may have been a relay
			}
		}
	}
}

// bound is how long two holders that hear each other may last: two round trips
// (with what the arbiter and the engine take), and a heartbeat for each
// datagram lost.
func (c *checker) bound(p *pair) time.Duration {
	hb := c.w.heartbeatInterval()
	bound := 4*c.w.maxDelay() + 4*c.w.latency + hb + time.Duration(p.lost)*hb + 5*time.Millisecond
	if !p.direct {
		bound += 4 * hb // until the third one sees that a relay is needed
	}
	return c.bySlowest(bound)
}

// bySlowest is how long a time may really take by the slowest clock of a node.
func (c *checker) bySlowest(d time.Duration) time.Duration {
	return d + time.Duration(float64(d)*(c.w.clocks.slew+c.w.clocks.raw)*1.2)
}

func (w *world) heartbeatInterval() time.Duration {
	return max(min(w.heartbeat, w.interval/5), 10*time.Millisecond)
}

// fresh is R0's.
func (w *world) fresh() time.Duration {
	return max(3*w.heartbeatInterval(), 2*w.interval+w.interval/5+20*time.Millisecond)
}

func (w *world) masterDown() time.Duration { return 4 * w.interval }

func (w *world) maxDelay() time.Duration {
	var d time.Duration
	for i := range w.nodes {
		for j := range w.nodes {
			l := &w.links[meshNet][i][j]
			d = max(d, l.delay+l.jitter)
		}
	}
	return d
}

// signOfLife notes an advert that left: the time of G2 counts from the last one.
func (c *checker) signOfLife() {
	if !c.vacant.IsZero() {
		c.vacant = c.w.now
	}
}

// look notes changes after an event.
func (c *checker) look() {
	if !c.dirty {
		return
	}
	c.dirty = false
	w := c.w
	var holding []*node
	answering := 0
	if w.stranger.holds {
		answering++
	}
	for _, n := range w.nodes {
		before := n.answered
		if n.answered = n.answers(); n.answered || before {
			n.guilty = w.now
		}
		if n.answered {
			answering++
			if n.running && n.serves() {
				holding = append(holding, n)
			}
		}
	}
	c.noteSole(answering, holding)
	switch served := len(holding) > 0 || w.stranger.serves(); {
	case !served && c.vacant.IsZero():
		c.vacant = w.now
	case served:
		c.vacant = time.Time{}
	}
	if len(holding) == 1 && holding[0] != c.holder {
		c.holder = holding[0]
		c.moves++
	}
	for i, a := range w.nodes {
		for j := range i {
			b := w.nodes[j]
			p := &c.pairs[i][j]
			both := a.answers() && a.running && b.answers() && b.running
			switch {
			case both && p.both.IsZero():
				p.both, p.lost = w.now, 0
				w.logf("two holders: %s and %s", a.name, b.name)
			case !both && !p.both.IsZero():
				w.logf("two holders no more: %s and %s, after %v", a.name, b.name, w.now.Sub(p.both))
				p.both = time.Time{}
			}
			ghost := a.answers() && b.answers() && a.running != b.running
			if w.policy == splitbrain.PolicyQuorum && a.answers() && b.answers() && !a.rogue() && !b.rogue() {
				c.fail("G1: %s and %s both answer for the VIP", a.name, b.name)
			}
			switch {
			case ghost && p.ghost.IsZero():
				p.ghost = w.now
				w.logf("%s and %s hold the VIP, one of them dead", a.name, b.name)
			case !ghost && !p.ghost.IsZero():
				c.ghostMax = max(c.ghostMax, w.now.Sub(p.ghost))
				p.ghost = time.Time{}
			}
		}
	}
}

// relink notes who can exchange records, after links or nodes have changed.
func (c *checker) relink() {
	w := c.w
	n := len(w.nodes)
	reach, good := make([][]bool, n), make([][]bool, n)
	for i := range reach {
		reach[i], good[i] = make([]bool, n), make([]bool, n)
		for j := range reach[i] {
			l := &w.links[meshNet][i][j]
			reach[i][j] = w.nodes[i].running && w.nodes[j].running && w.nodes[i].knows(w.nodes[j]) && w.nodes[j].knows(w.nodes[i]) && l.cut == 0
			good[i][j] = reach[i][j] && l.good()
		}
	}
	direct := make([][]bool, n)
	for i := range direct {
		direct[i] = append([]bool(nil), reach[i]...)
	}
	for k := range n { // one relay in between
		for i := range n {
			for j := range n {
				if direct[i][k] && direct[k][j] {
					reach[i][j] = true
				}
			}
		}
	}
	for i := range n {
		there, back := &w.links[vrrpNet][i][n], &w.links[vrrpNet][n][i]
		out, in := &w.links[vrrpNet][i][n+1], &w.links[vrrpNet][n+1][i]
		c.strange[i] = since(c.strange[i], w.stranger.up && w.nodes[i].running && out.good() && in.good(), w.now)
		c.path[i] = since(c.path[i], !w.router.dead && there.good() && back.good(), w.now)
		c.cutoff[i].note(w.router.dead || there.cut > 0 || back.cut > 0, w.now)
		for j := range n {
			c.contact[i][j] = since(c.contact[i][j], good[i][j] && good[j][i], w.now)
			there, back := &w.links[vrrpNet][i][j], &w.links[vrrpNet][j][i]
			c.lan[i][j] = since(c.lan[i][j], there.good() && back.good(), w.now)
		}
	}
	for i := range n {
		for j := range i {
			p := &c.pairs[i][j]
			p.connected = since(p.connected, reach[i][j] && reach[j][i], w.now)
			// One way, only what comes directly counts: a relay must hear whom
			// it relays to, to know what that one lacks.
			p.oneWay = since(p.oneWay, direct[i][j] || direct[j][i], w.now)
			p.direct = direct[i][j] && direct[j][i]
		}
	}
}

// since is when a condition began that holds now or does not.
func since(began time.Time, holds bool, now time.Time) time.Time {
	switch {
	case !holds:
		return time.Time{}
	case began.IsZero():
		return now
	default:
		return began
	}
}

// advance checks what has lasted until t, before anything happens then.
func (c *checker) advance(t time.Time) {
	w := c.w
	for i := range w.nodes {
		for j := range i {
			p := &c.pairs[i][j]
			if p.both.IsZero() {
				continue
			}
			c.twoMax = max(c.twoMax, t.Sub(p.both))
			if !p.connected.IsZero() {
				c.both(t, i, j, "hear each other", later(p.both, p.connected), c.bound(p))
			}
			if live := c.live(i, j); !p.oneWay.IsZero() && !live.IsZero() {
				// First the records of the time before must have grown old.
				bound := c.bound(p) + c.bySlowest(c.w.fresh()+3*c.w.heartbeatInterval()+c.answering())
				c.both(t, i, j, "are connected one way", later(later(p.both, p.oneWay), live), bound)
			}
		}
	}
	c.misled(t)
	c.beside(t)
	if !c.vacant.IsZero() {
		c.vacMax = max(c.vacMax, t.Sub(c.vacant))
		if n := c.candidate(t); n != nil {
			c.fail("G2: nobody holds the VIP since %v, and %s could since %v", c.vacant.Sub(epoch), n.name, n.since.Sub(epoch))
		}
	}
}

// live is since when the data paths of two nodes are, as far as their probes can
// tell: nobody yields to one who serves nobody (R2).
func (c *checker) live(i, j int) time.Time {
	switch {
	case c.w.around == unprobed:
		return epoch
	case c.lan[i][j].IsZero() || c.w.around == withGateway && (c.path[i].IsZero() || c.path[j].IsZero()):
		return time.Time{}
	default:
		return later(c.lan[i][j], later(c.path[i], c.path[j]))
	}
}

// answering is the time between two steady rounds of probes, and what the answers
// take.
func (c *checker) answering() time.Duration {
	if c.w.around == unprobed {
		return 0
	}
	return 1100 * time.Millisecond
}

// both fails when two holders have stood for longer than the bound.
func (c *checker) both(t time.Time, i, j int, how string, from time.Time, bound time.Duration) {
	a, b := c.w.nodes[i], c.w.nodes[j]
	if a.rogue() || b.rogue() {
		return
	}
	if !a.penance.IsZero() || !b.penance.IsZero() {
		from = later(from, later(a.penance, b.penance).Add(yieldAgain))
	}
	if p := &c.pairs[i][j]; t.Sub(from) > bound {
		c.fail("G1: %s and %s both hold the VIP since %v and %s since %v: %v, bound %v (%d lost)",
			a.name, b.name, p.both.Sub(epoch), how, from.Sub(epoch), t.Sub(from), bound, p.lost)
	}
}

// yieldAgain is how long a node that did not let go is given until it is told again.
const yieldAgain = 1500 * time.Millisecond

// patience is G2's bound: Master_Down_Interval (or the freshness of the last
// claim), a reservation that was not used, and what the messages take; all by the
// slowest clock that a node may have.
func (c *checker) patience() time.Duration {
	w := c.w
	p := max(w.masterDown(), w.fresh()) + 500*time.Millisecond + 3*w.heartbeatInterval() + 4*w.maxDelay() + 100*time.Millisecond
	if w.policy == splitbrain.PolicyQuorum {
		// A vote may be split, and a former holder's grants run out first.
		p += w.longestLease() + time.Second
	}
	return c.bySlowest(p)
}

func (w *world) longestLease() time.Duration {
	longest := time.Duration(0)
	for _, n := range w.nodes {
		longest = max(longest, slices.Max(n.disk.leases))
	}
	return longest
}

// candidate is a node that ran, able to serve, for all of G2's bound while
// nobody held.
func (c *checker) candidate(t time.Time) *node {
	if t.Sub(c.vacant) <= c.patience() {
		return nil
	}
	for _, n := range c.w.nodes {
		if n.running && n.belongs() && !n.broken && !n.witness && t.Sub(n.since) > c.patience() && c.elects(t, n) {
			return n
		}
	}
	return nil
}

// elects reports whether a candidate has had all that its policy asks for, for as
// long as G2 may take: in quorum, a majority of voters out of quarantine.
func (c *checker) elects(t time.Time, n *node) bool {
	w := c.w
	if w.policy != splitbrain.PolicyQuorum {
		return w.around != withGateway || c.connected(t, n)
	}
	// A candidate is in contact for the time of a lease before it asks (R0).
	long := c.patience() + 2*w.longestLease()
	e := &w.ballot
	if e.settled.IsZero() || t.Sub(e.settled) <= long || t.Sub(c.vacant) <= long || t.Sub(n.since) <= long {
		return false
	}
	count := 0
	for _, v := range w.nodes {
		if !slices.Contains(e.now.Voters, v.name) || v.disk.electorate.Epoch != e.now.Epoch {
			continue
		}
		heard := v == n || !c.contact[n.index][v.index].IsZero() && t.Sub(c.contact[n.index][v.index]) > long
		if heard && v.running && t.Sub(v.since) > long && t.Sub(v.began) > long {
			count++
		}
	}
	return count >= e.now.Majority()
}

// connected reports whether a node has reached another one, or the gateway, for as
// long as G2 may take: where a gateway can tell a dead holder from a dead link, one
// that reaches nobody does not take over (R5).
func (c *checker) connected(t time.Time, n *node) bool {
	for i, at := range append(c.contact[n.index][:len(c.w.nodes):len(c.w.nodes)], c.path[n.index]) {
		if i != n.index && !at.IsZero() && t.Sub(at) > c.patience()+aloneSlack {
			return true
		}
	}
	return false
}

// aloneSlack is what a node that hears somebody again waits for others (R5), and
// the probe that tells it.
const aloneSlack = 3 * time.Second

func (c *checker) fail(format string, args ...any) {
	if c.violation == "" {
		c.violation = fmt.Sprintf(format, args...)
		c.w.logf("VIOLATION %s", c.violation)
	}
}
