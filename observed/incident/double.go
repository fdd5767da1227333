package incident

import (
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// watchDouble notes two holders whose claims overlap, and reports whether there
// are two.
func (t *Tracker) watchDouble(in *Input, name string, masters []hold) bool {
	double := false
	for i := range masters {
		for k := range masters[:i] {
			a, b := &masters[i], &masters[k]
			from, to := latest(a.since, b.since), earliest(a.at, b.at)
			together := to.Sub(from)
			if together <= overlapSlack {
				continue
			}
			double = true
			subject := []string{a.node, b.node}
			slices.Sort(subject)
			p := t.find(in, SplitBrain, subject, from)
			if p.about(name, a, b) {
				for _, h := range []*hold{a, b} {
					p.line(Line{At: h.since, Channel: h.channel(t.node), Units: []string{name}, Text: h.node + " holds from here on" + h.how()})
				}
			}
			p.together(together)
		}
	}
	return double
}

// together notes for how long two held.
func (p *part) together(d time.Duration) {
	if d <= overlapSlack {
		return
	}
	// Told at the end, and now and then before.
	if d > 2*p.shown {
		p.shown = d
		p.touch()
	}
	p.Double = max(p.Double, d)
}

// bothSince is when the later one of two tenures began that were one beside the
// other; where one of them was never seen, when the lost one ended.
func (t *Tracker) bothSince(name string, lost, won hold) time.Time {
	u := t.units[name]
	a, seen := u.lately[lost.node]
	b, too := u.lately[won.node]
	if !seen || !too || !a.same(&lost) || won.seq != 0 && !b.same(&won) {
		return lost.since
	}
	return latest(a.since, b.since)
}

// watchYields notes conflicts that were over before anybody looked: who lost one
// says so.
func (t *Tracker) watchYields(in *Input, name string, claims []claim) {
	u := t.units[name]
	for _, c := range claims {
		lost := hold{node: c.member.Name, boot: uint64(c.member.Boot), seq: c.Tenure.Seq, since: c.At.Add(-c.StateAge)}
		if c.Yielded == (splitbrain.TenureID{}) || c.State == splitbrain.Master || lost.same(&u.yielded) {
			continue
		}
		u.yielded = lost
		if winner := t.nodeOf(in, uint64(c.Yielded.Boot)); winner != "" && in.Now.Sub(lost.since) < before {
			t.conflict(in, name, lost, hold{node: winner, boot: uint64(c.Yielded.Boot), seq: c.Yielded.Seq})
		}
	}
}

// watchOwnYields does the same for this node's own units.
func (t *Tracker) watchOwnYields(in *Input) {
	for _, e := range in.Events {
		winner := beatenBy(e)
		if winner == "" || t.units[e.Unit] == nil {
			continue
		}
		for _, own := range in.Units {
			if own.Name != e.Unit || own.State == vrrp.Master && e.Kind == observed.AlertChanged {
				continue // while both hold it, watchDouble sees them
			}
			lost := hold{node: t.node, boot: t.boot, seq: own.Tenure.Seq, since: earliest(own.Since, e.Time)}
			t.conflict(in, e.Unit, lost, hold{node: winner})
		}
	}
}

// beatenBy is the member that held a unit beside this node until this one let go,
// by an event of this node; empty: the event is of no such thing. An advert may
// end a conflict before it was known to be one: the alert comes after the end.
func beatenBy(e observed.Event) string {
	switch {
	case e.Kind == observed.AlertChanged && e.From == string(splitbrain.SplitBrain) && e.To == "open":
		return e.Peer
	case e.Kind == observed.StateChanged && e.From == vrrp.Master.String():
		reason, yields := strings.CutPrefix(e.Reason, "yields to ")
		winner, why, _ := strings.Cut(reason, ": ")
		if yields && strings.Contains(why, "holds the unit too") {
			return winner
		}
	}
	return ""
}

// conflict adds a split brain that ended when the loser let go.
func (t *Tracker) conflict(in *Input, name string, lost, won hold) {
	subject := []string{lost.node, won.node}
	slices.Sort(subject)
	p := t.find(in, SplitBrain, subject, lost.since)
	p.about(name, &lost)
	p.together(lost.since.Sub(t.bothSince(name, lost, won)))
	p.line(Line{At: lost.since, Channel: lost.channel(t.node), Units: []string{name}, Text: lost.node + " let go for " + won.node})
}

// nodeOf is the node of a life; empty: it is not known.
func (t *Tracker) nodeOf(in *Input, boot uint64) string {
	if boot == t.boot {
		return t.node
	}
	for i := range in.Peers.Members {
		if m := &in.Peers.Members[i]; uint64(m.Boot) == boot {
			return m.Name
		}
	}
	return ""
}

func (h *hold) channel(self string) string {
	if h.node == self {
		return "vrrp"
	}
	return "mesh"
}

func (h *hold) how() string {
	if h.via == "" {
		return ""
	}
	return ", as relayed by " + h.via
}
