package splitbrain

import "testing"

func TestAnEpochIsReportedWhenTheOthersAreNoMajority(t *testing.T) {
	p := PeerView{Self: "a", Electorate: Electorate{Epoch: 2}, Members: []MemberView{
		{Name: "b", Epoch: 2}, {Name: "c", Epoch: 1}, {Name: "d", Epoch: 3},
	}}
	for _, tt := range []struct {
		name   string
		epoch  uint64
		voters []string
		want   bool
	}{
		{"of two of three", 2, []string{"a", "b", "c"}, true},
		{"this node is no voter", 2, []string{"b", "c", "x"}, false},
		{"half of two", 2, []string{"a", "c"}, true},
		{"half of four", 2, []string{"a", "b", "c", "x"}, true},
		{"one of three", 2, []string{"a", "c", "x"}, false},
		{"two of five", 2, []string{"a", "b", "c", "x", "y"}, false},
		{"a later epoch counts", 3, []string{"d"}, true},
		{"there were no voters", 1, nil, true},
	} {
		if got := p.Reports(tt.epoch, tt.voters); got != tt.want {
			t.Errorf("%s: Reports(%d, %v) = %v", tt.name, tt.epoch, tt.voters, got)
		}
	}
}
