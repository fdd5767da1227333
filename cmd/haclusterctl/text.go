package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// style is an ANSI SGR parameter; 0 is none.
type style int

const (
	noStyle style = 0
	bold    style = 1
	dim     style = 2
	red     style = 31
	green   style = 32
	yellow  style = 33
)

func (a *app) style(s style, text string) string {
	if !a.colour || s == noStyle || text == "" {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", s, text)
}

// cell is one field of a table.
type cell struct {
	text  string
	style style
}

func plain(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i] = cell{text: t}
	}
	return row
}

// table prints rows in columns, the first row as their head. On a terminal the
// last column is wrapped to its width.
func (a *app) table(w io.Writer, rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	before := 0 // columns before the last one
	for _, width := range widths[:max(len(widths)-1, 0)] {
		before += width + 2
	}
	for n, row := range rows {
		var line strings.Builder
		for i, c := range row {
			if n == 0 {
				c.style = dim
			}
			if c.text == "" {
				c.text = "-"
			}
			if i < len(row)-1 {
				line.WriteString(a.style(c.style, c.text))
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
				continue
			}
			for k, part := range wrap(c.text, a.width, before) {
				if k > 0 {
					line.WriteString("\n" + strings.Repeat(" ", before))
				}
				line.WriteString(a.style(c.style, part))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// narrowest is the least width of a wrapped column. What does not fit then is
// the terminal's affair.
const narrowest = 24

// wrap breaks a text between words so that it fits a terminal of so many
// columns, of which some are used. Zero columns are no limit.
func wrap(text string, columns, used int) []string {
	if columns == 0 || used+utf8.RuneCountInString(text) <= columns {
		return []string{text}
	}
	room := max(columns-used, narrowest)
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > room {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// headed prints a text behind a word, and goes on below its begin where a terminal
// is too narrow.
func (a *app) headed(w io.Writer, s style, head, text string) {
	indent := len(head) + 2
	lines := wrap(text, a.width, indent)
	fmt.Fprintf(w, "%s  %s\n", a.style(s, head), strings.Join(lines, "\n"+strings.Repeat(" ", indent)))
}

// when prints a time: on a terminal in local time with its offset, otherwise
// as JSON has it.
func (a *app) when(ts *timestamppb.Timestamp) string {
	if ts == nil {
		return ""
	}
	if !a.terminal {
		return ts.AsTime().UTC().Format(jsonTime)
	}
	return ts.AsTime().Local().Format("2006-01-02 15:04:05.000 -07:00")
}

// ago prints how long ago a time is; not on a terminal it prints the time.
func (a *app) ago(ts *timestamppb.Timestamp) string {
	if ts == nil || !a.terminal {
		return a.when(ts)
	}
	return age(a.now().Sub(ts.AsTime())) + " ago"
}

// age is a duration for people: its two largest units at most.
func age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

func verdictStyle(v pb.Verdict) style {
	switch v {
	case pb.Verdict_VERDICT_SAFE:
		return green
	case pb.Verdict_VERDICT_VIOLATED, pb.Verdict_VERDICT_DARK:
		return red
	default:
		return yellow
	}
}

func stateStyle(s pb.State) style {
	switch s {
	case pb.State_STATE_MASTER:
		return green
	case pb.State_STATE_FAULT:
		return red
	default:
		return noStyle
	}
}

// printFindings prints the findings of a check to standard error, a line each.
func (a *app) printFindings(list []*pb.Finding) {
	for _, f := range list {
		var line strings.Builder
		switch {
		case f.GetLine() > 0:
			fmt.Fprintf(&line, "%s:%d:%d: ", f.GetFile(), f.GetLine(), f.GetColumn())
		case f.GetFile() != "":
			line.WriteString(f.GetFile() + ": ")
		}
		if f.GetSeverity() != pb.Finding_SEVERITY_ERROR {
			line.WriteString(strings.ToLower(word(f.GetSeverity())) + ": ")
		}
		line.WriteString(f.GetMessage())
		if f.GetNode() != "" {
			line.WriteString(" (on " + f.GetNode() + ")")
		}
		shade := yellow
		if f.GetSeverity() == pb.Finding_SEVERITY_ERROR {
			shade = red
		}
		fmt.Fprintln(a.err, a.style(shade, line.String()))
	}
}
