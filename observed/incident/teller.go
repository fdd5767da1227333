package incident

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/hacluster/hacluster/observed"
)

// aloneAfter is how long no leader may be known before a node tells people
// itself: an election is shorter.
const aloneAfter = 5 * time.Second

// teller raises the alerts of incidents, on the node that is to tell people.
type teller struct {
	ReporterOptions

	told       map[string]*notice // by alert ID
	leaderless time.Time          // since when no leader is known; zero: one is
}

// notice is how far people are told of one open incident.
type notice struct {
	raised  bool // the alert stands in this node's hub; else another leader raised it
	reminds int  // reminders that were due
}

// tellsPeople reports whether this node is the one that tells people what all
// nodes know: the leader, or one that has not known a leader for a while.
func (t *teller) tellsPeople() (leads, alone bool) {
	leader := t.Leader()
	switch {
	case leader != "":
		t.leaderless = time.Time{}
	case t.leaderless.IsZero():
		t.leaderless = time.Now()
	}
	return leader == t.Node, !t.leaderless.IsZero() && time.Since(t.leaderless) >= aloneAfter
}

// tellRecords raises one alert for each incident of the cluster, on the leader.
func (t *teller) tellRecords(ctx context.Context) {
	records, _ := t.Machine.Records()
	clocks := t.View.Known().Clocks
	for _, r := range records {
		// What began on both sides of a cut was told on both, and ends on both.
		if r.Told && r.ToldClosed || !r.Told && r.ToldByReporter() {
			continue
		}
		story := r.Tell(t.Node, clocks)
		closed := !story.Closed.IsZero()
		if id := observed.IncidentAlert + story.ID(); r.Told && t.told[id] == nil {
			// A leader before this one has told of it.
			due, _ := story.Reminders(time.Now())
			t.told[id] = &notice{reminds: due}
		}
		t.raise(&story, false)
		if r.Told && !closed {
			continue
		}
		cmd, err := Told(r.Number, closed)
		if err == nil {
			err = t.commit(ctx, "note that people were told", cmd)
		}
		if err != nil {
			t.Log.Debug("others may tell it again", "incident", r.Number, "err", err)
		}
	}
}

// endRecords ends the alerts that this node raised when it was the leader. People
// are told so by the one that leads now; see alert.ToldBy.
func (t *teller) endRecords() {
	maps.DeleteFunc(t.told, func(_ string, n *notice) bool { return !n.raised })
	if len(t.told) == 0 {
		return
	}
	records, _ := t.Machine.Records()
	clocks := t.View.Known().Clocks
	for _, r := range records {
		story := r.Tell(t.Node, clocks)
		if t.told[observed.IncidentAlert+story.ID()] != nil && !story.Closed.IsZero() {
			t.raise(&story, false)
		}
	}
}

// tellOwn tells of this node's parts those that it must tell while it knows no
// leader, and the end of what it told so. It returns the local names of those.
func (t *teller) tellOwn(parts []Part, alone bool) []string {
	clocks := t.View.Known().Clocks
	var told []string
	for _, p := range parts {
		if !p.Told && !(alone && p.Closed.IsZero()) {
			continue
		}
		r := Record{Parts: []Part{p}}
		story := r.Tell(t.Node, clocks)
		t.raise(&story, true)
		told = append(told, p.Local)
	}
	return told
}

// raise opens or ends the alert of an incident, and reminds of it.
func (t *teller) raise(s *Story, isolated bool) {
	a := s.Alert(t.Node, isolated)
	due, after := s.Reminders(time.Now())
	n := t.told[a.ID]
	if n == nil {
		n = &notice{}
		t.told[a.ID] = n
		t.open(n, a)
	}
	switch {
	case !a.Resolved.IsZero():
		if !n.raised {
			t.open(n, a) // its end says what it was
		}
		t.View.Alert(a)
		delete(t.told, a.ID)
	case due > n.reminds:
		n.reminds = due
		a.Summary = fmt.Sprintf("still open after %v: %s", after, a.Summary)
		t.open(n, a)
	}
}

func (t *teller) open(n *notice, a observed.Alert) {
	a.Resolved = time.Time{}
	n.raised = true
	t.View.Alert(a)
}
