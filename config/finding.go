package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// Severity says what a finding means for the document.
type Severity uint8

// Severities, the gravest last.
const (
	Warning     Severity = iota + 1 // keepalived reports it and carries on; so do we
	Unsupported                     // known, not implemented, and its loss matters
	Error                           // the document is refused
)

func (s Severity) String() string {
	return [...]string{"", "warning", "unsupported", "error"}[s]
}

// Finding is one thing that is wrong with a document, with its place.
type Finding struct {
	Severity Severity
	Pos      syntax.Pos
	Node     string // set where only this node's view of the document has it
	Msg      string // what is wrong, and what would be right
}

// String gives the line that is printed: FILE:LINE:COL: MESSAGE. Severities
// other than Error stand before the message.
func (f Finding) String() string {
	var b strings.Builder
	if f.Pos.File != "" || f.Pos.Line > 0 {
		b.WriteString(f.Pos.String() + ": ")
	}
	if f.Severity != Error {
		b.WriteString(f.Severity.String() + ": ")
	}
	b.WriteString(f.Msg)
	if f.Node != "" {
		fmt.Fprintf(&b, " (on %s)", f.Node)
	}
	return b.String()
}

// Findings is everything found in one document.
type Findings []Finding

// Of returns the findings of one severity.
func (fs Findings) Of(s Severity) Findings {
	var out Findings
	for _, f := range fs {
		if f.Severity == s {
			out = append(out, f)
		}
	}
	return out
}

// Err returns the errors among the findings as one error that lists them all,
// a line for each, or nil. Unsupported words and warnings are not errors.
func (fs Findings) Err() error {
	errs := fs.Of(Error)
	if len(errs) == 0 {
		return nil
	}
	return &RefusedError{Findings: errs}
}

// RefusedError says that a document cannot be used.
type RefusedError struct{ Findings Findings }

func (e *RefusedError) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders findings by place and drops repetitions.
func (fs Findings) sorted() Findings {
	seen := make(map[Finding]bool, len(fs))
	var out Findings
	for _, f := range fs {
		if !seen[f] {
			seen[f] = true
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return a.Pos.Compare(b.Pos)
	})
	return out
}
