package alert

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
)

// StateMail mails changes of VRRP states, virtual services and real servers, those of
// smtp_alert: one mail for each group, whose subject is the newest.
type StateMail struct {
	Relay
	RouterID string // in front of the subject
}

// Deliver implements Deliverer.
func (m StateMail) Deliver(ctx context.Context, changes []observed.Event) error {
	var body strings.Builder
	for _, e := range changes {
		fmt.Fprintf(&body, "%s  %s: %s, was %s", timestamp(e.Time), target(e), stateWord(e.To), stateWord(e.From))
		if e.Reason != "" {
			fmt.Fprintf(&body, " (%s)", e.Reason)
		}
		body.WriteString("\n")
	}
	newest := changes[len(changes)-1]
	fmt.Fprintf(&body, "\nOn node %s.\n", newest.Node)
	about := fmt.Sprintf("[%s] %s is %s", cmp.Or(m.RouterID, newest.Node), target(newest), stateWord(newest.To))
	return m.mail(ctx, andMore(about, len(changes)-1), body.String())
}

// target names what changed.
func target(e observed.Event) string {
	switch {
	case e.Kind == observed.ServiceChanged && e.Instance == "":
		return "virtual service " + e.Unit
	case e.Kind == observed.ServiceChanged:
		return "real server " + e.Instance + " of " + e.Unit
	case e.Instance == "":
		return "VRRP group " + e.Unit
	}
	return "VRRP instance " + e.Instance
}

// stateWord is the state in the words of keepalived's notify scripts: INIT is
// STOP there.
func stateWord(s string) string {
	if s == vrrp.Init.String() {
		return "STOP"
	}
	return s
}
