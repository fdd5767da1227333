package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Diff returns the difference between two documents in unified form, with
// secrets as ***, or "" when there is none.
func Diff(oldName, oldText, newName, newText string) string {
	return Redact(string(diff.Diff(oldName, []byte(oldText), newName, []byte(newText))))
}

// Conflict is a place that two edits changed differently. Lines end in "\n".
type Conflict struct {
	Line               int // in the base, from 1
	Base, Ours, Theirs []string
}

// ConflictError says that two edits cannot be joined, and shows both.
type ConflictError struct{ Conflicts []Conflict }

func (e *ConflictError) Error() string {
	var b strings.Builder
	for i, c := range e.Conflicts {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "both edits change line %d:\n", c.Line)
		b.WriteString("<<<<<<< yours\n" + Redact(strings.Join(c.Ours, "")))
		b.WriteString("=======\n" + Redact(strings.Join(c.Theirs, "")))
		b.WriteString(">>>>>>> theirs")
	}
	return b.String()
}

// Merge3 joins two edits of one text, line by line. Where both changed the same
// lines, or lines next to each other, in different ways, it refuses with a
// *ConflictError. The result still has to be compiled: texts that join need not
// make sense together.
func Merge3(base, ours, theirs string) (string, error) {
	b, o, t := splitKeep(base), splitKeep(ours), splitKeep(theirs)
	toOurs, toTheirs := images(b, o), images(b, t)
	var out strings.Builder
	var conflicts []Conflict
	ib, io, it := 0, 0, 0
	for {
		// The next base line that both kept ends a stretch that somebody changed.
		end := ib
		for end < len(b) && (toOurs[end] < 0 || toTheirs[end] < 0) {
			end++
		}
		eo, et := len(o), len(t)
		if end < len(b) {
			eo, et = toOurs[end], toTheirs[end]
		}
		cb, co, ct := b[ib:end], o[io:eo], t[it:et]
		switch {
		case slices.Equal(co, cb):
			writeAll(&out, ct)
		case slices.Equal(ct, cb) || slices.Equal(co, ct):
			writeAll(&out, co)
		default:
			conflicts = append(conflicts, Conflict{Line: ib + 1, Base: cb, Ours: co, Theirs: ct})
		}
		if end == len(b) {
			break
		}
		out.WriteString(b[end])
		ib, io, it = end+1, eo+1, et+1
	}
	if len(conflicts) > 0 {
		return "", &ConflictError{Conflicts: conflicts}
	}
	return out.String(), nil
}

// images gives for each line of a the index of its like in b, or -1.
func images(a, b []string) []int {
	out := make([]int, len(a))
	for i := range out {
		out[i] = -1
	}
	for _, p := range match(a, b) {
		out[p[0]] = p[1]
	}
	return out
}

// splitKeep splits into lines that keep their end; a last line gets one.
func splitKeep(s string) []string {
	var out []string
	for l := range strings.Lines(s) {
		if !strings.HasSuffix(l, "\n") {
			l += "\n"
		}
		out = append(out, l)
	}
	return out
}

func writeAll(b *strings.Builder, lines []string) {
	for _, l := range lines {
		b.WriteString(l)
	}
}
