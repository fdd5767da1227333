package alert

import (
	"time"

	"github.com/hacluster/hacluster/observed"
)

// ParseSeverity reads info, warning or critical.
func ParseSeverity(word string) (observed.Severity, bool) {
	for _, s := range []observed.Severity{observed.Info, observed.Warning, observed.Critical} {
		if severity(s) == word {
			return s, true
		}
	}
	return 0, false
}

func severity(s observed.Severity) string {
	switch s {
	case observed.Info:
		return "info"
	case observed.Warning:
		return "warning"
	case observed.Critical:
		return "critical"
	default:
		panic("alert: unknown severity")
	}
}

// state is "open" or "resolved".
func state(a observed.Alert) string {
	if a.Resolved.IsZero() {
		return "open"
	}
	return "resolved"
}

// timestamp is RFC 3339 in UTC with milliseconds; the zero time is empty.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
