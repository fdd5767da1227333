package syntax

import (
	"path"
	"strings"
)

// A literal # or ! that a parameter gave stands as a control byte until the
// statement is scanned, so that nothing takes it for a comment.
const (
	markHash = '\x01'
	markBang = '\x02'
)

// unmark puts the literal characters in place.
func unmark(t text) text {
	if strings.ContainsAny(t.s, "\x01\x02") {
		t.s = strings.NewReplacer("\x01", "#", "\x02", "!").Replace(t.s)
	}
	return t
}

// substitute replaces the first parameter of a line; the caller comes again
// until none is left. A parameter of several lines makes several lines of it.
// One that is not defined stays as it is.
func (e *expansion) substitute(t text) (lines []text, changed bool, err error) {
	for i := 0; i < len(t.s); i++ {
		if t.s[i] != '$' {
			continue
		}
		name, end := reference(t.s, i)
		if name == "" {
			continue
		}
		p, ok, err := e.parameter(name, t.pos(i))
		if err != nil {
			return nil, false, err
		}
		if !ok {
			continue
		}
		return splice(t, i, end, p.lines), true, nil
	}
	return nil, false, nil
}

// reference reads $NAME, which must be followed by a blank or the end, or
// ${NAME...} at s[i:].
func reference(s string, i int) (name string, end int) {
	if i+1 < len(s) && s[i+1] == '{' {
		n := strings.IndexByte(s[i:], '}')
		if n < 0 {
			return "", 0
		}
		return s[i+2 : i+n], i + n + 1
	}
	n := nameLen(s[i+1:])
	end = i + 1 + n
	if end < len(s) && !blank(s[end]) {
		return "", 0
	}
	return s[i+1 : end], end
}

// parameter returns the value of a name, predefined ones included.
func (e *expansion) parameter(name string, at Pos) (parameter, bool, error) {
	one := func(s string) parameter { return parameter{lines: []text{{s: s, line: at}}} }
	word, _, _ := strings.Cut(name, " ")
	switch word {
	case "_PWD":
		return one(path.Dir(at.File)), true, nil
	case "_INSTANCE":
		return one(e.opts.Node), true, nil
	case "_HASH":
		return one(string(markHash)), true, nil
	case "_BANG":
		return one(string(markBang)), true, nil
	case "_RANDOM", "_ENV":
		err := e.fail(at, "${%s} differs from one reading to the next; write the value itself", word)
		return parameter{}, false, err
	}
	p, ok := e.params[name]
	return p, ok, nil
}

// splice puts the lines of a value in the place of t.s[i:end].
func splice(t text, i, end int, value []text) []text {
	if len(value) == 0 {
		value = []text{{}}
	}
	if len(value) == 1 {
		return []text{join(t, i, value[0].s, end)}
	}
	// Several lines: those of the definition keep their own places. What stands
	// before and behind the parameter goes to the first and the last one.
	out := make([]text, 0, len(value)+1)
	for k, v := range value {
		v.derived = true
		if before := strings.TrimSpace(t.s[:i]); k == 0 && before != "" {
			v = marked(before+" "+v.s, v.line)
		}
		if after := strings.TrimSpace(t.s[end:]); k == len(value)-1 && after != "" {
			v = marked(v.s+" "+after, v.line)
		}
		out = append(out, v)
	}
	return out
}

// marked is a line made of pieces: all of it counts as derived.
func marked(s string, at Pos) text {
	return text{s: s, line: at, derived: true}
}

// join puts value in the place of t.s[i:end] on one line.
func join(t text, i int, value string, end int) text {
	cols := make([]int32, 0, len(t.s)-(end-i)+len(value))
	col := func(k int) int32 {
		if t.cols != nil {
			return t.cols[k]
		}
		return int32(t.line.Col + k)
	}
	for k := range i {
		cols = append(cols, col(k))
	}
	at := col(i)
	if at > 0 {
		at = -at
	}
	for range len(value) {
		cols = append(cols, at)
	}
	for k := end; k < len(t.s); k++ {
		cols = append(cols, col(k))
	}
	return text{s: t.s[:i] + value + t.s[end:], line: t.line, cols: cols, derived: t.derived}
}
