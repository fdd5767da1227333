package alert

import (
	"fmt"
	"slices"
	"time"
)

// Severity orders alerts.
type Severity uint8

// Severities.
const (
	Info Severity = iota
	Warning
	Critical
)

func (s Severity) String() string { return [...]string{"info", "warning", "critical"}[s] }

// MarshalText makes the severity a word in JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word.
func (s *Severity) UnmarshalText(b []byte) error {
	for _, known := range []Severity{Info, Warning, Critical} {
		if known.String() == string(b) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("severity %q is not known; use info, warning or critical", b)
}

// Alert is one condition that a person should know of. It is a value: nobody
// changes its Evidence once it is raised.
type Alert struct {
	ID       string    `json:"id"` // the same as long as the condition lasts, such as split_brain/VI_1
	Kind     string    `json:"kind"`
	Severity Severity  `json:"severity"`
	Node     string    `json:"node"`
	Unit     string    `json:"unit,omitempty"` // empty: the node's
	Since    time.Time `json:"since"`
	Resolved time.Time `json:"resolved,omitzero"` // zero: open
	Summary  string    `json:"summary"`           // one line
	Evidence []string  `json:"evidence,omitempty"`
	Remedy   string    `json:"remedy,omitempty"`
}

// Open reports whether the condition lasts.
func (a Alert) Open() bool { return a.Resolved.IsZero() }

// State is "open" or "resolved".
func (a Alert) State() string {
	if a.Open() {
		return "open"
	}
	return "resolved"
}

// same reports whether there is nothing new in b.
func (a Alert) same(b Alert) bool {
	evidence := slices.Equal(a.Evidence, b.Evidence)
	return evidence && a.Kind == b.Kind && a.Severity == b.Severity && a.Node == b.Node && a.Unit == b.Unit &&
		a.Summary == b.Summary && a.Remedy == b.Remedy
}
