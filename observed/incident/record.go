package incident

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind is what an incident is.
type Kind string

// Kinds.
const (
	// Failover: a holder was lost, and others took its units, or nobody did.
	Failover Kind = "failover"
	// SplitBrain: two nodes held one unit.
	SplitBrain Kind = "split_brain"
	// QuorumLost: no majority of the voters answered.
	QuorumLost Kind = "quorum_lost"
	// Fencing: a node was cut off by a fence agent, or should have been.
	Fencing Kind = "fencing"
)

// Bounds of what is kept.
const (
	maxLines   = 40  // of a part
	maxNames   = 8   // units that a line names
	maxUnits   = 300 // that a part names
	maxTenures = 16  // that a part names
	maxText    = 300 // bytes of a line
)

// Tenure is one stay of a unit in MASTER, in the whole cluster.
type Tenure struct {
	Unit string
	Boot uint64 // life of the holder's process
	Seq  uint64
}

// Part is what one node says of one incident. It is complete: a later Part of the
// same Node and Local stands for the one before.
type Part struct {
	Node  string
	Local string // names the incident on its node
	Kind  Kind
	// Subject are the nodes concerned, in order: the one that was lost, or those
	// that held together.
	Subject []string
	Units   []string
	// Tenures are those that the incident is about: what ended, or what overlapped.
	Tenures []Tenure
	Opened  time.Time // the first sign, by the node's clock
	Closed  time.Time // zero: open
	// Double is the longest time for which claims show two holders of one unit.
	Double time.Duration
	// Dark is the longest time without a holder, from the last sign of the old one
	// to the start of the new one: an upper bound.
	Dark time.Duration
	// Unanswered is the same, to the first answer of the new one to a probe of the
	// node that reports; zero: it has seen none.
	Unanswered time.Duration
	// Taken counts the units that each node has now.
	Taken map[string]int
	Done  []string // what was done here by itself, by which rule
	Lines []Line
	// Clocks are how far the clocks of others are ahead of this node's.
	Clocks map[string]time.Duration
	// Told says that the node told people of it itself, because it knew no leader.
	Told bool
}

// Line is one thing that the node of a part saw.
type Line struct {
	At      time.Time
	Channel string // vrrp, mesh, probe, rule, store, alert
	Units   []string
	More    int // units that are not named
	Text    string
}

// Record is one incident as all nodes know it.
type Record struct {
	Number     uint64
	Parts      []Part // by node, then in order of opening
	Told       bool   // people were told that it opened
	ToldClosed bool   // and that it is over
}

// Kind is what it is.
func (r *Record) Kind() Kind { return r.Parts[0].Kind }

// At translates a time of a part into the clock of the named node. Without a
// measured difference it is left as it is.
func (p *Part) At(t time.Time, node string, clocks map[string]time.Duration) time.Time {
	switch ahead, ok := clocks[p.Node]; {
	case t.IsZero() || p.Node == node:
		return t
	case ok:
		return t.Add(-ahead)
	}
	return t.Add(p.Clocks[node])
}

// Story is a record as one node tells it, in its own time.
type Story struct {
	Number         uint64              // 0: only one node knows of it
	Local          string              // its name while it has no number
	Locals         map[string][]string // its names on each node
	Kind           Kind
	Subject, Units []string
	Summary        string
	Opened, Closed time.Time
	Double, Dark   time.Duration
	Unanswered     time.Duration
	Reporters      []string
	Done           []string
	Lines          []StoryLine
	Taken          map[string]int // units that each node has taken
}

// Successor reports whether somebody has taken the units over.
func (s *Story) Successor() bool { return len(s.Taken) > 0 }

// StoryLine is a line with the node that saw it.
type StoryLine struct {
	Node string
	Line
}

// ID is how people name the incident.
func (s *Story) ID() string {
	if s.Number == 0 {
		return s.Local
	}
	return fmt.Sprint(s.Number)
}

// Tell makes a story of the record for the named node, which knows how far the
// clocks of others are ahead of its own.
func (r *Record) Tell(node string, clocks map[string]time.Duration) Story {
	s := Story{Number: r.Number, Local: r.Parts[0].Local, Locals: make(map[string][]string), Kind: r.Kind()}
	open := false
	s.Taken = make(map[string]int)
	for i := range r.Parts {
		p := &r.Parts[i]
		at := func(t time.Time) time.Time { return p.At(t, node, clocks) }
		if opened := at(p.Opened); s.Opened.IsZero() || opened.Before(s.Opened) {
			s.Opened = opened
		}
		open = open || p.Closed.IsZero()
		if closed := at(p.Closed); closed.After(s.Closed) {
			s.Closed = closed
		}
		s.Locals[p.Node] = append(s.Locals[p.Node], p.Local)
		s.Double = max(s.Double, p.Double)
		if p.Dark > 0 && (s.Dark == 0 || p.Dark < s.Dark) {
			s.Dark = p.Dark // each is an upper bound
		}
		if p.Unanswered > 0 && (s.Unanswered == 0 || p.Unanswered < s.Unanswered) {
			s.Unanswered = p.Unanswered // as is this
		}
		for _, name := range p.Subject {
			s.Subject = add(s.Subject, name)
		}
		for _, name := range p.Units {
			s.Units = add(s.Units, name)
		}
		for name, n := range p.Taken {
			s.Taken[name] = max(s.Taken[name], n)
		}
		s.Reporters = add(s.Reporters, p.Node)
		for _, what := range p.Done {
			s.Done = append(s.Done, p.Node+": "+what)
		}
		for _, l := range p.Lines {
			l.At = at(l.At)
			s.Lines = append(s.Lines, StoryLine{p.Node, l})
		}
	}
	if open {
		s.Closed = time.Time{}
	}
	slices.Sort(s.Subject)
	slices.Sort(s.Units)
	slices.Sort(s.Reporters)
	slices.SortStableFunc(s.Lines, func(a, b StoryLine) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Node, b.Node)) })
	s.Summary = summary(&s)
	return s
}

func add(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

func summary(s *Story) string {
	units := fmt.Sprintf("%d units", len(s.Units))
	switch len(s.Units) {
	case 1:
		units = s.Units[0]
	case 2:
		units = s.Units[0] + " and " + s.Units[1]
	}
	lasted := "still"
	if !s.Closed.IsZero() {
		lasted = "for " + rounded(s.Closed.Sub(s.Opened)).String()
	}
	switch s.Kind {
	case SplitBrain:
		how := ""
		if s.Double > 0 {
			how = fmt.Sprintf(" for %v", rounded(s.Double))
		}
		return fmt.Sprintf("%s held %s together%s", strings.Join(s.Subject, " and "), units, how)
	case Failover:
		// Whoever is cut off may hold on, for all that is known here.
		what := fmt.Sprintf("%s over from %s", units, strings.Join(s.Subject, ", "))
		var by []string
		for _, name := range slices.Sorted(maps.Keys(s.Taken)) {
			if len(s.Units) > 1 {
				name = fmt.Sprintf("%s (%d)", name, s.Taken[name])
			}
			by = append(by, name)
		}
		dark := rounded(s.Dark)
		switch {
		case len(by) == 0:
			return fmt.Sprintf("nobody has taken %s for %v", what, dark)
		case dark > 0:
			return fmt.Sprintf("%s took %s, at most %v after its last sign", strings.Join(by, ", "), what, dark)
		}
		return fmt.Sprintf("%s took %s", strings.Join(by, ", "), what)
	case QuorumLost:
		return "no majority of the voters answered, " + lasted
	}
	return fmt.Sprintf("%s of %s", s.Kind, strings.Join(s.Subject, ", "))
}

func rounded(d time.Duration) time.Duration {
	if d > 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}

// SubjectName names the nodes concerned.
func (s *Story) SubjectName() string { return strings.Join(s.Subject, ", ") }

// Named are the units that a line names, and how many more there are.
func (l *Line) Named() []string {
	if l.More == 0 {
		return l.Units
	}
	return append(slices.Clip(l.Units), fmt.Sprintf("and %d more", l.More))
}
