package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// holdGap joins the answers of one node: it is taken to hold an address from
// one answer to the next when it missed no more than two rounds of probes
// between them. A pause of the prober, who on a busy machine may be late, ends
// no holding.
const holdGap = 3

// Holding is a stretch of time in which one node answered for an address.
type Holding struct {
	Node     string
	From, To time.Time // its first and its last answer
}

func (h Holding) String() string {
	return fmt.Sprintf("%s %s–%s", h.Node, h.From.Format("05.000"), h.To.Format("05.000"))
}

// holdings joins answers, which are in order of time as the probes are, into
// stretches.
func holdings(probes []probe, answers []answer) []Holding {
	var all []Holding
	type latest struct{ stretch, round int } // of a node: where in all, and how many rounds had begun
	last := make(map[string]latest)
	next, rounds := 0, 0
	for _, a := range answers {
		for ; next < len(probes) && !probes[next].at.After(a.at); next++ {
			if next == 0 || probes[next].round != probes[next-1].round {
				rounds++
			}
		}
		l, ok := last[a.node]
		if ok && rounds-l.round <= holdGap {
			all[l.stretch].To = a.at
		} else {
			l.stretch = len(all)
			all = append(all, Holding{a.node, a.at, a.at})
		}
		last[a.node] = latest{l.stretch, rounds}
	}
	return all
}

// overlaps are the stretches in which two nodes held an address at once. A
// single answer of one node between two of another counts as one probe's
// period: it held at that moment, and nobody asked before the next probe.
func overlaps(all []Holding) (two []Stretch) {
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.Node == b.Node || b.From.After(a.To) || a.From.After(b.To) {
				continue
			}
			end := a.To
			if b.To.Before(end) {
				end = b.To
			}
			two = append(two, Stretch{b.From, end.Add(probeEvery)})
		}
	}
	return two
}

// darknesses are the stretches in which an address was asked for and nobody
// answered: from the first of some rounds of probes that went unanswered in a
// row to the answer that ended it, or to the last round when none did. A pause
// of the prober is no darkness.
func darknesses(probes []probe, answers []answer) (dark []Stretch) {
	type round struct {
		at       time.Time // its first probe
		answered time.Time // its first answer; zero: none
	}
	var rounds []round
	latest := make(map[uint16]int) // round number → index; numbers wrap around
	next := 0
	answersUntil := func(end time.Time) {
		for ; next < len(answers) && answers[next].at.Before(end); next++ {
			i, ok := latest[answers[next].round]
			if answers[next].kind == ByNeighbour { // which carries no number
				i, ok = len(rounds)-1, len(rounds) > 0
			}
			if ok && rounds[i].answered.IsZero() {
				rounds[i].answered = answers[next].at
			}
		}
	}
	for _, p := range probes {
		answersUntil(p.at)
		if i, ok := latest[p.round]; !ok || i != len(rounds)-1 {
			latest[p.round] = len(rounds)
			rounds = append(rounds, round{at: p.at})
		}
	}
	if len(rounds) == 0 {
		return nil
	}
	answersUntil(end(answers))

	var since time.Time // of the present darkness; zero: none
	for _, r := range rounds {
		switch {
		case !r.answered.IsZero() && !since.IsZero():
			dark = append(dark, Stretch{since, r.answered})
			since = time.Time{}
		case r.answered.IsZero() && since.IsZero():
			since = r.at
		}
	}
	if !since.IsZero() {
		dark = append(dark, Stretch{since, rounds[len(rounds)-1].at})
	}
	return dark
}

// end is a time after all answers.
func end(answers []answer) time.Time {
	if len(answers) == 0 {
		return time.Time{}
	}
	return answers[len(answers)-1].at.Add(time.Second)
}

// Series is what the probes of one kind say of one address.
type Series struct {
	Kind     Kind
	Probes   int
	Answers  int
	Holdings []Holding
	Two      []Stretch // with two nodes answering: the longest is E
	Dark     []Stretch // with nobody answering
}

func newSeries(kind Kind, probes []probe, answers []answer) Series {
	all := holdings(probes, answers)
	return Series{kind, len(probes), len(answers), all, overlaps(all), darknesses(probes, answers)}
}

func (s Series) String() string {
	stretches := s.Holdings[max(0, len(s.Holdings)-8):]
	var list []string
	for _, h := range stretches {
		list = append(list, h.String())
	}
	return fmt.Sprintf("%v: %d probes, %d answers, two holders for %v, dark for %v, holders %s",
		s.Kind, s.Probes, s.Answers, longest(s.Two), longest(s.Dark), strings.Join(list, "; "))
}

// Nodes are the nodes that answered, in the order of their first answers,
// repeated where the address came back.
func (s Series) Nodes() []string {
	var names []string
	for _, h := range s.Holdings {
		names = append(names, h.Node)
	}
	return slices.Compact(names)
}
