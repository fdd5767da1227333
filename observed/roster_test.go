package observed

import (
	"strings"
	"testing"
)

func TestWhoJoinsAndWhoGoesIsToldOnce(t *testing.T) {
	var r Roster
	see := func(names string, want ...string) {
		t.Helper()
		var told []string
		for range 2 {
			r.Note(strings.Fields(names), func(e Event) { told = append(told, e.To+": "+e.Reason) })
		}
		if got, want := strings.Join(told, "\n"), strings.Join(want, "\n"); got != want {
			t.Errorf("of %q told %q, want %q", names, got, want)
		}
	}
	see("")
	see("lb02 lb01") // who was there before is no news
	see("lb01 lb02 lb03", "joined: lb03 is a member now")
	see("")
	see("lb03 lb01", "left: lb02 is no member any more")
	see("lb01 lb04", "left: lb03 is no member any more", "joined: lb04 is a member now")
}
