package alert

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hacluster/hacluster/observed"
)

// Mail delivers one mail for each group of alerts. Its subject is the worst.
type Mail struct{ Relay }

// Deliver implements Deliverer.
func (m Mail) Deliver(ctx context.Context, alerts []observed.Alert) error {
	paragraphs := make([]string, len(alerts))
	for i, a := range alerts {
		paragraphs[i] = paragraph(a)
	}
	return m.mail(ctx, subject(alerts), strings.Join(paragraphs, "\n"))
}

func subject(alerts []observed.Alert) string {
	worst := alerts[0]
	for _, a := range alerts {
		if a.Severity > worst.Severity {
			worst = a
		}
	}
	resolved := ""
	if !worst.Resolved.IsZero() {
		resolved = "resolved: "
	}
	return andMore(fmt.Sprintf("[%s] %s%s: %s", worst.Node, resolved, worst.Code, worst.Summary), len(alerts)-1)
}

func paragraph(a observed.Alert) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-10s%s\n", name, value)
		}
	}
	fmt.Fprintf(&b, "%s: %s\n", strings.ToUpper(severity(a.Severity)), a.Summary)
	line("code", a.Code)
	line("node", a.Node)
	line("unit", a.Unit)
	line("since", timestamp(a.Since))
	if !a.Resolved.IsZero() {
		line("resolved", fmt.Sprintf("%s, after %s", timestamp(a.Resolved), a.Resolved.Sub(a.Since).Round(time.Millisecond)))
	}
	for _, e := range a.Evidence {
		line("seen", e)
	}
	line("done", a.Action)
	line("do", a.Next)
	return b.String()
}
