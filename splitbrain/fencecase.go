package splitbrain

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// member returns what is known of a member, or nil.
func (v *FenceView) member(name string) *MemberView {
	i := slices.IndexFunc(v.Peers.Members, func(m MemberView) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &v.Peers.Members[i]
}

// masterClaim is the member's fresh claim that it holds the unit, or nil.
func masterClaim(m *MemberView, unit string) *ClaimView {
	if m == nil || !m.Fresh || m.Leaving {
		return nil
	}
	for i := range m.Claims {
		if c := &m.Claims[i]; c.Unit == unit && c.Fresh && c.State == Master {
			return c
		}
	}
	return nil
}

// proof is a proof that counts, or nil.
func (v *FenceView) proof(unit, node string) *FenceProof {
	i := slices.IndexFunc(v.Proofs, func(p FenceProof) bool { return p.Unit == unit && p.Node == node && p.holds(v.Now) })
	if i < 0 {
		return nil
	}
	return &v.Proofs[i]
}

// beats reports whether the first tenure is the rightful one (R2): as each was
// when it began, whatever priorities are now.
func beats(a, b Tenure) bool { return outranks(a.Priority, a.Primary, b.Priority, b.Primary) }

// evidence is what shows that the node takes the unit for itself against a
// tenure that comes first, and began at the given time. The claim of a node counts
// that knows of that tenure, or asks voters and has none; of others the proof. What
// it said before that tenure was its right.
func (v *FenceView) evidence(unit, node string, quorum bool, rightful Tenure, began time.Time) (at time.Time, text []string) {
	m := v.member(node)
	if c := masterClaim(m, unit); c != nil && c.At.After(began) {
		if !quorum && beats(c.Tenure, rightful) {
			return time.Time{}, nil // it is the others who have to let go
		}
		if quorum || m.TwoWay {
			at = c.At
			text = append(text, fmt.Sprintf("%s claims %s (tenure %d, priority %d) in a record %v old, and does not let go",
				node, unit, c.Tenure.Seq, c.Tenure.Priority, v.Now.Sub(c.At).Round(time.Millisecond)))
		}
	}
	if p := v.proof(unit, node); p != nil {
		at = later(at, p.Last)
		text = append(text, fmt.Sprintf("%s took packets for %s that were sent to its own hardware address, twice, %v ago",
			node, unit, v.Now.Sub(p.Last).Round(time.Millisecond)))
	}
	return at, text
}

// answersFor reports whether probes show that a node answers for a unit that it
// does not claim.
func (v *FenceView) answersFor(unit, node string) bool {
	return slices.ContainsFunc(v.Peers.Alerts, func(a Alert) bool { return a.Kind == StaleHolder && a.Unit == unit && a.Peer == node })
}

// accuse lists the nodes that take a unit which this node rightfully holds, the
// one that has done so longest first, and asks for proofs.
func (f *Fencer) accuse(v *FenceView, d *FenceDecision) []fenceCase {
	var cases []fenceCase
	for i := range v.Units {
		u := &v.Units[i]
		if !u.Holds || u.Quorum && !u.Leased {
			continue
		}
		for _, node := range u.Targets {
			if node == v.Node || !slices.ContainsFunc(v.Members, func(m FenceMember) bool { return m.Name == node }) {
				continue
			}
			m := v.member(node)
			if m == nil || !m.Fresh || masterClaim(m, u.Name) != nil || v.answersFor(u.Name, node) {
				d.Suspects = append(d.Suspects, Suspect{u.Name, node})
			}
			at, text := v.evidence(u.Name, node, u.Quorum, u.Tenure, u.Since)
			since, stands := stand(f.stood, caseKey{u.Name, node}, at, v.Now)
			if !stands {
				continue
			}
			c := fenceCase{unit: u, node: node, since: since, at: at, text: text}
			if m != nil {
				c.boot = m.Boot
			}
			if f.open(v, &c) {
				cases = append(cases, c)
			}
		}
	}
	slices.SortStableFunc(cases, func(a, b fenceCase) int { return a.since.Compare(b.since) })
	f.forget(v)
	return cases
}

// stand notes evidence of the given time, zero for none, and says since when it
// stands. What was said in the last moments only keeps it standing.
func stand(m map[caseKey]stoodFor, key caseKey, at, now time.Time) (since time.Time, stands bool) {
	s, ok := m[key]
	switch {
	case at.IsZero() && (!ok || now.Sub(s.seen) > evidenceGap):
		delete(m, key)
		return time.Time{}, false
	case at.IsZero():
		return s.since, false
	case !ok || now.Sub(s.seen) > evidenceGap:
		s.since = now
	}
	s.seen = now
	m[key] = s
	return s.since, true
}

// open reports whether the case is not settled by an earlier fencing, and keeps
// account of it.
func (f *Fencer) open(v *FenceView, c *fenceCase) bool {
	t := f.attempts(c.node, c.boot)
	t.accused = v.Now
	if t.done.IsZero() {
		return true
	}
	// What it said or did before it was fenced is no evidence. After that, the
	// agent's success was none.
	if c.at.Sub(t.done) < time.Second {
		return false
	}
	t.failures, t.failed, t.done = t.failures+1, v.Now, time.Time{}
	t.detail = "the agent reported success, and the node goes on"
	return true
}

// attempts is what came of fencing a life of a node so far.
func (f *Fencer) attempts(node string, boot BootID) *attempts {
	t := f.tries[node]
	if t == nil || t.boot != boot {
		t = &attempts{boot: boot}
		f.tries[node] = t
	}
	return t
}

// meet notes lives that begin. What was seen of a node before is no evidence against
// its new life, whose start has removed what the one before had left.
func (f *Fencer) meet(v *FenceView) {
	for i := range v.Peers.Members {
		m := &v.Peers.Members[i]
		if m.Boot == 0 || f.lives[m.Name].boot == m.Boot {
			continue
		}
		f.lives[m.Name] = life{m.Boot, v.Now}
		former := func(key caseKey, _ stoodFor) bool { return key.node == m.Name }
		maps.DeleteFunc(f.stood, former)
		maps.DeleteFunc(f.seen, former)
	}
	v.Proofs = slices.DeleteFunc(slices.Clone(v.Proofs), func(p FenceProof) bool { return !p.First.After(f.lives[p.Node].since) })
}

// forget drops what is too old to matter.
func (f *Fencer) forget(v *FenceView) {
	for node, t := range f.tries {
		m := v.member(node)
		back := m != nil && m.Fresh && m.Boot != t.boot
		if !f.runs && (back || v.Now.Sub(later(t.accused, t.done)) > tryMemory) {
			delete(f.tries, node)
		}
	}
}
