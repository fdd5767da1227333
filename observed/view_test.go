package observed

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnAlertForAWhileEndsWhenItIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := NewView(slog.New(slog.DiscardHandler), Node{Name: "lb01"}, false)
		standing := func(want bool) {
			t.Helper()
			synctest.Wait()
			if s, _ := v.Hub.Latest(); len(s.Alerts) > 0 != want {
				t.Errorf("alerts %+v, want one: %v", s.Alerts, want)
			}
		}
		a := Alert{ID: "duplicate_identity/lb01", Code: "duplicate_identity", Since: time.Now()}
		v.AlertFor(a, time.Minute)
		standing(true)
		time.Sleep(50 * time.Second)
		v.AlertFor(a, time.Minute)
		time.Sleep(50 * time.Second)
		standing(true)
		time.Sleep(11 * time.Second)
		standing(false)
	})
}
