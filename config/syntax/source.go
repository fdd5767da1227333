package syntax

import (
	"slices"
	"strings"
)

// Document is one source text, split into lines. It is never changed.
type Document struct {
	File  string // as it stands in positions
	Lines []Line
}

// Line is one line of a source text, as it stands.
type Line struct {
	Pos  Pos    // of its first byte
	Text string // without the line break
	// Cond is the condition that the line starts with, or the zero value.
	Cond Cond
	// Code is where the statement starts in Text, behind indentation and
	// condition; Comment is where the comment starts. Without a statement Code
	// is equal to Comment; without a comment Comment is len(Text).
	Code, Comment int
	// Defines is the name that the line defines ($NAME=...), or of which it
	// continues a definition over several lines. Else it is empty.
	Defines string
	// Continues is set when it is not the definition's first line.
	Continues bool
}

// Cond is the condition of a line: @NODE, or @^NODE when Not is set.
type Cond struct {
	Node string
	Not  bool
}

// IsZero reports whether there is no condition.
func (c Cond) IsZero() bool { return c.Node == "" && !c.Not }

// Holds reports whether the line counts on the node.
func (c Cond) Holds(node string) bool {
	return c.IsZero() || (c.Node == node) != c.Not
}

// String gives the condition as it is written, or "".
func (c Cond) String() string {
	switch {
	case c.IsZero():
		return ""
	case c.Not:
		return "@^" + c.Node
	default:
		return "@" + c.Node
	}
}

// Body returns the statement of the line, without condition and comment.
func (l Line) Body() string { return strings.TrimRight(l.Text[l.Code:l.Comment], " \t\r") }

// Parse splits a source text into lines. It cannot fail: mistakes are found by
// Expand.
func Parse(file, text string) *Document {
	lines := splitLines(strings.TrimPrefix(text, "\ufeff"))
	d := &Document{File: file, Lines: make([]Line, 0, len(lines))}
	defines := ""
	for i, s := range lines {
		l := scanSource(Pos{File: file, Line: i + 1, Col: 1}, s)
		body := l.Body()
		if defines != "" {
			l.Defines, l.Continues = defines, true
		} else if name, _, ok := definition(body); ok {
			l.Defines = name
		}
		defines = ""
		if l.Defines != "" && strings.HasSuffix(body, `\`) {
			defines = l.Defines
		}
		d.Lines = append(d.Lines, l)
	}
	return d
}

// splitLines splits at line breaks; a last line without one counts too.
func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// Text returns the source with its comments: what Parse was given, but for a
// missing line break at the end.
func (d *Document) Text() string {
	var b strings.Builder
	for _, l := range d.Lines {
		b.WriteString(l.Text)
		b.WriteByte('\n')
	}
	return b.String()
}

// Nodes returns the names that conditions mention, sorted.
func (d *Document) Nodes() []string {
	var names []string
	for _, l := range d.Lines {
		if l.Cond.Node != "" {
			names = append(names, l.Cond.Node)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// scanSource finds the parts of one line.
func scanSource(pos Pos, text string) Line {
	l := Line{Pos: pos, Text: text, Comment: commentStart(text)}
	l.Code = skipBlanks(text, 0, l.Comment)
	cond, next, ok := condition(text[:l.Comment], l.Code)
	if ok {
		l.Cond, l.Code = cond, next
	}
	return l
}

// commentStart returns where the comment of a line starts: at the first # or !
// outside double quotes that no backslash stands before. Single quotes do not
// keep a comment from starting, not even in commands.
func commentStart(text string) int {
	from := skipBlanks(text, 0, len(text))
	if _, next, ok := condition(text, from); ok {
		from = next
	}
	escapes := isCommand(firstWord(text[from:]))
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && (!quoted || escapes):
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '#' || c == '!'):
			return i
		}
	}
	return len(text)
}

// isCommand reports whether the statement of that word is a command. In
// commands single quotes hold words together too, and a backslash stands for
// special characters; in all other statements both mean themselves.
func isCommand(word string) bool {
	switch word {
	case "script", "startup_script", "shutdown_script", "notify_fifo_script", "vrrp_notify_fifo_script", "lvs_notify_fifo_script",
		"notify", "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify_deleted", "notify_master_rx_lower_pri",
		"notify_up", "notify_down", "quorum_up", "quorum_down", "misc_path":
		return true
	}
	return false
}

// condition reads @NODE or @^NODE at text[at:].
func condition(text string, at int) (c Cond, next int, ok bool) {
	if at >= len(text) || text[at] != '@' {
		return Cond{}, at, false
	}
	end := at
	for end < len(text) && !blank(text[end]) {
		end++
	}
	name := text[at+1 : end]
	name, c.Not = strings.CutPrefix(name, "^")
	c.Node = name
	return c, skipBlanks(text, end, len(text)), name != ""
}

// definition splits $NAME=VALUE.
func definition(body string) (name, value string, ok bool) {
	rest, ok := strings.CutPrefix(body, "$")
	if !ok {
		return "", "", false
	}
	n := nameLen(rest)
	if n == 0 || n >= len(rest) || rest[n] != '=' {
		return "", "", false
	}
	return rest[:n], strings.TrimLeft(rest[n+1:], " \t"), true
}

// nameLen returns the length of the parameter name that s starts with.
func nameLen(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' }

func skipBlanks(s string, from, to int) int {
	for from < to && blank(s[from]) {
		from++
	}
	return from
}
