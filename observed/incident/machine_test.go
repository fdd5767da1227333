package incident

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/cluster/store"
)

// said is a part of a fail-over of lb1.
func said(node string, change func(*Part)) Part {
	p := Part{Node: node, Local: node + "-1", Kind: Failover, Subject: []string{"lb1"}, Units: []string{"VI_1"}, Opened: t0, Closed: t0.Add(5 * sec)}
	change(&p)
	return p
}

func TestPartsAboutTheSameThingAreOneRecord(t *testing.T) {
	first := said("lb2", func(*Part) {})
	tests := []struct {
		name   string
		second Part
		want   int
	}{
		{"of another node at the same time", said("lb3", func(*Part) {}), 1},
		{"a few seconds later", said("lb3", func(p *Part) { p.Opened = t0.Add(12 * sec); p.Closed = t0.Add(20 * sec) }), 1},
		{"much later", said("lb3", func(p *Part) { p.Opened = t0.Add(time.Minute); p.Closed = time.Time{} }), 2},
		{"of another node's loss", said("lb3", func(p *Part) { p.Subject = []string{"lb4"} }), 2},
		{"of another kind", said("lb3", func(p *Part) { p.Kind = SplitBrain }), 2},
		{"much later by a clock that is known to be ahead", said("lb3", func(p *Part) {
			p.Opened, p.Closed = t0.Add(6*time.Hour), t0.Add(6*time.Hour+5*sec)
			p.Clocks = map[string]time.Duration{"lb2": -6 * time.Hour}
		}), 1},
		{"again of the same node", said("lb2", func(p *Part) { p.Local = "lb2-2"; p.Opened = t0.Add(8 * sec) }), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := NewMachine()
			put(t, m, first)
			put(t, m, tt.second)
			if got, _ := m.Records(); len(got) != tt.want {
				t.Errorf("%d records, want %d", len(got), tt.want)
			}
		})
	}
}

func TestTheSameTenureIsTheSameIncidentWhateverTheClocksSay(t *testing.T) {
	m := NewMachine()
	tenure := []Tenure{{"VI_1", 1, 7}}
	put(t, m, said("lb2", func(p *Part) { p.Tenures = tenure }))
	put(t, m, said("lb3", func(p *Part) { p.Tenures, p.Opened = tenure, t0.Add(6*time.Hour) }))
	if got, _ := m.Records(); len(got) != 1 {
		t.Errorf("%d records, want one", len(got))
	}
}

func TestALaterPartStandsForTheOneBefore(t *testing.T) {
	m := NewMachine()
	put(t, m, said("lb2", func(p *Part) { p.Closed = time.Time{} }))
	before, _ := m.Records()
	put(t, m, said("lb2", func(p *Part) { p.Dark = 3 * sec }))
	after, _ := m.Records()
	if len(after) != 1 || len(after[0].Parts) != 1 || after[0].Parts[0].Dark != 3*sec {
		t.Errorf("records = %+v, want the later part alone", after)
	}
	if before[0].Parts[0].Dark != 0 {
		t.Error("a record that was read has changed")
	}
}

func TestTheMachineIsBounded(t *testing.T) {
	m := NewMachine()
	for i := range kept + 20 {
		put(t, m, said("lb2", func(p *Part) {
			p.Local = fmt.Sprint(i)
			p.Opened = t0.Add(time.Duration(i) * time.Hour)
			p.Closed = p.Opened.Add(sec)
		}))
	}
	got, _ := m.Records()
	if len(got) != kept || got[0].Number != 21 || got[kept-1].Number != kept+20 {
		t.Errorf("%d records from %d to %d, want %d up to %d", len(got), got[0].Number, got[len(got)-1].Number, kept, kept+20)
	}
	for i := range maxParts + 5 {
		put(t, m, said("lb3", func(p *Part) { p.Local = fmt.Sprint("again", i) }))
	}
	got, _ = m.Records()
	for _, r := range got {
		if len(r.Parts) > maxParts {
			t.Errorf("record %d has %d parts, want at most %d", r.Number, len(r.Parts), maxParts)
		}
	}
}

func TestASnapshotRestoresEverything(t *testing.T) {
	m := NewMachine()
	put(t, m, said("lb2", func(p *Part) {
		p.Lines, p.Taken = []Line{{At: t0, Channel: "mesh", Units: []string{"VI_1"}, Text: "x"}}, map[string]int{"lb2": 1}
		p.Clocks, p.Tenures = map[string]time.Duration{"lb3": sec}, []Tenure{{"VI_1", 1, 7}}
	}))
	cmd, err := Told(1, true)
	if err == nil {
		_, err = m.Apply(cmd)
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	other := NewMachine()
	if err := other.Restore(data); err != nil {
		t.Fatal(err)
	}
	want, _ := m.Records()
	got, _ := other.Records()
	if diff := cmp.Diff(want, got); diff != "" || !got[0].ToldClosed {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := other.Restore([]byte(`{"Last":1,"Records":[{"Number":1}]}`)); err == nil {
		t.Error("a record without parts was restored")
	}
}

func TestBadBodiesAreRefused(t *testing.T) {
	for _, body := range []string{`{`, `{"Node":"lb1"}`, `{"Node":"lb1","Local":"x","Kind":"failover","New":1}`} {
		_, err := NewMachine().Apply(store.Command{Machine: "incidents", Name: "put", Version: 1, Body: []byte(body)})
		if _, ok := err.(*store.Refusal); !ok {
			t.Errorf("put %s: %v, want a refusal", body, err)
		}
	}
}

func TestAStoryIsToldInTheClockOfItsReader(t *testing.T) {
	r := Record{Number: 3, Parts: []Part{
		said("lb2", func(p *Part) { p.Lines = []Line{{At: t0.Add(sec), Text: "second"}} }),
		said("lb3", func(p *Part) { // its clock is an hour ahead
			p.Opened, p.Closed = t0.Add(time.Hour), t0.Add(time.Hour+4*sec)
			p.Lines = []Line{{At: t0.Add(time.Hour), Text: "first"}}
		}),
	}}
	s := r.Tell("lb2", map[string]time.Duration{"lb3": time.Hour})
	var texts []string
	for _, l := range s.Lines {
		texts = append(texts, l.Text)
	}
	if !s.Opened.Equal(t0) || !s.Closed.Equal(t0.Add(5*sec)) || !slices.Equal(texts, []string{"first", "second"}) {
		t.Errorf("story from %v to %v: %v", s.Opened, s.Closed, texts)
	}
}
