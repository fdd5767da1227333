package director

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
)

// server is what is known of a real server.
type server struct {
	spec   *Server
	key    ServerKey
	checks []heldCheck
	byHand *Override // nil: none
	agree  bool      // what others see counts
	others Others
	share            // as it was told last
	since  time.Time // when it came up or went down
	untold bool      // it began down, and no attempt has said so yet
	// toldDown is that it began so as another director told.
	toldDown bool
}

// heldCheck is a check with what its attempts found.
type heldCheck struct {
	Check
	verdict check.Verdict // its Key is the scheduler's
}

// judge is what the server's share is by the verdicts.
func (s *server) judge() share {
	weight := int64(s.spec.Weight)
	for i := range s.checks {
		v := &s.checks[i].verdict
		switch v.Weight.Op {
		case check.WeightKeep:
		case check.WeightSet:
			weight += int64(v.Weight.Value) - int64(s.spec.Weight)
		case check.WeightAdjust:
			weight += int64(v.Weight.Value)
		default:
			panic(fmt.Sprintf("director: weight operation %d", v.Weight.Op))
		}
	}
	judged := share{up: s.seesUp(), weight: uint32(max(0, min(weight, lvs.MaxWeight)))}
	if !judged.up {
		judged.kept = s.keeps()
		judged.up = judged.kept
	}
	if s.byHand != nil {
		judged.weight, judged.drains = s.byHand.Weight, s.byHand.Weight == 0
	}
	return judged
}

// step judges anew and tells what changed.
func (s *server) step(now time.Time, service string, changes []Change) []Change {
	was := s.share
	s.share = s.judge()
	switch {
	case s.up != was.up, s.untold && s.found(func(v check.Verdict) bool { return v.Known && !v.Up }):
		if !s.untold || s.up {
			s.since = now
		}
		c := s.change(now, service, s.reason())
		if s.untold && s.toldDown && !s.up {
			c = c.again()
		}
		s.untold = false
		return append(changes, c)
	case s.up && s.weight != was.weight:
		c := s.change(now, service, s.weightReason())
		c.Kind, c.Script, c.Alert = ServerWeight, noScript, false
		return append(changes, c)
	}
	return changes
}

// change says that the server is up or down by now.
func (s *server) change(now time.Time, service, reason string) Change {
	c := Change{Kind: ServerUp, Service: service, Server: s.spec.Address, Weight: uint64(s.weight), Reason: reason, Alert: s.spec.Alert, Script: s.spec.NotifyUp, At: now}
	if !s.up {
		c.Kind, c.Script = ServerDown, s.spec.NotifyDown
	}
	return c
}

// farewell tells that a server that is up is looked after no more.
func (s *server) farewell(now time.Time, service, reason string, changes []Change) []Change {
	if !s.up {
		return changes
	}
	s.up, s.since = false, now
	return append(changes, s.change(now, service, reason))
}

// found reports whether one of the verdicts is such.
func (s *server) found(such func(check.Verdict) bool) bool {
	return slices.ContainsFunc(s.checks, func(c heldCheck) bool { return such(c.verdict) })
}

// known reports whether attempts decided all verdicts.
func (s *server) known() bool {
	return !s.found(func(v check.Verdict) bool { return !v.Known })
}

// reason is why the server is up or down: what the first check says that has it
// so, or is not sure.
func (s *server) reason() string {
	if len(s.checks) == 0 {
		return "it has no checks"
	}
	i := slices.IndexFunc(s.checks, func(c heldCheck) bool { return !c.verdict.Up })
	if i < 0 {
		i = max(0, slices.IndexFunc(s.checks, func(c heldCheck) bool { return !c.verdict.Known }))
	}
	return s.checks[i].verdict.Reason + s.agreed()
}

// weightReason is why the server has its weight.
func (s *server) weightReason() string {
	if s.byHand != nil {
		return s.byHand.Why
	}
	var says []string
	for i := range s.checks {
		if v := &s.checks[i].verdict; v.Weight.Op != check.WeightKeep {
			says = append(says, v.Reason)
		}
	}
	if len(says) == 0 {
		return "it is configured so"
	}
	return strings.Join(says, "; ")
}

// reload takes over a new configuration. A check keeps what is known of it if the
// same checker is still asked, or else one of the same kind in its place. One
// that is new to a server begins as that is, whatever alpha says, so that no
// reload makes it flap. number names new checks.
func (s *server) reload(now time.Time, spec *Server, number func(check.Checker) string) {
	begun := s.spec != nil
	before := s.checks
	s.spec, s.checks = spec, make([]heldCheck, len(spec.Checks))
	taken := make([]bool, len(before))
	take := func(i int, same func(old, new check.Checker) bool) bool {
		c := spec.Checks[i]
		for j := range before {
			if at := (i + j) % len(before); !taken[at] && same(before[at].Checker, c.Checker) {
				taken[at] = true
				c.Alpha = before[at].Alpha // how it began
				s.checks[i] = heldCheck{c, before[at].verdict}
				return true
			}
		}
		return false
	}
	var left []int
	for i := range spec.Checks {
		if !take(i, sameChecker) {
			left = append(left, i)
		}
	}
	for _, i := range left {
		if !take(i, sameKind) {
			c := spec.Checks[i]
			switch {
			case begun:
				c.Alpha = !s.up
			case spec.ToldDown:
				c.Alpha = true
			}
			s.checks[i] = heldCheck{c, check.Verdict{Key: number(c.Checker), Up: !c.Alpha, Reason: c.String() + ": not checked yet", At: now}}
		}
	}
}

func sameChecker(a, b check.Checker) bool { return reflect.DeepEqual(a, b) }

func sameKind(a, b check.Checker) bool { return kind(a) == kind(b) }

// kind is a checker's keyword.
func kind(c check.Checker) string {
	word, _, _ := strings.Cut(c.String(), " ")
	return word
}
