package director

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/lvs/check"
)

func TestSightNamesWhatIsNotSeenUp(t *testing.T) {
	d := newDesk(web(1, 1, 1))
	wants := func(want string, asked ...int) {
		t.Helper()
		keys := make(map[ServerKey]bool)
		for _, n := range asked {
			keys[KeyOf("web", backend(n))] = true
		}
		var got strings.Builder
		for n := range 3 { // in the order of the servers, not of the keys
			for _, s := range d.sight(keys).Servers {
				if s.Server == backend(n+1) {
					fmt.Fprintf(&got, "%d=%d ", n+1, s.Opinion)
				}
			}
		}
		if got.String() != want {
			t.Errorf("sight %q, want %q", &got, want)
		}
	}
	wants("1=0 2=0 3=0 ")
	d.finds(check.Verdict{Up: true}, 0, 1, 2)
	wants("")
	wants("2=1 ", 2)
	d.finds(check.Verdict{Reason: "refused"}, 2)
	wants("3=2 ")
	wants("1=1 3=2 ", 1, 3)
	s := d.sight(nil).Servers[0]
	if s.Service != "web" || s.Reason != "refused" || s.Key != KeyOf("web", backend(3)) || s.Settles < time.Minute {
		t.Errorf("seen %+v", s)
	}
}

func TestSightOfTheSameServersHasTheSameSet(t *testing.T) {
	set := func(s Service) uint64 { return newDesk(s).sight(nil).Set }
	one := web(1, 1)
	turned := web(1, 1)
	turned.Servers[0], turned.Servers[1] = turned.Servers[1], turned.Servers[0]
	renamed := web(1, 1)
	renamed.Name = "other"
	elsewhere := web(1, 1)
	elsewhere.HASuspend = true
	if set(one) == 0 || set(one) != set(turned) || set(one) == set(web(1)) || set(one) == set(renamed) {
		t.Errorf("sets %x, turned %x, of one server %x, renamed %x", set(one), set(turned), set(web(1)), set(renamed))
	}
	if got := set(elsewhere); got != 0 {
		t.Errorf("a service with ha_suspend has the set %x, want none", got)
	}
}

func TestSightTellsTheLowestKeysAndThoseThatWereAskedForInFull(t *testing.T) {
	d := newDesk(web(make([]uint32, 100)...)) // none is checked yet
	glimpses := slices.Clone(d.sight(nil).NotUp)
	slices.SortFunc(glimpses, func(a, b Glimpse) int { return cmp.Compare(a.Key, b.Key) })
	last := glimpses[99].Key
	for _, asked := range []map[ServerKey]bool{nil, {last: true}} {
		s := d.sight(asked)
		want := glimpses[:MostSeen]
		if len(asked) > 0 {
			want = append(slices.Clone(want), glimpses[99])
		}
		var got []Glimpse
		for _, r := range s.Servers {
			got = append(got, r.Glimpse)
		}
		if len(s.NotUp) != 100 || !slices.Equal(got, want) {
			t.Errorf("asked for %v: %d are not up, of whom %v are told, want %v", asked, len(s.NotUp), got, want)
		}
	}
}
