package incident

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
)

// find returns the open part of that kind about those nodes, or opens one whose
// first sign is at the given time.
func (t *Tracker) find(in *Input, kind Kind, subject []string, opened time.Time) *part {
	for _, p := range t.open {
		if p.Kind == kind && slices.Equal(p.Subject, subject) {
			if opened.Before(p.Opened) {
				p.Opened = opened
				p.touch()
			}
			return p
		}
	}
	t.made++
	p := &part{Part: Part{
		Node: t.node, Local: fmt.Sprintf("%s-%x-%d", t.node, t.boot&0xffff, t.made), Kind: kind, Subject: subject,
		Opened: opened, Clocks: maps.Clone(in.Clocks),
	}}
	p.touch()
	t.open = append(t.open, p)
	for _, e := range t.recent {
		p.event(e)
	}
	return p
}

func (p *part) touch() { p.changed++ }

// about adds a unit, with the tenures that the incident is about, and reports
// whether it is new.
func (p *part) about(name string, holds ...*hold) bool {
	if slices.Contains(p.Units, name) || len(p.Units) >= maxUnits {
		return false
	}
	p.Units = append(p.Units, name)
	for _, h := range holds {
		if len(p.Tenures) < maxTenures {
			p.Tenures = append(p.Tenures, Tenure{name, h.boot, h.seq})
		}
	}
	p.touch()
	return true
}

// figures are what differs between two lines that say the same of two units.
var figures = regexp.MustCompile(`\d+(\.\d+)?(ns|µs|ms|s|m)\b`)

func gist(text string) string { return figures.ReplaceAllString(text, "…") }

// line adds what was seen. What is said of many units at about the same time is
// one line.
func (p *part) line(l Line) {
	if len(l.Text) > maxText {
		l.Text = strings.ToValidUTF8(l.Text[:maxText], "") + "…"
	}
	for i := range p.Lines {
		old := &p.Lines[i]
		if old.Channel != l.Channel || gist(old.Text) != gist(l.Text) || l.At.Sub(old.At).Abs() > 2*time.Second {
			continue
		}
		old.At = earliest(old.At, l.At)
		for _, name := range l.Units {
			switch {
			case slices.Contains(old.Units, name):
			case len(old.Units) < maxNames:
				old.Units = append(old.Units, name)
				p.touch()
			default:
				old.More++
				p.touch()
			}
		}
		return
	}
	if len(p.Lines) < maxLines {
		p.Lines = append(p.Lines, l)
		p.touch()
	}
}

// remember keeps the events of the last moments, and adds new ones to what is
// open.
func (t *Tracker) remember(in *Input) {
	t.recent = slices.DeleteFunc(t.recent, func(e observed.Event) bool { return in.Now.Sub(e.Time) > before })
	for _, e := range in.Events {
		if e.Instance != "" && e.Instance != e.Unit || ofIncident(e) {
			continue // its group says the same, or this package did
		}
		t.recent = append(t.recent, e)
		for _, p := range t.open {
			p.event(e)
		}
	}
}

// ofIncident reports whether the event is about the alert of an incident.
func ofIncident(e observed.Event) bool {
	return e.Kind == observed.AlertChanged && e.Unit == "" && slices.Contains([]Kind{Failover, SplitBrain, QuorumLost, Fencing}, Kind(e.From))
}

// event adds an event of this node to the story.
func (p *part) event(e observed.Event) {
	var units []string
	if e.Unit != "" {
		units = []string{e.Unit}
	}
	switch e.Kind {
	case observed.StateChanged:
		p.line(Line{At: e.Time, Channel: "vrrp", Units: units, Text: fmt.Sprintf("%s → %s: %s", e.From, e.To, e.Reason)})
		p.did(action(e))
	case observed.AlertChanged:
		var text strings.Builder
		text.WriteString(e.From + " " + e.To)
		if e.To == "open" {
			text.WriteString(": " + strings.TrimPrefix(e.Reason, e.Unit+": "))
			for _, evidence := range e.Evidence {
				text.WriteString("; " + evidence)
			}
		}
		p.line(Line{At: e.Time, Channel: "alert", Units: units, Text: text.String()})
	case observed.VerdictChanged:
		p.answer(e)
		p.line(Line{At: e.Time, Channel: "probe", Units: units, Text: e.To + ": " + e.Reason})
	default:
		return
	}
}

// await looks out for the answer of a unit's new holder.
func (p *part) await(unit string, sign time.Time) {
	if p.silent == nil {
		p.silent = make(map[string]time.Time)
	}
	p.silent[unit] = sign
}

// answer takes the first answer of a new holder to a probe, if the event is that.
func (p *part) answer(e observed.Event) {
	sign, waiting := p.silent[e.Unit]
	if !waiting || e.Kind != observed.VerdictChanged || e.To != observed.Verified || !e.Time.After(sign) {
		return
	}
	delete(p.silent, e.Unit)
	p.Unanswered = max(p.Unanswered, e.Time.Sub(sign))
	p.touch()
}

// did adds what was done here by itself; empty: nothing.
func (p *part) did(what string) {
	same := func(d string) bool { return gist(d) == gist(what) }
	if what != "" && len(p.Done) < maxLines && !slices.ContainsFunc(p.Done, same) {
		p.Done = append(p.Done, what)
		p.touch()
	}
}

// action is what a change of state did, by which rule; empty: nothing.
func action(e observed.Event) string {
	reason := e.Reason
	switch {
	case e.To == vrrp.Master.String():
		return fmt.Sprintf("took over (%s): %s", takeOverRule(reason), reason)
	case e.From == vrrp.Master.String():
		rule := "VRRP"
		switch {
		case e.To == vrrp.Fault.String():
			rule = "R3"
		case strings.Contains(reason, "hand"):
			rule = "R4"
		case strings.HasPrefix(reason, "yields"):
			rule = "R2"
		}
		return fmt.Sprintf("let go (%s): %s", rule, reason)
	}
	return ""
}

func takeOverRule(reason string) string {
	switch {
	case strings.Contains(reason, "handed the unit over"):
		return "R4"
	case strings.Contains(reason, "released the unit"), strings.Contains(reason, "is gone"):
		return "R9"
	case strings.HasPrefix(reason, "hold ended"):
		return "R1"
	}
	return "VRRP"
}

// Parts returns the parts that have changed since they were given last, with what
// to tell Given of each.
func (t *Tracker) Parts() []Change {
	var out []Change
	for _, p := range slices.Concat(t.closed, t.open) {
		if p.changed != p.given {
			out = append(out, Change{Part: p.clone(), number: p.changed})
		}
	}
	return out
}

// Local returns all parts that this node keeps: the open ones, and those that the
// cluster has not taken.
func (t *Tracker) Local() []Part {
	var out []Part
	for _, p := range slices.Concat(t.closed, t.open) {
		out = append(out, p.clone())
	}
	return out
}

// Change is a part that the machine should have.
type Change struct {
	Part
	number uint64
}

// Given says that the machine has a change. A part that is closed is not kept any
// more then.
func (t *Tracker) Given(c Change) {
	for _, list := range []*[]*part{&t.closed, &t.open} {
		for _, p := range *list {
			if p.Local == c.Local {
				p.given = max(p.given, c.number)
			}
		}
	}
	t.closed = slices.DeleteFunc(t.closed, func(p *part) bool { return p.given == p.changed })
}

// SetTold notes that this node told people of the part itself.
func (t *Tracker) SetTold(local string) {
	for _, p := range slices.Concat(t.closed, t.open) {
		if p.Local == local && !p.Told {
			p.Told = true
			p.touch()
		}
	}
}

// clone copies the part, so that the tracker can go on.
func (p *part) clone() Part {
	c := p.Part
	c.Subject, c.Units, c.Tenures, c.Done = slices.Clone(c.Subject), slices.Clone(c.Units), slices.Clone(c.Tenures), slices.Clone(c.Done)
	c.Taken, c.Clocks = maps.Clone(c.Taken), maps.Clone(c.Clocks)
	c.Lines = slices.Clone(c.Lines)
	for i := range c.Lines {
		c.Lines[i].Units = slices.Clone(c.Lines[i].Units)
	}
	return c
}
