package lab

import (
	"encoding/json"
	"strings"
	"time"
)

// Alert is one change of an alert as a daemon told it.
type Alert struct {
	At   time.Time // when the line arrived
	Code string
	Node string // that raised it
	Text string // the whole line
}

// AlertFeed follows the alerts that a daemon tells.
type AlertFeed struct{ *Process }

// FollowAlerts listens to the daemon's alerts until it ends. What a poll would
// cost in processor time and in precision this does not.
func (d *Daemon) FollowAlerts() AlertFeed {
	d.Node.t.Helper()
	return AlertFeed{d.Node.Start(Binary(d.Node.t, "haclusterctl"), "--socket="+d.Socket(), "alerts", "-f", "-o", "json")}
}

// First finds the first line since a moment about an alert of the given code
// that a node has raised, with all words in it.
func (f AlertFeed) First(since time.Time, node, code string, words ...string) (Alert, bool) {
	for _, line := range f.Lines() {
		var a struct {
			Code string `json:"code"`
			Node string `json:"node"`
		}
		if line.At.Before(since) || json.Unmarshal([]byte(line.Text), &a) != nil || a.Code != code || a.Node != node {
			continue
		}
		has := 0
		for _, w := range words {
			if strings.Contains(line.Text, w) {
				has++
			}
		}
		if has == len(words) {
			return Alert{line.At, a.Code, a.Node, line.Text}, true
		}
	}
	return Alert{}, false
}
