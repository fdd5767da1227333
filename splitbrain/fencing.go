package splitbrain

import (
	"slices"
	"time"
)

// FenceView is all that bears on fencing (R11) at one moment.
type FenceView struct {
	Now     time.Time
	Node    string
	Boot    BootID
	Voter   bool          // this node votes in policy quorum
	Members []FenceMember // every other configured member
	Units   []FenceUnit   // of this node; those that can fence
	Peers   PeerView      // what the members say
	Proofs  []FenceProof  // what probes of this node show

	// Disarmed says that a person has frozen fencing: nothing is begun, and
	// nobody is voted for.
	Disarmed bool
}

// FenceMember is another configured member.
type FenceMember struct {
	Name  string
	Voter bool // in policy quorum; a witness is one too
}

// FenceUnit is one unit of this node, with the words of its configuration.
type FenceUnit struct {
	Name   string
	Quorum bool      // follows policy quorum
	Holds  bool      // this node is MASTER, in Tenure
	Tenure Tenure    // the present one
	Since  time.Time // when it began
	Leased bool      // policy quorum: its lease is valid

	Targets []string      // nodes that have an agent
	After   time.Duration // how long the evidence must stand
	First   string        // of two nodes with policy mesh, the one that does not wait Delay
	Delay   time.Duration
	Span    time.Duration // how long one run of an agent may take, with all that is around it
}

// FenceProof says that probes have proved that a node takes packets for the
// addresses of a unit which are sent to its own hardware address by unicast: a
// broadcast answer may be a switch's cache, with an innocent machine's address
// in it (S65). The answers came from a hardware address of that node, so it has
// not just passed the packets on.
type FenceProof struct {
	Unit, Node  string
	First, Last time.Time // the latest two such answers in a row
}

const (
	proofApart = 100 * time.Millisecond // between the two answers of a proof
	proofLife  = 3 * time.Second        // how long a proof counts
	// evidenceGap is for how long evidence may be missing and still counts as
	// standing: a record or an answer is lost now and then.
	evidenceGap = 3 * time.Second
	// agreeAfter is how long a voter must have seen the evidence itself. The one
	// that asks has waited fence_after already.
	agreeAfter = time.Second
	fenceTries = 3                // attempts; then people are asked
	fenceRetry = 10 * time.Second // between them
	fenceSaid  = 5 * time.Minute  // how long success is told
	tryMemory  = 10 * time.Minute // without evidence, after which failures are forgotten
)

func (p FenceProof) holds(now time.Time) bool {
	return p.Last.Sub(p.First) >= proofApart && now.Sub(p.Last) <= proofLife
}

// FenceOrder is the act of fencing one node.
type FenceOrder struct {
	Unit     string
	Node     string
	Boot     BootID   // the life that is to end; zero: unknown
	Evidence []string // what it did, by which channel, how long ago
}

// FencedLife is the life of a node that an agent has ended. Its grants are free
// and its claims void.
type FencedLife struct {
	Node string
	Boot BootID
}

// Suspect is a node of which a proof would count: probe it.
type Suspect struct{ Unit, Node string }

// FenceDecision is what Fencer.Step wants done.
type FenceDecision struct {
	Words    []FenceWord  // to be said from now on, in place of all before
	Start    *FenceOrder  // run the agent now, once; the end is told by Ended
	Fenced   []FencedLife // new ones
	Suspects []Suspect
	Alerts   []Alert // conditions that began, look other than before, or ended
	// Waiting says why a fencing that is due does not begin, for people.
	Waiting string
}

// fenceCase is evidence of this node against another one, for one unit.
type fenceCase struct {
	unit  *FenceUnit
	node  string
	boot  BootID
	since time.Time
	at    time.Time // of the latest evidence
	text  []string
}

type caseKey struct{ unit, node string }

// stoodFor is how long evidence has stood.
type stoodFor struct{ since, seen time.Time }

// life is the latest life of a node that was heard of, and since when.
type life struct {
	boot  BootID
	since time.Time
}

// attempts is what came of fencing one life of a node.
type attempts struct {
	boot     BootID
	failures int
	detail   string    // of the last failure
	failed   time.Time // when that was
	done     time.Time // when an agent succeeded; zero: none has
	unit     string
	accused  time.Time // when there was evidence last
}

// fenceVote is an act that this node asks for, or votes for. It binds the node to
// one at a time, so that no two have a majority.
type fenceVote struct {
	FenceWord
	since time.Time
	until time.Time // of a vote: binds until then
	heard bool      // of a vote: the one that has it says so now; otherwise it is not told
}

// Fencer decides whom to fence and whom to vote for. It is pure: one goroutine
// calls Step at least once a second and whenever a member says something else
// than before.
type Fencer struct {
	stood map[caseKey]stoodFor // evidence for a unit that this node holds
	seen  map[caseKey]stoodFor // evidence for a unit that another member holds
	lives map[string]life      // by node
	tries map[string]*attempts // by node
	freed map[BootID]bool
	ask   *fenceVote // for itself
	runs  bool       // the agent of ask runs
	vote  *fenceVote // for another
	shown map[alertKey]Alert
}

// NewFencer returns a Fencer that knows of nothing.
func NewFencer() *Fencer {
	return &Fencer{
		stood: map[caseKey]stoodFor{}, seen: map[caseKey]stoodFor{},
		lives: map[string]life{}, tries: map[string]*attempts{}, freed: map[BootID]bool{}, shown: map[alertKey]Alert{},
	}
}

// Ended tells how the run that Start asked for has ended. Without an error the
// target's life is over.
func (f *Fencer) Ended(now time.Time, err error) {
	if !f.runs {
		return
	}
	// A life that has come since is not the one that was fenced.
	t := f.attempts(f.ask.Node, f.ask.Boot)
	if err == nil {
		t.done = now // failures stay: it may turn out to be none
	} else {
		t.failures, t.failed, t.detail = t.failures+1, now, err.Error()
	}
	t.unit = f.ask.Unit
	f.ask, f.runs = nil, false
}

// Step decides by what is known now.
func (f *Fencer) Step(v *FenceView) FenceDecision {
	var d FenceDecision
	f.meet(v)
	f.hearSuccess(v, &d)
	cases := f.accuse(v, &d)
	f.decide(v, cases, &d)
	f.castVote(v)
	f.say(v, &d)
	f.alert(v, &d)
	return d
}

// hearSuccess takes the word of members that they have fenced a node.
func (f *Fencer) hearSuccess(v *FenceView, d *FenceDecision) {
	for i := range v.Peers.Members {
		m := &v.Peers.Members[i]
		if !m.Fresh {
			continue
		}
		for _, w := range m.Fencing {
			if w.Stage == FenceDone && w.By == m.Boot && w.Boot != 0 && w.Boot != v.Boot && !f.freed[w.Boot] {
				f.freed[w.Boot] = true
				d.Fenced = append(d.Fenced, FencedLife{w.Node, w.Boot})
			}
		}
	}
	for node, t := range f.tries {
		if !t.done.IsZero() && t.boot != 0 && !f.freed[t.boot] {
			f.freed[t.boot] = true
			d.Fenced = append(d.Fenced, FencedLife{node, t.boot})
		}
	}
}

// decide begins to ask, or to run, or gives it up.
func (f *Fencer) decide(v *FenceView, cases []fenceCase, d *FenceDecision) {
	if f.runs {
		return // an agent is never ended halfway
	}
	i := slices.IndexFunc(cases, func(c fenceCase) bool {
		return f.ask != nil && f.ask.Unit == c.unit.Name && f.ask.Node == c.node && f.ask.Boot == c.boot
	})
	if i < 0 {
		f.ask = nil // what was wrong is over
		i = slices.IndexFunc(cases, func(c fenceCase) bool { return f.due(v, &c) })
	}
	if i < 0 {
		return
	}
	c := &cases[i]
	if d.Waiting = f.obstacle(v, c); d.Waiting != "" {
		f.ask = nil
		return
	}
	if f.ask == nil {
		f.ask = &fenceVote{since: v.Now, FenceWord: FenceWord{
			Unit: c.unit.Name, Node: c.node, Boot: c.boot, By: v.Boot, Stage: FenceAsks, Span: c.unit.Span,
		}}
	}
	if d.Waiting = f.missingVotes(v, c); d.Waiting != "" {
		return
	}
	f.runs, f.ask.since = true, v.Now
	d.Start = &FenceOrder{Unit: c.unit.Name, Node: c.node, Boot: c.boot, Evidence: c.text}
}

// due reports whether the evidence has stood long enough. Of two nodes that may
// each take the other for the wrong one, the second waits until the first has
// had its time: which is second never depends on present values (S64).
func (f *Fencer) due(v *FenceView, c *fenceCase) bool {
	wait := c.unit.After
	if two(v, c) && c.unit.First != v.Node {
		wait += c.unit.Delay
	}
	t := f.tries[c.node]
	return v.Now.Sub(c.since) >= wait && (t.failures == 0 || v.Now.Sub(t.failed) >= fenceRetry)
}

// two reports whether no majority can decide: two nodes with policy mesh.
func two(v *FenceView, c *fenceCase) bool { return !c.unit.Quorum && len(v.Members) == 1 }

// say lists this node's words.
func (f *Fencer) say(v *FenceView, d *FenceDecision) {
	if f.ask != nil {
		w := f.ask.FenceWord
		if f.runs {
			w.Stage = FenceRuns
		}
		w.Age = v.Now.Sub(f.ask.since)
		d.Words = append(d.Words, w)
	}
	if f.vote != nil && f.vote.heard {
		d.Suspects = append(d.Suspects, Suspect{f.vote.Unit, f.vote.Node})
		w := f.vote.FenceWord
		w.Age = v.Now.Sub(f.vote.since)
		d.Words = append(d.Words, w)
	}
	for node, t := range f.tries {
		if age := v.Now.Sub(t.done); !t.done.IsZero() && age < fenceSaid && len(d.Words) < MaxFenceWords {
			d.Words = append(d.Words, FenceWord{Unit: t.unit, Node: node, Boot: t.boot, By: v.Boot, Stage: FenceDone, Age: age})
		}
	}
}
