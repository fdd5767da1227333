package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/observed"
)

// evidenceLines bounds what an alert quotes of an incident.
const evidenceLines = 12

// remindAfter is when people are told again of an incident that is still open.
var remindAfter = [...]time.Duration{time.Hour, 4 * time.Hour, 24 * time.Hour}

// Alert is what people are told of the incident by the named node; isolated says
// that it knows no leader, and tells what only it sees.
func (s *Story) Alert(node string, isolated bool) observed.Alert {
	a := observed.Alert{
		ID: observed.IncidentAlert + s.ID(), Code: string(s.Kind), Severity: observed.Critical, Node: node,
		Summary: s.Summary, Action: strings.Join(s.Done, "; "), Next: "haclusterctl incident show " + s.ID(),
		Since: s.Opened, Resolved: s.Closed,
	}
	if s.Kind == Failover && s.Successor() {
		a.Severity = observed.Warning
	}
	if isolated {
		a.Summary += " (as only " + node + " sees it: it knows no leader)"
	}
	for _, l := range s.Lines {
		if len(a.Evidence) == evidenceLines {
			a.Evidence = append(a.Evidence, fmt.Sprintf("and %d more", len(s.Lines)-evidenceLines))
			break
		}
		a.Evidence = append(a.Evidence, fmt.Sprintf("%s %s %s: %s", l.At.UTC().Format("15:04:05.000"), l.Node, l.Channel, l.Text))
	}
	return a
}

// Reminders is how many times people should have been reminded of an open
// incident by now, and the age at which the last one was due.
func (s *Story) Reminders(now time.Time) (due int, after time.Duration) {
	for due < len(remindAfter) && now.Sub(s.Opened) >= remindAfter[due] {
		after = remindAfter[due]
		due++
	}
	return due, after
}

// ToldByReporter reports whether a node that knew no leader has told people of its
// part.
func (r *Record) ToldByReporter() bool {
	return slices.ContainsFunc(r.Parts, func(p Part) bool { return p.Told })
}
