package director

import (
	"fmt"
	"time"

	"github.com/hacluster/hacluster/lvs/check"
)

// Others are the other directors that look at a real server and are sure of it.
type Others struct {
	Heard int // how many they are
	Down  int // those of them that see it down
}

// keeps reports whether a server that is down by its checks is used all the same: as
// many directors at least see it up as see it down, this one among them. One that
// nobody else knows of is not kept, and neither is one that all see down. One that is
// kept stays so while no check of this node can be made, and others see it up.
func (s *server) keeps() bool {
	if !s.agree || s.opinion() == Unsure && !s.kept {
		return false
	}
	down, all := s.votes()
	return all > 0 && 2*down <= all
}

// votes are how many directors are sure about the server, and see it down.
func (s *server) votes() (down, all int) {
	down, all = s.others.Down, s.others.Heard
	if s.opinion() == SeesDown {
		down, all = down+1, all+1
	}
	return down, all
}

// downSince is when the first of its checks has found the server down.
func (s *server) downSince() (first time.Time) {
	for i := range s.checks {
		if v := &s.checks[i].verdict; !v.Up && (first.IsZero() || v.At.Before(first)) {
			first = v.At
		}
	}
	return first
}

// agreed says what part the other directors have in what becomes of a server that is
// down by its checks; empty: none.
func (s *server) agreed() string {
	down, all := s.votes()
	switch {
	case s.kept:
		return fmt.Sprintf("; kept, because no majority sees it down: %d of %d directors (lvs_agree)", down, all)
	case s.agree && s.others.Heard > 0 && s.opinion() == SeesDown:
		return fmt.Sprintf("; seen down by %d of %d directors (lvs_agree)", down, all)
	}
	return ""
}

// hear takes over what other directors see, and whether that counts, and reports
// whether one of the servers is concerned.
func (p *pool) hear(agree bool, others map[ServerKey]Others) (changed bool) {
	agree = agree && !p.spec.HASuspend
	for _, s := range p.servers {
		var now Others
		if agree {
			now = others[s.key]
		}
		changed = changed || s.agree != agree || s.others != now
		s.agree, s.others = agree, now
	}
	return changed
}

// seesUp reports whether the checks of this node have the server up, or assume it.
func (s *server) seesUp() bool { return !s.found(func(v check.Verdict) bool { return !v.Up }) }
