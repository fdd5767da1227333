package incident

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

var t0 = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

const sec = time.Second

// stay is one stay of a node in MASTER of all units of a world, in seconds.
type stay struct {
	node     string
	from, to float64
	priority uint8
	end      splitbrain.State // what the node says after it, if it lives
	yields   uint64           // life of the node for which it let go
	reserved bool             // it handed over
}

// world is what happens to the units of three nodes, and what one of them sees.
type world struct {
	units   int
	stays   []stay
	dies    map[string]float64 // node → when its records end
	leaves  map[string]float64 // node → when it says goodbye
	removed map[string]float64 // node → when it is a member no more
	noVotes [2]float64         // when no majority answers
}

func at(s float64) time.Time { return t0.Add(time.Duration(s * float64(sec))) }

var boots = map[string]uint64{"lb1": 1, "lb2": 2, "lb3": 3}

// see is what the node knows at a time.
func (w *world) see(self string, s float64) Input {
	in := Input{Now: at(s), Cluster: observed.Cluster{Voters: []string{"lb1", "lb2", "lb3"}, Majority: s < w.noVotes[0] || s >= w.noVotes[1]}}
	for name, boot := range boots {
		if name == self {
			continue
		}
		if r, ok := w.removed[name]; ok && s >= r {
			continue
		}
		heard := s
		if d, ok := w.dies[name]; ok {
			heard = min(s, d)
		}
		m := splitbrain.MemberView{Name: name, Boot: splitbrain.BootID(boot), At: at(heard)}
		if l, ok := w.leaves[name]; ok && s >= l {
			m.Leaving = true
		}
		for i := range w.units {
			m.Claims = append(m.Claims, splitbrain.ClaimView{Claim: w.claim(unitName(i), name, heard), At: at(heard), Fresh: s-heard <= 2.2})
		}
		in.Peers.Members = append(in.Peers.Members, m)
	}
	if d, ok := w.dies[self]; !ok || s < d {
		for i := range w.units {
			c := w.claim(unitName(i), self, s)
			in.Units = append(in.Units, vrrp.UnitStatus{Name: unitName(i), State: vrrp.State(c.State), Since: at(s).Add(-c.StateAge),
				Tenure: vrrp.Tenure{Seq: c.Tenure.Seq, Priority: vrrp.Priority(c.Tenure.Priority)}})
		}
	}
	return in
}

func unitName(i int) string { return fmt.Sprintf("VI_%d", i+1) }

func (w *world) claim(name, node string, s float64) splitbrain.Claim {
	c := splitbrain.Claim{Unit: name, State: splitbrain.Backup, Eligible: true, StateAge: time.Hour}
	for i, st := range w.stays {
		if st.node != node || s < st.from {
			continue
		}
		c.Tenure = splitbrain.Tenure{Seq: uint64(i + 1), Priority: st.priority}
		c.State, c.StateAge, c.Released = splitbrain.Master, at(s).Sub(at(st.from)), false
		if s >= st.to {
			c.State, c.StateAge, c.Released = st.end, at(s).Sub(at(st.to)), true
			if st.yields != 0 {
				c.Yielded = splitbrain.TenureID{Boot: splitbrain.BootID(st.yields), Seq: 1}
			}
			if st.reserved {
				c.Reserved.For = 9
			}
		}
	}
	return c
}

// watch runs the node's tracker until a time and returns its parts.
func (w *world) watch(self string, until float64) []Part {
	t := NewTracker(self, boots[self])
	for s := 0.0; s <= until; s += 0.05 {
		in := w.see(self, s)
		t.Step(&in)
	}
	return t.Local()
}

const forever = 1e6

func TestTrackerFindsWhatNobodyPlanned(t *testing.T) {
	killed := world{units: 1, dies: map[string]float64{"lb1": 5}, stays: []stay{
		{node: "lb1", from: -60, to: forever, priority: 150}, {node: "lb2", from: 8.5, to: forever, priority: 120}}}
	tests := []struct {
		name    string
		world   world
		want    string // parts of lb3: kind, subject, double, dark
		summary string
	}{{
		name: "nothing happens", world: world{units: 1, stays: []stay{{node: "lb1", from: -60, to: forever}}},
	}, {
		name: "the holder is killed", world: killed,
		want: "failover lb1 dark=3.5s closed", summary: "lb2 took VI_1 over from lb1, at most 3.5s after its last sign",
	}, {
		name: "the holder's link fails",
		world: world{units: 1, stays: []stay{
			{node: "lb1", from: -60, to: 5, priority: 150, end: splitbrain.Fault}, {node: "lb2", from: 5.05, to: forever, priority: 120}}},
		want: "failover lb1 dark=50ms closed", summary: "lb2 took VI_1 over from lb1, at most 50ms after its last sign",
	}, {
		name: "a hand-over",
		world: world{units: 1, stays: []stay{
			{node: "lb1", from: -60, to: 5, end: splitbrain.Backup, reserved: true}, {node: "lb2", from: 5.05, to: forever}}},
	}, {
		name: "a polite goodbye, told after the release",
		world: world{units: 1, leaves: map[string]float64{"lb1": 5.4}, dies: map[string]float64{"lb1": 5.5}, stays: []stay{
			{node: "lb1", from: -60, to: 5, end: splitbrain.Init}, {node: "lb2", from: 5.05, to: forever}}},
	}, {
		name: "a holder that leaves the cluster",
		world: world{units: 1, removed: map[string]float64{"lb1": 5.02}, stays: []stay{
			{node: "lb1", from: -60, to: 5, end: splitbrain.Init}, {node: "lb2", from: 5.05, to: forever}}},
	}, {
		name: "an ordinary preemption",
		world: world{units: 1, stays: []stay{
			{node: "lb2", from: -60, to: 5, priority: 120, end: splitbrain.Backup}, {node: "lb1", from: 5, to: forever, priority: 150}}},
	}, {
		name: "a unit that the document takes from one node",
		world: world{units: 1, stays: []stay{
			{node: "lb1", from: -60, to: 5, end: splitbrain.Init}, {node: "lb2", from: 5.05, to: forever}}},
	}, {
		name:  "nobody takes over",
		world: world{units: 1, stays: []stay{{node: "lb1", from: -60, to: 5, end: splitbrain.Fault}}},
		want:  "failover lb1 dark=24.95s open", summary: "nobody has taken VI_1 over from lb1 for 25s",
	}, {
		name: "two holders that meet again",
		world: world{units: 1, stays: []stay{
			{node: "lb1", from: -60, to: forever, priority: 150}, {node: "lb2", from: 5, to: 13, priority: 120, end: splitbrain.Backup}}},
		want: "split_brain lb1,lb2 double=7.95s closed", summary: "lb1 and lb2 held VI_1 together for 7.95s",
	}, {
		name: "a quick take-over, before the claim of the dead holder is old",
		world: world{units: 1, dies: map[string]float64{"lb1": 5}, stays: []stay{
			{node: "lb1", from: -60, to: forever, priority: 150}, {node: "lb2", from: 5.5, to: forever, priority: 120}}},
		want: "failover lb1 dark=500ms closed", summary: "lb2 took VI_1 over from lb1, at most 500ms after its last sign",
	}, {
		name: "who took over hands the unit on at once",
		world: world{units: 1, dies: map[string]float64{"lb1": 5}, stays: []stay{
			{node: "lb1", from: -60, to: forever, priority: 150},
			{node: "lb2", from: 8.5, to: 8.9, priority: 100, end: splitbrain.Backup, reserved: true}, {node: "lb3", from: 8.9, to: forever, priority: 120}}},
		want: "failover lb1 dark=3.5s closed", summary: "lb2 took VI_1 over from lb1, at most 3.5s after its last sign",
	}, {
		name: "a conflict that was over at once",
		world: world{units: 1, stays: []stay{
			{node: "lb1", from: -60, to: forever, priority: 150}, {node: "lb2", from: 5, to: 5.01, priority: 120, end: splitbrain.Backup, yields: 1}}},
		want: "split_brain lb1,lb2 closed", summary: "lb1 and lb2 held VI_1 together",
	}, {
		name: "claims that cross are no split brain",
		world: world{units: 1, stays: []stay{
			{node: "lb1", from: -60, to: 5.04, end: splitbrain.Backup, reserved: true}, {node: "lb2", from: 5, to: forever}}},
	}, {
		name: "no majority", world: world{noVotes: [2]float64{5, 15}},
		want: "quorum_lost  closed", summary: "no majority of the voters answered, for 9.95s",
	}, {
		name: "an election", world: world{noVotes: [2]float64{5, 7}},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got, summaries []string
			for _, p := range tt.world.watch("lb3", 30) {
				got = append(got, describe(&p))
				story := (&Record{Parts: []Part{p}}).Tell("lb3", nil)
				summaries = append(summaries, story.Summary)
			}
			if strings.Join(got, "; ") != tt.want {
				t.Errorf("parts = %q, want %q", got, tt.want)
			}
			if strings.Join(summaries, "; ") != tt.summary {
				t.Errorf("summary = %q, want %q", summaries, tt.summary)
			}
		})
	}
}

func describe(p *Part) string {
	text := string(p.Kind) + " " + strings.Join(p.Subject, ",")
	if p.Double > 0 {
		text += " double=" + p.Double.Round(10*time.Millisecond).String()
	}
	if p.Dark > 0 {
		text += " dark=" + p.Dark.Round(50*time.Millisecond).String()
	}
	if p.Closed.IsZero() {
		return text + " open"
	}
	return text + " closed"
}

func TestTheDeathOfANodeWith255UnitsIsOneIncidentOfAllNodes(t *testing.T) {
	w := world{units: 255, dies: map[string]float64{"lb1": 5}, stays: []stay{
		{node: "lb1", from: -60, to: forever, priority: 150}, {node: "lb2", from: 8.5, to: forever, priority: 120}}}
	m := NewMachine()
	for _, node := range []string{"lb2", "lb3"} {
		for _, p := range w.watch(node, 16) {
			put(t, m, p)
			put(t, m, p) // again: nothing more
		}
	}
	records, _ := m.Records()
	if len(records) != 1 || len(records[0].Parts) != 2 {
		t.Fatalf("%d records with %d parts, want one with two", len(records), len(records[0].Parts))
	}
	s := records[0].Tell("lb2", nil)
	if want := "lb2 (255) took 255 units over from lb1, at most 3.5s after its last sign"; s.Summary != want {
		t.Errorf("summary = %q, want %q", s.Summary, want)
	}
	if !slices.Equal(s.Reporters, []string{"lb2", "lb3"}) || len(s.Lines) > 2*maxLines {
		t.Errorf("told by %v in %d lines", s.Reporters, len(s.Lines))
	}
}

func put(t *testing.T, m *Machine, p Part) {
	t.Helper()
	cmd, err := Put(p)
	if err == nil {
		_, err = m.Apply(cmd)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAlertsOfTheRulesAreSigns(t *testing.T) {
	healthy := world{units: 1, stays: []stay{{node: "lb1", from: -60, to: forever, priority: 150}}}
	alert := func(kind splitbrain.AlertKind, peer, to string, second float64) observed.Event {
		return observed.Event{Time: at(second), Kind: observed.AlertChanged, Unit: "VI_1", From: string(kind), To: to, Peer: peer, Reason: "as the rule says"}
	}
	tests := []struct {
		name   string
		events []observed.Event
		want   string
	}{
		{"a member answers without holding", []observed.Event{
			alert(splitbrain.StaleHolder, "lb2", "open", 5), alert(splitbrain.StaleHolder, "lb2", "resolved", 12)}, "split_brain lb1,lb2 double=7s closed"},
		{"it goes on answering", []observed.Event{alert(splitbrain.StaleHolder, "lb2", "open", 5)}, "split_brain lb1,lb2 open"},
		{"a fencing that went well", []observed.Event{alert(splitbrain.NodeFenced, "lb2", "open", 5)}, "fencing lb2 closed"},
		{"one that failed", []observed.Event{alert(splitbrain.FenceFailed, "lb2", "open", 5)}, "fencing lb2 open"},
		{"one that failed first", []observed.Event{
			alert(splitbrain.FenceFailed, "lb2", "open", 5), alert(splitbrain.NodeFenced, "lb2", "open", 9), alert(splitbrain.FenceFailed, "lb2", "resolved", 9)}, "fencing lb2 closed"},
		{"an alert that is none", []observed.Event{alert(splitbrain.VRRPChannelLost, "lb2", "open", 5)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tracker := NewTracker("lb3", 3)
			for s := 0.0; s <= 30; s += 0.05 {
				in := healthy.see("lb3", s)
				for _, e := range tt.events {
					if e.Time.After(at(s-0.05)) && !e.Time.After(at(s)) {
						in.Events = append(in.Events, e)
					}
				}
				tracker.Step(&in)
			}
			var got []string
			for _, p := range tracker.Local() {
				got = append(got, describe(&p))
			}
			if strings.Join(got, "; ") != tt.want {
				t.Errorf("parts = %q, want %q", got, tt.want)
			}
		})
	}
}

// A node that was cut off hears the winner in the step in which it lets go, so it
// never sees two holders at once.
func TestTheLoserOfAConflictKnowsHowLongItLasted(t *testing.T) {
	tests := []struct {
		name   string
		events []observed.Event
	}{{
		name: "by a record", events: []observed.Event{{Kind: observed.StateChanged, Unit: "VI_1", Instance: "VI_1",
			From: "MASTER", To: "BACKUP", Reason: "yields to lb1: lb1 holds the unit too, with priority 150"}},
	}, {
		name: "by an advert, before any record", events: []observed.Event{
			{Kind: observed.StateChanged, Unit: "VI_1", Instance: "VI_1",
				From: "MASTER", To: "BACKUP", Reason: "advert from 192.0.2.1 with priority 150, ours is 120"},
			{Kind: observed.AlertChanged, Unit: "VI_1", From: string(splitbrain.SplitBrain), To: "open", Peer: "lb1"}},
	}}
	w := world{units: 1, stays: []stay{
		{node: "lb1", from: -60, to: forever, priority: 150}, {node: "lb2", from: 5, to: 8, priority: 120, end: splitbrain.Backup}}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tracker := NewTracker("lb2", 2)
			for s := 0.0; s <= 20; s += 0.05 {
				in := w.see("lb2", s)
				if s > 1 && s < 8 { // nothing is heard
					for i := range in.Peers.Members {
						in.Peers.Members[i].Claims = nil
					}
				}
				if s >= 8 && s < 8.05 {
					for _, e := range tt.events {
						e.Time = at(8)
						in.Events = append(in.Events, e)
					}
				}
				tracker.Step(&in)
			}
			var got []string
			for _, p := range tracker.Local() {
				got = append(got, describe(&p))
			}
			if want := "split_brain lb1,lb2 double=3s closed"; !slices.Contains(got, want) {
				t.Errorf("parts = %q, want %q among them", got, want)
			}
		})
	}
}

func TestALostMajorityOfLeasesIsAnIncident(t *testing.T) {
	tracker := NewTracker("lb3", 3)
	w := world{}
	for s := 0.0; s <= 30; s += 0.05 {
		in := w.see("lb3", s)
		if s >= 5 && s < 12 {
			in.Peers.Alerts = []splitbrain.Alert{{Kind: splitbrain.QuorumLost, Since: at(5), Summary: "one of three voters answers"}}
		}
		tracker.Step(&in)
	}
	parts := tracker.Local()
	if len(parts) != 1 || describe(&parts[0]) != "quorum_lost  closed" || parts[0].Lines[0].Text != "one of three voters answers" {
		t.Errorf("parts = %+v, want one closed quorum_lost with its line", parts)
	}
}

func TestAPartIsKeptUntilItWasGiven(t *testing.T) {
	tracker := NewTracker("lb3", 3)
	w := world{units: 1, stays: []stay{{node: "lb1", from: -60, to: 5, end: splitbrain.Fault}, {node: "lb2", from: 5.05, to: forever}}}
	given := 0
	for s := 0.0; s <= 30; s += 0.05 {
		in := w.see("lb3", s)
		tracker.Step(&in)
		for _, c := range tracker.Parts() {
			given++
			tracker.Given(c)
		}
	}
	if left := tracker.Local(); len(left) != 0 || given < 2 || given > 10 {
		t.Errorf("%d parts left and %d given, want none left after a few", len(left), given)
	}
}

// An answer that a probe has shown is part of the story, and measures the darkness
// beside the claims.
func TestTheFirstAnswerOfTheNewHolderEndsTheDarkness(t *testing.T) {
	w := world{units: 1, dies: map[string]float64{"lb1": 5}, stays: []stay{
		{node: "lb1", from: -60, to: forever, priority: 150}, {node: "lb2", from: 8.5, to: forever, priority: 120}}}
	for _, tt := range []struct {
		name       string
		to         string
		at         float64
		unanswered time.Duration
	}{
		{"answered", observed.Verified, 8.6, 3600 * time.Millisecond},
		{"answered late", observed.Verified, 11, 6 * time.Second},
		{"not answered", "not verified", 8.6, 0},
		{"answered to the one before", observed.Verified, 4.9, 0},
	} {
		tracker := NewTracker("lb3", boots["lb3"])
		told := false
		for s := 0.0; s < 20; s += 0.05 {
			in := w.see("lb3", s)
			if !told && s >= tt.at {
				told = true
				in.Events = []observed.Event{{Kind: observed.VerdictChanged, Unit: "VI_1", To: tt.to, Reason: "lb2 answers for it", Time: at(tt.at)}}
			}
			tracker.Step(&in)
		}
		parts := tracker.Local()
		if len(parts) != 1 {
			t.Fatalf("%s: %d parts, want one", tt.name, len(parts))
		}
		story := (&Record{Parts: parts}).Tell("lb3", nil)
		if got := story.Unanswered.Round(10 * time.Millisecond); got != tt.unanswered {
			t.Errorf("%s: no answer for %v, want %v", tt.name, got, tt.unanswered)
		}
		if !slices.ContainsFunc(story.Lines, func(l StoryLine) bool { return l.Channel == "probe" && strings.HasPrefix(l.Text, tt.to+": ") }) {
			t.Errorf("%s: no line tells it: %+v", tt.name, story.Lines)
		}
	}
}
