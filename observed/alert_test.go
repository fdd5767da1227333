package observed

import (
	"testing"

	"github.com/hacluster/hacluster/splitbrain"
)

func TestTheEndOfASplitBrainResolvesItsAlert(t *testing.T) {
	h := NewHub()
	h.Raise(FromArbiter("lb1", splitbrain.Alert{Kind: splitbrain.SplitBrain, Unit: "vi_1", Peer: "lb2", Since: now}, now))
	end := splitbrain.Alert{Kind: splitbrain.SplitBrainResolved, Unit: "vi_1", Peer: "lb2", Since: now, Resolved: true}
	if !h.Raise(FromArbiter("lb1", end, now)) {
		t.Error("Raise of the end: nothing changed")
	}
	if s, _ := h.Latest(); len(s.Alerts) != 0 {
		t.Errorf("open alerts = %+v, want none", s.Alerts)
	}
}
