package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// holdGap joins the answers of one node: it is taken to hold an address from
// one answer to the next when no more than two probes lie between.
const holdGap = 5 * probeEvery / 2

// Holding is a stretch of time in which one node answered for an address.
type Holding struct {
	Node     string
	From, To time.Time // its first and its last answer
}

func (h Holding) String() string {
	return fmt.Sprintf("%s %s–%s", h.Node, h.From.Format("05.000"), h.To.Format("05.000"))
}

// holdings joins answers, which are in order of time, into stretches.
func holdings(answers []answer) []Holding {
	var all []Holding
	last := make(map[string]int) // node → its latest stretch in all
	for _, a := range answers {
		i, ok := last[a.node]
		if ok && a.at.Sub(all[i].To) <= holdGap {
			all[i].To = a.at
			continue
		}
		last[a.node] = len(all)
		all = append(all, Holding{a.node, a.at, a.at})
	}
	return all
}

// overlap is the longest time for which two nodes held an address at once. A
// single answer of one node between two of another counts as one probe's
// period: it held at that moment, and nobody asked before the next probe.
func overlap(all []Holding) time.Duration {
	var longest time.Duration
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.Node == b.Node || b.From.After(a.To) || a.From.After(b.To) {
				continue
			}
			end := a.To
			if b.To.Before(end) {
				end = b.To
			}
			longest = max(longest, end.Sub(b.From)+probeEvery)
		}
	}
	return longest
}

// darkness is the longest time for which an address was asked for and nobody
// answered: from the first probe of a run of unanswered ones to the answer
// that ended it, or to the last probe when none did.
func darkness(probes []probe, answers []answer) time.Duration {
	var longest time.Duration
	next := 0 // the first answer not before the probe looked at
	for i := 0; i < len(probes); i++ {
		for next < len(answers) && answers[next].at.Before(probes[i].at) {
			next++
		}
		// Probes up to the next answer: one alone was answered by it.
		rounds, j := 0, i
		for j < len(probes) && (next == len(answers) || probes[j].at.Before(answers[next].at)) {
			if j == i || probes[j].round != probes[j-1].round {
				rounds++
			}
			j++
		}
		end := probes[j-1].at
		if next < len(answers) {
			end = answers[next].at
		} else {
			rounds++ // no answer came: even a single probe went unanswered
		}
		if rounds > 1 {
			longest = max(longest, end.Sub(probes[i].at))
		}
		i = j - 1
	}
	return longest
}

// Series is what the probes of one kind say of one address.
type Series struct {
	Kind     Kind
	Probes   int
	Answers  int
	Holdings []Holding
	// Two is E: the longest time with two nodes answering.
	Two time.Duration
	// Dark is the longest time with nobody answering.
	Dark time.Duration
}

func newSeries(kind Kind, probes []probe, answers []answer) Series {
	all := holdings(answers)
	return Series{kind, len(probes), len(answers), all, overlap(all), darkness(probes, answers)}
}

func (s Series) String() string {
	stretches := s.Holdings[max(0, len(s.Holdings)-8):]
	var list []string
	for _, h := range stretches {
		list = append(list, h.String())
	}
	return fmt.Sprintf("%v: %d probes, %d answers, two holders for %v, dark for %v, holders %s",
		s.Kind, s.Probes, s.Answers, s.Two, s.Dark, strings.Join(list, "; "))
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
