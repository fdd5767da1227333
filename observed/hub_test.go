package observed

import (
	"strings"
	"testing"
	"time"
)

func TestEventsAreNumberedAndTheOldestGo(t *testing.T) {
	h := NewHub()
	for range keptEvents + 10 {
		h.Record(Event{Kind: StateChanged})
	}
	events, more := h.Events(0)
	if len(events) != keptEvents || events[0].Seq != 11 || events[len(events)-1].Seq != keptEvents+10 {
		t.Fatalf("Events = %d from %d, want %d from 11", len(events), events[0].Seq, keptEvents)
	}
	h.Record(Event{Kind: ConfigChanged})
	select {
	case <-more:
	default:
		t.Error("the channel was not closed by a new event")
	}
	if events, _ = h.Events(keptEvents + 10); len(events) != 1 || events[0].Kind != ConfigChanged {
		t.Errorf("Events after the last = %v, want the new one", events)
	}
}

func TestAnAlertOpensOnceAndResolvesOnce(t *testing.T) {
	h := NewHub()
	a := Alert{ID: "split_brain/lb1/vi_1", Summary: "two holders", Since: now}
	if !h.Raise(a) || h.Raise(a) {
		t.Error("Raise: want a change the first time only")
	}
	if s, _ := h.Latest(); len(s.Alerts) != 1 {
		t.Errorf("open alerts = %d, want 1", len(s.Alerts))
	}
	a.Since, a.Resolved, a.Summary = time.Time{}, now.Add(time.Second), "over after 1s: two holders"
	if !h.Raise(a) || h.Raise(a) {
		t.Error("Raise of the end: want a change the first time only")
	}
	if s, _ := h.Latest(); len(s.Alerts) != 0 {
		t.Errorf("open alerts = %d, want 0", len(s.Alerts))
	}
	changes, _ := h.Alerts(0)
	if len(changes) != 2 || changes[1].Seq != 2 || !changes[1].Since.Equal(now) || changes[1].Summary != "two holders" {
		t.Errorf("Alerts = %v; want the opening, and the end with its beginning and what it was", changes)
	}
}

func TestFactsFitTheirSpace(t *testing.T) {
	f := Facts{Version: "1.2.3", Revision: 7, RevisionError: strings.Repeat("é", 400), Started: 1}
	data := f.Encode(200)
	if len(data) > 200 {
		t.Fatalf("Encode gave %d bytes, want at most 200", len(data))
	}
	got := DecodeFacts(data)
	if got.Revision != 7 || got.RevisionError == "" || !strings.HasPrefix(f.RevisionError, got.RevisionError) {
		t.Errorf("DecodeFacts = %+v", got)
	}
}
