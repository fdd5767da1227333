package director

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hacluster/hacluster/lvs/check"
)

// agreeing is a desk with two servers, both seen up, on which others count.
func agreeing(t interface{ Helper() }) *desk {
	t.Helper()
	d := &desk{core: newCore()}
	d.do(news{desired: &Desired{Services: []Service{web(1, 1)}, Agree: true}})
	d.finds(check.Verdict{Up: true}, 0, 1)
	return d
}

// others have this to say of the first server.
func (d *desk) others(heard, down int) {
	all := map[ServerKey]Others{KeyOf("web", backend(1)): {Heard: heard, Down: down}}
	d.do(news{others: &all})
}

// doubts leaves the verdict of the first server as it is, without knowing it any more.
func (d *desk) doubts() {
	v := d.pools[0].servers[0].checks[0].verdict
	v.Known = false
	d.do(news{verdicts: map[string]check.Verdict{v.Key: v}})
}

func TestAServerIsTakenOutByAMajorityOfThoseWhoAreSure(t *testing.T) {
	for _, tt := range []struct {
		name        string
		heard, down int
		want        string
	}{
		{"nobody is heard", 0, 0, "2=1"},
		{"one of two sees it down", 1, 0, "1=1 2=1"},
		{"both see it down", 1, 1, "2=1"},
		{"one of three sees it down", 2, 0, "1=1 2=1"},
		{"two of three see it down", 2, 1, "2=1"},
		{"two of four see it down", 3, 1, "1=1 2=1"},
		{"three of five see it down", 4, 2, "2=1"},
	} {
		d := agreeing(t)
		d.others(tt.heard, tt.down)
		d.finds(check.Verdict{Reason: "refused"}, 0)
		if got := d.wants(); got != tt.want {
			t.Errorf("%s: table %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Whatever comes in whatever order, the table is what the last word on each asks for.
func TestTheTableIsWhatTheLastWordsOfAllAskFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := agreeing(t)
		up, heard, down := true, 0, 0
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "own") {
				up = rapid.Bool().Draw(t, "up")
				d.finds(check.Verdict{Up: up}, 0)
			} else {
				heard = rapid.IntRange(0, 6).Draw(t, "heard")
				down = rapid.IntRange(0, heard).Draw(t, "down")
				d.others(heard, down)
			}
			want := "1=1 2=1"
			if !up && (heard == 0 || down+1 > (heard+1)/2) {
				want = "2=1"
			}
			if got := d.wants(); got != want {
				t.Fatalf("up %v here, %d others of whom %d see it down: table %q, want %q", up, heard, down, got, want)
			}
			if !up && down == heard && strings.Contains(d.wants(), "1=1") {
				t.Fatalf("all %d see it down, and it is in the table", heard+1)
			}
		}
	})
}

func TestAServerIsTakenOutWhenTheOthersFallSilent(t *testing.T) {
	d := agreeing(t)
	d.others(2, 0)
	d.finds(check.Verdict{}, 0)
	silent := map[ServerKey]Others{}
	d.do(news{others: &silent})
	if got := d.wants(); got != "2=1" {
		t.Errorf("table %q, want the second server alone", got)
	}
}

func TestAKeptServerStaysWhileItCannotBeChecked(t *testing.T) {
	d := agreeing(t)
	d.others(2, 0)
	d.finds(check.Verdict{}, 0)
	d.doubts()
	if got := d.wants(); got != "1=1 2=1" {
		t.Errorf("others see it up: table %q", got)
	}
	d.others(2, 2)
	if got := d.wants(); got != "2=1" {
		t.Errorf("others see it down: table %q", got)
	}
	d.others(2, 0)
	if got := d.wants(); got != "2=1" {
		t.Errorf("others see it up again, and it was out: table %q", got)
	}
}

func TestOthersDoNotBringInAServerThatWasNeverChecked(t *testing.T) {
	s := web(1, 1)
	s.Servers[0].Checks[0].Alpha = true
	d := &desk{core: newCore()}
	d.do(news{desired: &Desired{Services: []Service{s}, Agree: true}})
	d.others(2, 0)
	if got := d.wants(); got != "2=1" {
		t.Errorf("table %q, want the second server alone", got)
	}
}

func TestOthersCountForNothingWhereTheyAreNotAsked(t *testing.T) {
	suspending := web(1, 1)
	suspending.HASuspend = true
	for name, desired := range map[string]Desired{
		"without lvs_agree": {Services: []Service{web(1, 1)}},
		"with ha_suspend":   {Services: []Service{suspending}, Agree: true},
	} {
		d := agreeing(t)
		d.others(2, 0)
		d.do(news{desired: &desired})
		d.finds(check.Verdict{}, 0)
		if got := d.wants(); got != "2=1" {
			t.Errorf("%s: table %q, want the second server alone", name, got)
		}
	}
}

func TestStatusSaysThatAServerIsKeptAndWhy(t *testing.T) {
	d := agreeing(t)
	d.others(2, 0)
	at := time.Unix(7, 0)
	d.finds(check.Verdict{Reason: "refused", At: at}, 0)
	s := d.status()[0].Servers[0]
	const want = "refused; kept, because no majority sees it down: 1 of 3 directors (lvs_agree)"
	if s.Up || !s.Kept || s.Weight != 1 || s.Reason != want || !s.Since.Equal(at) {
		t.Errorf("status %+v, want it down since %v and kept, for %q", s, at, want)
	}
	d.others(2, 1)
	if s := d.status()[0].Servers[0]; s.Up || s.Kept || s.Reason != "refused; seen down by 2 of 3 directors (lvs_agree)" {
		t.Errorf("status %+v, want it down and not kept", s)
	}
}
