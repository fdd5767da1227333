package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Failure is one failed test with what it printed.
type Failure struct{ Name, Output string }

// Summary is what was counted.
type Summary struct {
	Passed int
	Failed []Failure
	NotRun map[string]int // by missing feature
}

func (s *Summary) add(o Summary) {
	s.Passed += o.Passed
	s.Failed = append(s.Failed, o.Failed...)
	for feature, n := range o.NotRun {
		if s.NotRun == nil {
			s.NotRun = make(map[string]int)
		}
		s.NotRun[feature] += n
	}
}

// report shows one step's failures and its line.
func (s *Summary) report(out io.Writer, name string, took time.Duration) {
	for _, f := range s.Failed {
		fmt.Fprintf(out, "--- FAILED %s\n%s", f.Name, indent(f.Output))
	}
	verdict := "ok    "
	if len(s.Failed) > 0 {
		verdict = "FAILED"
	}
	fmt.Fprintf(out, "%s %-12s %4d passed, %d failed  %6.1fs\n", verdict, name, s.Passed, len(s.Failed), took.Seconds())
}

// last prints the closing lines.
func (s *Summary) last(out io.Writer) {
	for _, f := range s.Failed {
		fmt.Fprintf(out, "failed: %s\n", f.Name)
	}
	total := 0
	for _, n := range s.NotRun {
		total += n
	}
	if total > 0 {
		fmt.Fprintf(out, "%d not run (%s)\n", total, reasons(s.NotRun))
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", s.Passed, len(s.Failed))
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}
