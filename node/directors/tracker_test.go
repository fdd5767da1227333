package directors

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hacluster/hacluster/lvs/director"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	second  = time.Second
	settles = 20 * second
)

// see is a step about one server: what lb1, who asks, and others see: "lb1- lb2+
// lb3?".
func (t *tracker) see(now time.Time, text string) []quarrel {
	own := seen(1, director.SeesUp)
	own.Settles = settles
	others := make(map[string]*word)
	for f := range strings.FieldsSeq(text) {
		name, o := f[:len(f)-1], map[byte]director.Opinion{'+': director.SeesUp, '-': director.SeesDown, '?': director.Unsure}[f[len(f)-1]]
		if name == "lb1" {
			own.Opinion = o
			continue
		}
		w := wordOf(sightOf(seen(1, o)))
		others[name] = &w
	}
	return t.step(now, "lb1", []director.Seen{own}, others)
}

func TestAQuarrelLastsWhileTheSameStandAgainstEachOther(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps string // one each ten seconds
		want  string // the quarrel after the last one: who sees it down, who up, and for how long
	}{
		{"all see it up", "lb1+ lb2+", ""},
		{"all see it down", "lb1- lb2-", ""},
		{"one sees it down", "lb1+ lb2-, lb1+ lb2-, lb1+ lb2-", "lb2|lb1|20s"},
		{"who asks sees it down", "lb1- lb2+ lb3+, lb1- lb2+ lb3+", "lb1|lb2 lb3|10s"},
		{"a second one sees it down later", "lb1+ lb2- lb3+, lb1+ lb2- lb3-", "lb2 lb3|lb1|10s"},
		{"they agreed meanwhile", "lb1+ lb2-, lb1- lb2-, lb1+ lb2-", "lb2|lb1|0s"},
		{"it was up for all meanwhile", "lb1+ lb2-, lb1+ lb2+, lb1+ lb2-", "lb2|lb1|0s"},
		{"one after the other", "lb1- lb2+ lb3+, lb1- lb2- lb3+, lb1+ lb2- lb3+, lb1+ lb2+ lb3-", "lb3|lb1 lb2|0s"},
		{"one that does not know has no say", "lb1+ lb2?, lb1+ lb2?", ""},
		{"one that does not know stands on no side", "lb1+ lb2- lb3?, lb1+ lb2- lb3?", "lb2|lb1|10s"},
		{"one that was not heard begins anew", "lb1- lb2+, lb1-, lb1- lb2+", "lb1|lb2|0s"},
		{"one that comes later", "lb1-, lb1-, lb1- lb2+", "lb1|lb2|0s"},
	} {
		var k tracker
		got := ""
		for i, step := range strings.Split(tt.steps, ",") {
			now := begin.Add(time.Duration(i) * 10 * second)
			got = ""
			for _, q := range k.see(now, step) {
				got = fmt.Sprintf("%s|%s|%v", strings.Join(q.down, " "), strings.Join(q.up, " "), now.Sub(q.since))
			}
		}
		if got != tt.want {
			t.Errorf("%s: quarrel %q, want %q", tt.name, got, tt.want)
		}
	}
}

// In calm operation a server changes for all, and each director is told of it within
// the time that checks take and the word on the way.
func TestADifferenceOfPhaseIsNoLastingQuarrel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 4
		var (
			k     tracker
			up    = true
			next  = begin
			sees  [n]bool
			turns [n]time.Time // when a director sees what is
		)
		for i := range n {
			sees[i], turns[i] = up, begin
		}
		for now := begin; now.Before(begin.Add(5 * time.Minute)); now = now.Add(every) {
			if !now.Before(next) {
				up = !up
				for i := range n {
					turns[i] = now.Add(time.Duration(rapid.Int64Range(0, int64(settles+travel-every)).Draw(t, "turn")))
				}
				// It may change again at once when all have seen it.
				next = now.Add(settles + travel + time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "calm")))
			}
			var text strings.Builder
			for i := range n {
				if !now.Before(turns[i]) {
					sees[i] = up
				}
				fmt.Fprintf(&text, "lb%d%c ", i+1, map[bool]byte{true: '+', false: '-'}[sees[i]])
			}
			for _, q := range k.see(now, text.String()) {
				if q.lasting(now) {
					t.Fatalf("%v: %s since %v", now, &text, q.since)
				}
			}
		}
	})
}
