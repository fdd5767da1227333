package incident

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

// fencingAlerts are those that tell of a fencing that happened, or should have.
var fencingAlerts = []splitbrain.AlertKind{splitbrain.NodeFenced, splitbrain.FenceFailed, splitbrain.FenceWaits}

// watchAlerts opens incidents of what the rules of package splitbrain have found:
// a fencing, and an address that a member answers for without holding it.
func (t *Tracker) watchAlerts(in *Input) {
	for _, e := range in.Events {
		if e.Kind != observed.AlertChanged || e.Peer == "" {
			continue
		}
		kind := splitbrain.AlertKind(e.From)
		switch {
		case slices.Contains(fencingAlerts, kind):
			t.fenced(in, e)
		case kind == splitbrain.StaleHolder:
			t.answers(in, e)
		}
	}
}

// standing names an alert.
type standing struct {
	kind       splitbrain.AlertKind
	unit, peer string
}

// fenced notes the fencing of a member. It is over when the alert is.
func (t *Tracker) fenced(in *Input, e observed.Event) {
	key := standing{splitbrain.AlertKind(e.From), e.Unit, e.Peer}
	if e.To != "open" {
		delete(t.stands, key)
		return
	}
	t.stands[key] = e.Time
	p := t.find(in, Fencing, []string{e.Peer}, e.Time)
	if e.Unit != "" {
		p.about(e.Unit)
	}
	p.line(Line{At: e.Time, Channel: "rule", Units: unitsOf(e), Text: "R11: " + e.Reason})
	p.did("R11: " + e.Reason)
}

// answers notes a member that answers probes for a unit that another one holds:
// two holders, as the neighbours see it.
func (t *Tracker) answers(in *Input, e observed.Event) {
	key := standing{splitbrain.StaleHolder, e.Unit, e.Peer}
	u := t.units[e.Unit]
	if u == nil || u.holder.node == "" || u.holder.node == e.Peer {
		delete(t.stands, key)
		return
	}
	subject := []string{u.holder.node, e.Peer}
	slices.Sort(subject)
	if e.To != "open" {
		since, ok := t.stands[key]
		if !ok {
			return
		}
		delete(t.stands, key)
		p := t.find(in, SplitBrain, subject, since)
		p.Double = max(p.Double, e.Time.Sub(since))
		p.line(Line{At: e.Time, Channel: "probe", Units: unitsOf(e), Text: e.Peer + " answers no more"})
		p.touch()
		return
	}
	t.stands[key] = e.Time
	p := t.find(in, SplitBrain, subject, e.Time)
	p.about(e.Unit, &u.holder)
	p.line(Line{At: e.Time, Channel: "probe", Units: unitsOf(e), Text: e.Reason})
}

// stand reports whether an alert stands that keeps a part open.
func (t *Tracker) stand(p *part) bool {
	for key := range t.stands {
		switch {
		case p.Kind == Fencing && key.kind != splitbrain.StaleHolder && slices.Contains(p.Subject, key.peer):
			// A fenced node may be off for days: that it was fenced is the incident.
			if key.kind != splitbrain.NodeFenced {
				return true
			}
		case p.Kind == SplitBrain && key.kind == splitbrain.StaleHolder && slices.Contains(p.Units, key.unit):
			return true
		}
	}
	return false
}

// lostQuorum reports since when this node finds no majority: of the voters in
// Raft, or of those that give leases.
func lostQuorum(in *Input, before time.Time) (since time.Time, channel, what string) {
	for _, a := range in.Peers.Alerts {
		if a.Kind == splitbrain.QuorumLost {
			return a.Since, "mesh", a.Summary
		}
	}
	switch {
	case len(in.Cluster.Voters) == 0 || in.Cluster.Majority:
		return time.Time{}, "", ""
	case before.IsZero():
		before = in.Now
	}
	return before, "store", "no majority of the voters answers in the store"
}

func unitsOf(e observed.Event) []string {
	if e.Unit == "" {
		return nil
	}
	return []string{e.Unit}
}
