package director

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/lvs/check"
)

// heir is web, of which servers and quorum were told to be so.
func heir(quorum bool, down ...bool) Service {
	s := web(1, 1)
	s.ToldQuorum = &quorum
	script := func(name string) run.Command { return run.Command{Argv: []string{name}} }
	s.QuorumUp, s.QuorumDown, s.Alert = script("quorum up"), script("quorum down"), true
	for i := range s.Servers {
		r := &s.Servers[i]
		r.ToldDown, r.Alert = down[i], true
		r.NotifyUp, r.NotifyDown = script("up"), script("down")
	}
	return s
}

// news are the changes of the last step: its kind, and "again" or the script.
func (d *desk) news() string {
	var says []string
	for _, c := range d.last.changes {
		word := "again"
		if !c.Again {
			word = strings.Join(c.Script.Argv, " ")
		} else if len(c.Script.Argv) > 0 || c.Alert {
			word = fmt.Sprintf("again, with script %q or a mail", c.Script.Argv)
		}
		says = append(says, fmt.Sprintf("%v: %s", c.Kind, word))
	}
	return strings.Join(says, "; ")
}

func TestWhatWasToldBeforeRunsNoScriptAgain(t *testing.T) {
	up, down := check.Verdict{Up: true}, check.Verdict{}
	for _, tt := range []struct {
		name       string
		service    Service
		begin, one string // what is told at the beginning, and once the first server was checked
		finds      check.Verdict
	}{
		{"all is as it was", heir(true, true, false), "quorum gained: again", "server down: again", down},
		{"a server is back", heir(true, true, false), "quorum gained: again", "server up: up", up},
		{"a server is down by now", heir(true, false, false), "quorum gained: again", "server down: down", down},
		{"no quorum, as it was", heir(false, true, true), "quorum lost: again", "server down: again", down},
		{"quorum is back", heir(false, true, true), "quorum lost: again", "server up: up; quorum gained: quorum up", up},
		{"quorum is lost by what is configured", heir(true, true, true), "quorum lost: quorum down", "server down: again", down},
	} {
		d := newDesk(tt.service)
		if got := d.news(); got != tt.begin {
			t.Errorf("%s: told %q at the beginning, want %q", tt.name, got, tt.begin)
		}
		d.finds(tt.finds, 0)
		if got := d.news(); got != tt.one {
			t.Errorf("%s: then told %q, want %q", tt.name, got, tt.one)
		}
	}
}

func TestHysteresisGoesByWhatWasTold(t *testing.T) {
	for _, told := range []bool{true, false} {
		s := heir(told, true, false)
		s.Servers[1].Weight = 5
		s.Quorum, s.Hysteresis = 6, 2 // kept from 4 on, gained from 8 on
		if got := newDesk(s).pools[0].quorum; got != told {
			t.Errorf("quorum %v with weight 5, want %v as it was told", got, told)
		}
	}
}
