package directors

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/lvs/director"
)

// travel is how long what a director sees may take to be known here, and a check to
// be made when it is due, on machines that have much to do.
const travel = 5 * time.Second

// tracker finds real servers about which directors do not agree, and since when. It is
// pure; its zero value has seen nothing.
type tracker struct {
	stands map[director.ServerKey]map[string]stand
}

// stand is what one director sees of a server, and since when.
type stand struct {
	opinion director.Opinion
	since   time.Time // zero: since before the server was in trouble
}

// quarrel is a real server about which directors do not agree. down and up are in the
// order of the names and have one name at least.
type quarrel struct {
	director.Seen
	down, up []string
	since    time.Time // one has seen it down and another one up, without a break
}

// lasting reports whether it is older than directors need to agree.
func (q *quarrel) lasting(now time.Time) bool { return now.Sub(q.since) > q.Settles+travel }

// step takes what directors see by now: this node of all servers that it or another one
// does not see up, and the others, which look at the same servers.
func (t *tracker) step(now time.Time, self string, seen []director.Seen, others map[string]*word) (quarrels []quarrel) {
	stands := make(map[director.ServerKey]map[string]stand)
	for _, s := range seen {
		before := t.stands[s.Key]
		is := make(map[string]stand, len(others)+1)
		is[self] = follow(before, self, s.Opinion, now)
		for name, w := range others {
			is[name] = follow(before, name, w.of(s.Key), now)
		}
		if q := (quarrel{Seen: s}); q.sides(is) {
			quarrels = append(quarrels, q)
		}
		if len(sideOf(is, director.SeesDown)) > 0 {
			stands[s.Key] = is
		}
	}
	t.stands = stands
	return quarrels
}

// follow is where a director stands by now.
func follow(before map[string]stand, name string, opinion director.Opinion, now time.Time) stand {
	was, known := before[name]
	switch {
	case known && was.opinion == opinion:
		return was
	case before == nil && opinion == director.SeesUp:
		return stand{opinion: opinion}
	}
	return stand{opinion, now}
}

// sides divides the directors, and reports whether they do not agree.
func (q *quarrel) sides(is map[string]stand) bool {
	q.down, q.up = sideOf(is, director.SeesDown), sideOf(is, director.SeesUp)
	if len(q.down) == 0 || len(q.up) == 0 {
		return false
	}
	q.since = earliest(is, q.down)
	if up := earliest(is, q.up); up.After(q.since) {
		q.since = up
	}
	return true
}

func sideOf(is map[string]stand, opinion director.Opinion) (names []string) {
	for name, s := range is {
		if s.opinion == opinion {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func earliest(is map[string]stand, names []string) time.Time {
	first := is[names[0]].since
	for _, name := range names[1:] {
		if s := is[name].since; s.Before(first) {
			first = s
		}
	}
	return first
}
