package preflight

import (
	"fmt"
	"time"
)

// JudgeJoin makes findings of what a node that is about to join found together with
// the members: those that concern it, the gravest first. It is the one that asked,
// so offsets are from its own clock.
func JudgeJoin(node string, asked []Asked) []Finding {
	j := newJudge(asked)
	j.joins = node
	j.reachable(asked)
	j.calls()
	j.ways()
	j.trials()
	j.routers()
	j.responders()
	j.clockOf(node, asked)
	for _, r := range j.reports {
		if r.Node == node {
			j.findings = append(j.findings, r.Findings...)
		}
	}
	return j.sorted()
}

// JudgeWitness is JudgeJoin for a witness. It holds nothing: whether the members find
// it, and it them, is all that matters.
func JudgeWitness(node string, asked []Asked) []Finding {
	j := newJudge(asked)
	j.joins, j.witness = node, true
	j.reachable(asked)
	j.calls()
	j.trials()
	j.clockOf(node, asked)
	return j.sorted()
}

// calls says which members do not reach the node that is about to join by TCP. It has
// met the leader, and that may be another one tomorrow. Members that do not try are
// left out.
func (j *judge) calls() {
	var failed []string
	tried := 0
	for _, r := range j.reports {
		if r.Node == j.joins || !r.Calls {
			continue
		}
		if tried++; !r.Called {
			failed = append(failed, r.Node)
		}
	}
	switch {
	case len(failed) > 0:
		j.add(Finding{
			Severity: Error, Check: "api", Node: j.joins,
			Summary: fmt.Sprintf("%s does not reach %s by TCP: without it, a leader there loses a vote", join(failed), j.joins),
			Remedy:  fmt.Sprintf("let TCP port 7112 pass to %s from %s", j.joins, join(failed)),
		})
	case tried > 0:
		j.add(Finding{Severity: OK, Check: "api", Summary: fmt.Sprintf("%s is reached by TCP from all members that were asked", j.joins)})
	}
}

// Refusing lists the findings that keep a node from joining.
func Refusing(findings []Finding) []Finding {
	var out []Finding
	for _, f := range findings {
		if f.TwoHolders || f.NoVote {
			out = append(out, f)
		}
	}
	return out
}

// clockOf compares the clock of a node with the member's from which it differs most.
func (j *judge) clockOf(node string, asked []Asked) {
	var far Asked
	for _, a := range asked {
		if a.Report != nil && a.Name != node && (far.Report == nil || a.Offset.Abs() > far.Offset.Abs()) {
			far = a
		}
	}
	if far.Report == nil {
		return
	}
	off := far.Offset.Abs().Round(time.Millisecond)
	if off < clocksDiffer {
		j.add(Finding{Severity: OK, Check: "clock", Summary: fmt.Sprintf("the clock is within %v of the members'", off)})
		return
	}
	direction := "behind"
	if far.Offset < 0 {
		direction = "ahead of"
	}
	f := Finding{
		Severity: Warning, Check: "clock", Node: node,
		Summary: fmt.Sprintf("the clock of %s is %v %s that of %s", node, off, direction, far.Name), Remedy: clockRemedy,
	}
	if off > clocksFarOff {
		f.Severity = Error
	}
	j.add(f)
}
