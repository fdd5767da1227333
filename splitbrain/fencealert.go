package splitbrain

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Kinds of alerts about fencing.
const (
	// NodeFenced: this node has fenced a member, which has not come back yet.
	NodeFenced AlertKind = "node_fenced"
	// FenceFailed: an agent has failed.
	FenceFailed AlertKind = "fence_failed"
	// FenceWaits: a member takes a unit that is not its own, and may not be
	// fenced.
	FenceWaits AlertKind = "fence_waits"
	// FenceAgentFailed: the check of an agent failed, so that its target could
	// not be fenced now.
	FenceAgentFailed AlertKind = "fence_agent_failed"
)

// waitsAfter is how long a fencing that is due may wait before people are told.
const waitsAfter = 5 * time.Second

// alert compares what is wrong now with what was said of it.
func (f *Fencer) alert(v *FenceView, d *FenceDecision) {
	var now []Alert
	for node, t := range f.tries {
		switch {
		case !t.done.IsZero():
			now = append(now, Alert{
				Kind: NodeFenced, Unit: t.unit, Peer: node, Since: t.done,
				Summary: fmt.Sprintf("%s was fenced for %s: it held the unit against the rules", node, t.unit),
				Remedy:  "find out why it did not let go, and start it again when it is off",
			})
		case t.failures > 0:
			now = append(now, failed(node, t))
		}
	}
	for key, s := range f.stood {
		if a, waits := f.waits(v, key, s, d.Waiting); waits {
			now = append(now, a)
		}
	}
	slices.SortFunc(now, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Peer, b.Peer))
	})
	seen := map[alertKey]bool{}
	for _, a := range now {
		seen[a.key()] = true
		if old, ok := f.shown[a.key()]; !ok || old.Summary != a.Summary {
			f.shown[a.key()] = a
			d.Alerts = append(d.Alerts, a)
		}
	}
	for key, a := range f.shown {
		if !seen[key] {
			delete(f.shown, key)
			a.Resolved, a.Remedy, a.Evidence = true, "", nil
			d.Alerts = append(d.Alerts, a)
		}
	}
}

func failed(node string, t *attempts) Alert {
	a := Alert{
		Kind: FenceFailed, Unit: t.unit, Peer: node, Since: t.failed,
		Summary: fmt.Sprintf("fencing %s failed (attempt %d of %d)", node, t.failures, fenceTries), Evidence: []string{t.detail},
		Remedy: "look at the options of its fence_agent; the attempts go on",
	}
	if t.failures >= fenceTries {
		a.Summary = fmt.Sprintf("fencing %s failed %d times and is given up", node, t.failures)
		a.Remedy = "switch it off by hand: until then two machines may answer for the addresses"
	}
	return a
}

// waits is the alert of evidence that has stood for longer than it should.
func (f *Fencer) waits(v *FenceView, key caseKey, s stoodFor, why string) (Alert, bool) {
	i := slices.IndexFunc(v.Units, func(u FenceUnit) bool { return u.Name == key.unit })
	t := f.tries[key.node]
	if i < 0 || why == "" || t == nil || t.failures > 0 || v.Now.Sub(s.since) < v.Units[i].After+waitsAfter {
		return Alert{}, false
	}
	return Alert{
		Kind: FenceWaits, Unit: key.unit, Peer: key.node, Since: s.since,
		Summary: fmt.Sprintf("%s takes %s and may not be fenced: %s", key.node, key.unit, why),
		Remedy:  "stop haclusterd there, or switch the machine off",
	}, true
}
