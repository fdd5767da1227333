package observed

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// F26: peers are told `restarting until T`.
func TestAPlannedRestartOfAMemberIsToldOnce(t *testing.T) {
	until := time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)
	var told []string
	var r Restarts
	see := func(f Facts, want ...string) {
		t.Helper()
		told = nil
		for range 2 {
			r.Note(splitbrain.PeerView{Members: []splitbrain.MemberView{{Name: "lb01", Facts: f.Encode(splitbrain.MaxFacts)}}},
				func(e Event) { told = append(told, e.To+": "+e.Reason) })
		}
		if got, want := strings.Join(told, "\n"), strings.Join(want, "\n"); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	see(Facts{Revision: 7})
	see(Facts{Revision: 7, RestartingUntil: until.Unix()}, "restarting: lb01 restarts on purpose, until 2026-03-01T12:00:05Z at the latest")
	see(Facts{Revision: 8, RestartingUntil: until.Unix()})
	see(Facts{Revision: 8}, "restarted: lb01 is back from a planned restart")
}
