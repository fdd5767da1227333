package alert

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/disarm"
)

func TestWhoTellsPeople(t *testing.T) {
	ended := time.Unix(1, 0)
	for _, tt := range []struct {
		name          string
		alert         observed.Alert
		leader, other bool // whether who leads tells, and whether another node does
	}{
		{"an incident", observed.Alert{ID: "incident/7", Code: "failover"}, true, true}, // only who leads raises it
		{"the end of an incident", observed.Alert{ID: "incident/7", Code: "failover", Resolved: ended}, true, false},
		{"the end of what an isolated node told", observed.Alert{ID: "incident/lb1-a-1", Code: "failover", Resolved: ended}, true, true},
		{"a split brain as an incident", observed.Alert{ID: "incident/7", Code: "split_brain"}, true, true},
		{"a split brain as a rule found it", observed.Alert{ID: "split_brain/lb1/vi_1/lb2", Code: "split_brain"}, false, false},
		{"a disarmed cluster", observed.Alert{ID: "disarmed/x", Code: disarm.AlertCode}, true, false},
		{"a partial failure that the leader is to tell", observed.Alert{ID: "partial_failure/x", Code: observed.PartialFailureCode, Node: "lb1"}, true, false},
		{"a partial failure that another one is to tell", observed.Alert{ID: "partial_failure/x", Code: observed.PartialFailureCode, Node: "lb2"}, false, true},
		{"what a node sees for itself", observed.Alert{ID: "vrrp_channel_lost/lb1/vi_1/lb2", Code: "vrrp_channel_lost"}, true, true},
	} {
		if leader, other := ToldBy(tt.alert, "lb1", true), ToldBy(tt.alert, "lb2", false); leader != tt.leader || other != tt.other {
			t.Errorf("%s: leader %v, other %v; want %v, %v", tt.name, leader, other, tt.leader, tt.other)
		}
	}
}
