package splitbrain

import (
	"fmt"
	"slices"
	"time"
)

// says reports whether what a member says of fencing counts as said now.
func (v *FenceView) says(m *MemberView) bool {
	return m.Fresh && !m.Leaving && v.Now.Sub(m.FencingAt) <= evidenceGap
}

// obstacle says why this node may not even ask.
func (f *Fencer) obstacle(v *FenceView, c *fenceCase) string {
	t := f.tries[c.node]
	switch {
	case v.Disarmed:
		return "fencing is disarmed"
	case t.failures >= fenceTries:
		return fmt.Sprintf("%d attempts failed", t.failures)
	case two(v, c) && c.unit.First != v.Node && c.unit.First != c.node:
		return "fence_first names neither of the two nodes"
	case f.vote != nil && v.Now.Before(f.vote.until):
		return fmt.Sprintf("this node has voted that another fences %s", f.vote.Node)
	}
	for i := range v.Peers.Members {
		m := &v.Peers.Members[i]
		if !v.says(m) {
			continue
		}
		for _, w := range m.Fencing {
			switch {
			case w.By != m.Boot:
			case w.Stage == FenceRuns && w.Node == v.Node && (w.Boot == 0 || w.Boot == v.Boot):
				return fmt.Sprintf("%s is fencing this node", m.Name)
			case w.Stage == FenceRuns:
				return fmt.Sprintf("%s is fencing %s", m.Name, w.Node)
			case w.Stage == FenceAsks && w.Node != v.Node && w.By < v.Boot && !two(v, c):
				// Two that ask at once would share the votes for ever.
				return fmt.Sprintf("%s asks to fence %s", m.Name, w.Node)
			}
		}
	}
	return ""
}

// missingVotes says which agreement is lacking, and "" when it is there (R11): in
// policy quorum the lease, and a majority of voters that fence nobody else; in
// policy mesh a majority of all members with evidence of their own; of two nodes
// none.
func (f *Fencer) missingVotes(v *FenceView, c *fenceCase) string {
	if two(v, c) {
		return ""
	}
	have, all := 0, 0
	count := func(voter, said, agrees bool) {
		switch {
		case c.unit.Quorum && !voter:
			return
		case said && (c.unit.Quorum || agrees):
			have++
		}
		all++
	}
	count(v.Voter, true, true)
	for _, member := range v.Members {
		said, agrees := false, false
		if m := v.member(member.Name); m != nil && v.says(m) {
			i := slices.IndexFunc(m.Fencing, func(w FenceWord) bool { return w.Stage == FenceVotes && w.same(&f.ask.FenceWord) })
			said = i >= 0
			agrees = said && m.Fencing[i].Agrees
		}
		count(member.Voter, said, agrees)
	}
	need := all/2 + 1
	switch {
	case have >= need:
		return ""
	case c.unit.Quorum:
		return fmt.Sprintf("%d of %d voters let this node fence, %d are needed", have, all, need)
	}
	return fmt.Sprintf("%d of %d members see it, %d are needed", have, all, need)
}

// castVote gives this node's vote to the one that runs an agent, or asks to; to
// nobody else before that is over.
func (f *Fencer) castVote(v *FenceView) {
	if f.vote != nil {
		f.keepVote(v)
	}
	if f.vote != nil || f.ask != nil || v.Disarmed {
		return
	}
	var best *FenceWord
	for i := range v.Peers.Members {
		m := &v.Peers.Members[i]
		if !v.says(m) {
			continue
		}
		for k := range m.Fencing {
			w := &m.Fencing[k]
			asks := (w.Stage == FenceAsks || w.Stage == FenceRuns) && w.By == m.Boot && w.Node != v.Node
			if asks && (best == nil || w.Stage > best.Stage || w.Stage == best.Stage && w.By < best.By) {
				best = w
			}
		}
	}
	if best == nil {
		return
	}
	f.vote = &fenceVote{FenceWord: *best, since: v.Now}
	f.vote.Stage = FenceVotes
	f.keepVote(v)
}

// keepVote brings the vote up to date, or takes it back when it binds no longer:
// the other has said that it is over, or was silent for as long as its agent may
// run.
func (f *Fencer) keepVote(v *FenceView) {
	w := &f.vote.FenceWord
	f.vote.heard = false
	i := slices.IndexFunc(v.Peers.Members, func(m MemberView) bool { return m.Boot == w.By })
	if i >= 0 && v.says(&v.Peers.Members[i]) {
		m := &v.Peers.Members[i]
		stood := slices.ContainsFunc(m.Fencing, func(o FenceWord) bool {
			return (o.Stage == FenceAsks || o.Stage == FenceRuns) && o.same(w)
		})
		if !stood {
			if m.FencingAt.After(f.vote.since) {
				f.vote = nil
			}
			return
		}
		f.vote.heard = true
		f.vote.until = m.FencingAt.Add(w.Span)
		w.Agrees = f.agrees(v, m, w)
		return
	}
	w.Agrees = false
	if !v.Now.Before(f.vote.until) {
		f.vote = nil
	}
}

// agrees reports whether this node itself has seen for a while that the target
// takes a unit which the one that asks rightfully holds.
func (f *Fencer) agrees(v *FenceView, by *MemberView, w *FenceWord) bool {
	key := caseKey{w.Unit, w.Node}
	c := masterClaim(by, w.Unit)
	if m := v.member(w.Node); c == nil || m != nil && w.Boot != 0 && m.Boot != w.Boot {
		delete(f.seen, key)
		return false
	}
	at, _ := v.seenEvidence(w.Unit, w.Node, c.Tenure, c.At.Add(-c.StateAge))
	since, stands := stand(f.seen, key, at, v.Now)
	return stands && v.Now.Sub(since) >= agreeAfter
}

// seenEvidence is evidence of a bystander, to whom the target's knowledge of the
// rightful holder does not show in acknowledgements of its own records.
func (v *FenceView) seenEvidence(unit, node string, rightful Tenure, began time.Time) (time.Time, []string) {
	if c := masterClaim(v.member(node), unit); c != nil && c.At.After(began) && beats(rightful, c.Tenure) {
		return c.At, nil
	}
	return v.evidence(unit, node, false, rightful, began)
}
