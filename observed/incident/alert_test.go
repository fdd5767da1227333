package incident

import (
	"fmt"
	"testing"
	"time"

	"github.com/hacluster/hacluster/observed"
)

func TestAlertOfAFailoverIsAWarningWhenSomebodyServes(t *testing.T) {
	s := Story{Number: 7, Kind: Failover, Summary: "lb1 was lost"}
	if a := s.Alert("lb2", false); a.Severity != observed.Critical {
		t.Errorf("nobody serves: severity %v, want critical", a.Severity)
	}
	s.Taken = map[string]int{"lb2": 1}
	a := s.Alert("lb2", false)
	if a.Severity != observed.Warning || a.ID != "incident/7" || a.Next != "haclusterctl incident show 7" {
		t.Errorf("lb2 serves: %+v, want a warning about incident/7", a)
	}
}

func TestAlertQuotesALimitedNumberOfLines(t *testing.T) {
	s := Story{Lines: make([]StoryLine, evidenceLines+3)}
	if a := s.Alert("lb1", true); len(a.Evidence) != evidenceLines+1 || a.Evidence[evidenceLines] != "and 3 more" {
		t.Errorf("evidence %q, want %d lines and the number of the rest", a.Evidence, evidenceLines)
	}
}

func TestPeopleAreRemindedThreeTimes(t *testing.T) {
	opened := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := Story{Opened: opened}
	for _, tt := range []struct {
		age  time.Duration
		want string
	}{
		{time.Hour - 1, "0 0s"}, {time.Hour, "1 1h0m0s"}, {5 * time.Hour, "2 4h0m0s"}, {100 * time.Hour, "3 24h0m0s"},
	} {
		due, after := s.Reminders(opened.Add(tt.age))
		if got := fmt.Sprint(due, " ", after); got != tt.want {
			t.Errorf("after %v: %s, want %s", tt.age, got, tt.want)
		}
	}
}
