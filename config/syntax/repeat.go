package syntax

import (
	"strconv"
	"strings"
)

// repeat expands a line that starts with ~SEQ(...), ~SEQx(...) or ~LST(...).
func (e *expansion) repeat(t text, depth int, conditional bool) error {
	head, args, next, ok := repetition(t.s)
	if !ok {
		return e.fail(t.pos(0), "a repetition is written ~SEQ(VAR, START, STEP, END), ~SEQx(...) or ~LST(VAR, VALUE, ...)")
	}
	args, err := e.replaceAll(args, t.pos(0))
	if err != nil {
		return err
	}
	rest := t.from(next).trimmed()
	rest.derived = true
	run := func(names, values []string) error {
		for i, n := range names {
			e.params[n] = parameter{lines: []text{{s: values[i], line: t.line}}}
		}
		return e.line(rest, depth+1, conditional)
	}
	if head == "~LST" {
		return e.list(t.pos(0), args, run)
	}
	return e.sequence(t.pos(0), args, head == "~SEQx", run)
}

// repetition splits `~SEQ(args) rest`.
func repetition(s string) (head, args string, next int, ok bool) {
	open := strings.IndexByte(s, '(')
	end := strings.IndexByte(s, ')')
	if open < 0 || end < open {
		return "", "", 0, false
	}
	head = s[:open]
	if head != "~SEQ" && head != "~SEQx" && head != "~LST" {
		return "", "", 0, false
	}
	return head, s[open+1 : end], end + 1, true
}

// replaceAll replaces the parameters in the arguments of a repetition.
func (e *expansion) replaceAll(s string, at Pos) (string, error) {
	t := text{s: s, line: at}
	for range e.limits.Depth {
		lines, changed, err := e.substitute(t)
		if err != nil || !changed {
			return t.s, err
		}
		t = lines[0]
		if err := e.count(t); err != nil {
			return "", err
		}
	}
	return t.s, nil
}

// sequence runs over a range of integers.
func (e *expansion) sequence(at Pos, args string, hex bool, run func(names, values []string) error) error {
	f := strings.Split(args, ",")
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	if len(f) < 2 || len(f) > 4 || nameLen(f[0]) != len(f[0]) || f[0] == "" {
		return e.fail(at, "~SEQ takes a name and one to three numbers: (VAR, [START, [STEP,]] END)")
	}
	var n [3]int64
	for i, s := range f[1:] {
		v, err := strconv.ParseInt(s, 0, 32)
		if err != nil {
			return e.fail(at, "~SEQ: %q is not a number", s)
		}
		n[i] = v
	}
	var start, step, end int64
	switch len(f) {
	case 2:
		end = n[0]
		start, step = 1, 1
		if end < 0 {
			start, step = -1, -1
		}
	case 3:
		start, end = n[0], n[1]
		step = 1
		if end < start {
			step = -1
		}
	default:
		start, step, end = n[0], n[1], n[2]
	}
	if step == 0 || (end-start)*step < 0 {
		return e.fail(at, "~SEQ: no way from %d to %d in steps of %d", start, end, step)
	}
	if hex && (start < 0 || end < 0) {
		return e.fail(at, "~SEQx counts from 0 up; %d is negative", min(start, end))
	}
	base := 10
	if hex {
		base = 16
	}
	for v := start; (end-v)*step >= 0; v += step {
		if err := run(f[:1], []string{strconv.FormatInt(v, base)}); err != nil {
			return err
		}
	}
	return nil
}

// list runs over values, or over tuples of them.
func (e *expansion) list(at Pos, args string, run func(names, values []string) error) error {
	items := splitTuples(args)
	if len(items) < 2 {
		return e.fail(at, "~LST takes a name and its values: (VAR, VALUE, ...) or ({A, B}, {1, 2}, ...)")
	}
	names := tuple(items[0])
	for _, n := range names {
		if n == "" || nameLen(n) != len(n) {
			return e.fail(at, "~LST: %q is not a name", n)
		}
	}
	for _, it := range items[1:] {
		values := tuple(it)
		if len(values) != len(names) {
			return e.fail(at, "~LST: {%s} has %d values for %d names", strings.Join(values, ","), len(values), len(names))
		}
		if err := run(names, values); err != nil {
			return err
		}
	}
	return nil
}

// splitTuples splits at commas outside braces.
func splitTuples(s string) []string {
	var out []string
	depth, from := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, s[from:i])
				from = i + 1
			}
		}
	}
	return append(out, s[from:])
}

// tuple returns the values of `{a, b}`, or the one of `a`.
func tuple(s string) []string {
	s = strings.TrimSpace(s)
	inner, ok := strings.CutPrefix(s, "{")
	if !ok {
		return []string{s}
	}
	values := strings.Split(strings.TrimSuffix(inner, "}"), ",")
	for i := range values {
		values[i] = strings.TrimSpace(values[i])
	}
	return values
}
