package cluster

import (
	"errors"
	"slices"
	"testing"

	"github.com/hacluster/hacluster/cluster/store"
)

func changeTo(t *testing.T, m *Electorates, from uint64, voters ...string) error {
	t.Helper()
	cmd, err := ChangeElectorate(from, voters)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Apply(cmd)
	return err
}

// S4: two electorates that are two steps apart need have no voter in common.
func TestTheElectorateChangesByOneNodeAtATime(t *testing.T) {
	m := NewElectorates()
	if err := changeTo(t, m, 0, "b", "a", "c"); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]error{
		"two nodes":             changeTo(t, m, 1, "a", "d", "e"),
		"one for another":       changeTo(t, m, 1, "a", "b", "d"),
		"nobody":                changeTo(t, m, 1),
		"the same":              changeTo(t, m, 1, "a", "b", "c"),
		"an epoch that is over": changeTo(t, m, 0, "a", "b"),
	} {
		if _, ok := errors.AsType[*store.Refusal](change); !ok {
			t.Errorf("%s: Apply = %v, want a refusal", name, change)
		}
	}
	if err := changeTo(t, m, 1, "a", "b"); err != nil {
		t.Fatal(err)
	}
	e, previous := m.Current()
	if e.Epoch != 2 || !slices.Equal(e.Voters, []string{"a", "b"}) || !slices.Equal(previous, []string{"a", "b", "c"}) {
		t.Errorf("Current = %+v after %v", e, previous)
	}
	data, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	other := NewElectorates()
	if err := other.Restore(data); err != nil {
		t.Fatal(err)
	}
	if got, prev := other.Current(); got.Epoch != 2 || !slices.Equal(prev, previous) {
		t.Errorf("restored: %+v after %v", got, prev)
	}
}

func TestTheElectorateFollowsRaftStepByStep(t *testing.T) {
	tests := []struct {
		name   string
		e      Electorate
		raft   []string
		want   []string
		wantOK bool
	}{
		{"the first is all at once", Electorate{}, []string{"c", "a", "b"}, []string{"a", "b", "c"}, true},
		{"a new voter", Electorate{1, []string{"a", "b"}}, []string{"a", "b", "c", "d"}, []string{"a", "b", "c"}, true},
		{"who is gone goes first", Electorate{1, []string{"a", "b", "c"}}, []string{"a", "b", "d"}, []string{"a", "b"}, true},
		{"nothing to do", Electorate{1, []string{"a", "b"}}, []string{"b", "a"}, nil, false},
		{"Raft is not known", Electorate{1, []string{"a", "b"}}, nil, nil, false},
		{"the last one is replaced by two steps", Electorate{1, []string{"a"}}, []string{"b"}, []string{"a", "b"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := NextElectorate(tt.e, tt.raft)
			if ok != tt.wantOK || !slices.Equal(got, tt.want) {
				t.Errorf("NextElectorate = %v, %v; want %v, %v", got, ok, tt.want, tt.wantOK)
			}
		})
	}
}
