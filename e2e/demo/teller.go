package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

// teller prints the story. Colour is for terminals, and NO_COLOR is kept.
type teller struct {
	out    io.Writer
	colour bool
	steps  int
	rows   []row
}

// row is a line of the table at the end.
type row struct{ what, measured, want string }

func newTeller(out io.Writer, env func(string) string) *teller {
	file, ok := out.(*os.File)
	return &teller{out: out, colour: ok && term.IsTerminal(int(file.Fd())) && env("NO_COLOR") == "" && env("TERM") != "dumb"}
}

// Terminal styles.
const (
	bold = "1"
	dim  = "2"
)

func (l *teller) style(code, text string) string {
	if !l.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// title begins the next part.
func (l *teller) title(text string) {
	l.steps++
	fmt.Fprintf(l.out, "\n%s\n\n", l.style(bold, fmt.Sprintf("%d. %s", l.steps, text)))
}

// say prints a sentence of the story.
func (l *teller) say(format string, args ...any) { fmt.Fprintf(l.out, "   "+format+"\n", args...) }

// pause prints an empty line.
func (l *teller) pause() { fmt.Fprintln(l.out) }

// typed prints a command as somebody types it on a machine.
func (l *teller) typed(machine, command string) {
	fmt.Fprintf(l.out, "   %s %s\n", l.style(dim, machine+" #"), l.style(bold, shorten(command)))
}

// shown prints what a command said.
func (l *teller) shown(output string) {
	for line := range strings.Lines(strings.Trim(output, "\n")) {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			fmt.Fprintln(l.out)
			continue
		}
		fmt.Fprintf(l.out, "      %s\n", l.style(dim, shorten(line)))
	}
	fmt.Fprintln(l.out)
}

// record keeps a figure for the table.
func (l *teller) record(what, measured, want string) {
	l.rows = append(l.rows, row{what, measured, want})
}

// table prints every figure recorded.
func (l *teller) table() {
	w := tabwriter.NewWriter(l.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "   what\tmeasured\twanted")
	for _, r := range l.rows {
		fmt.Fprintf(w, "   %s\t%s\t%s\n", r.what, r.measured, r.want)
	}
	w.Flush()
}

// shorten cuts join tokens, which nobody reads.
func shorten(line string) string {
	const mark, shown = "hacl1.", 6
	at := strings.Index(line, mark)
	if at < 0 {
		return line
	}
	at += len(mark)
	end := at
	for end < len(line) && line[end] != ' ' {
		end++
	}
	return line[:min(at+shown, end)] + "…" + line[end:]
}

// span is a duration for people.
func span(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
