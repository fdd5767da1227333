package syntax

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Limits bound what a document may become. A zero field has the default.
type Limits struct {
	Lines   int // lines after expansion; 1,000,000
	Bytes   int // bytes after expansion; 32 MiB
	Depth   int // definitions, repetitions and files within each other; 32
	Nesting int // blocks within each other; 16
	Errors  int // after so many reading stops; 200
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&l.Lines, 1_000_000)
	set(&l.Bytes, 32<<20)
	set(&l.Depth, 32)
	set(&l.Nesting, 16)
	set(&l.Errors, 200)
	return l
}

// Opener finds the files that an include line names. It is given the directory
// of the including file and the pattern as it is written; no match is no error.
type Opener interface {
	Open(dir, pattern string) ([]*Document, error)
}

// Options say for whom a document is expanded.
type Options struct {
	Node   string // the name that conditions and ${_INSTANCE} mean
	Files  Opener // nil: include is a mistake
	Limits Limits
}

// Expand returns the statements that the node sees, and every mistake in the
// language. The statements are usable even when there are mistakes: what could
// not be read is left out.
func (d *Document) Expand(o Options) ([]*Node, []*Error) {
	e := &expansion{
		opts:   o,
		limits: o.Limits.withDefaults(),
		params: map[string]parameter{},
	}
	e.tree.nesting = e.limits.Nesting
	if err := e.document(d, 0); err != nil && !errors.Is(err, errStop) {
		panic(err) // only errStop is ever returned
	}
	e.errs = append(e.errs, e.tree.finish()...)
	slices.SortStableFunc(e.errs, func(a, b *Error) int { return a.Pos.Compare(b.Pos) })
	return e.tree.root.Children, e.errs
}

// errStop ends an expansion whose limits are used up; the reason is in errs.
var errStop = errors.New("expansion stopped")

// parameter is a definition: its value, a line or several.
type parameter struct {
	lines []text
}

// expansion is one run over a document for one node.
type expansion struct {
	opts   Options
	limits Limits
	params map[string]parameter
	tree   builder
	errs   []*Error
	lines  int
	bytes  int
}

// fail notes a mistake. It returns errStop when there are too many.
func (e *expansion) fail(at Pos, format string, args ...any) error {
	e.errs = append(e.errs, &Error{Pos: at, Msg: fmt.Sprintf(format, args...)})
	if len(e.errs) >= e.limits.Errors {
		e.errs = append(e.errs, &Error{Pos: at, Msg: "too many mistakes; reading stopped here"})
		return errStop
	}
	return nil
}

// stop notes the mistake that ends the expansion.
func (e *expansion) stop(at Pos, format string, args ...any) error {
	e.errs = append(e.errs, &Error{Pos: at, Msg: fmt.Sprintf(format, args...)})
	return errStop
}

// document expands one file.
func (e *expansion) document(d *Document, depth int) error {
	for i := 0; i < len(d.Lines); i++ {
		l := d.Lines[i]
		t := text{s: l.Body(), line: l.Pos}
		t.line.Col += l.Code
		next := i + 1
		for next < len(d.Lines) && d.Lines[next].Continues {
			next++
		}
		if err := e.sourceLine(d, l, t, d.Lines[i+1:next], depth); err != nil {
			return err
		}
		i = next - 1
	}
	return nil
}

// sourceLine expands one line of a file, with the lines that continue it.
func (e *expansion) sourceLine(d *Document, l Line, t text, rest []Line, depth int) error {
	if err := e.count(t); err != nil {
		return err
	}
	if pattern, ok := include(t.s); ok && l.Cond.IsZero() {
		return e.include(d, t.line, pattern, depth)
	}
	if !l.Cond.Holds(e.opts.Node) || t.s == "" {
		return nil
	}
	if !l.Cond.IsZero() && strings.HasPrefix(t.s, "@") {
		return e.fail(t.line, "%s follows another condition; a line takes one", firstWord(t.s))
	}
	if l.Defines != "" && !l.Continues {
		return e.define(t, rest)
	}
	return e.line(t, depth, !l.Cond.IsZero())
}

// define notes $NAME=VALUE with its further lines.
func (e *expansion) define(t text, rest []Line) error {
	name, _, _ := definition(t.s)
	first := t.from(strings.IndexByte(t.s, '=') + 1).trimmed()
	p := parameter{}
	if s, more := strings.CutSuffix(first.s, `\`); more {
		first.s = s
		if first = first.trimmed(); first.s != "" {
			p.lines = append(p.lines, first)
		}
	} else {
		p.lines = append(p.lines, first)
	}
	for _, l := range rest {
		if err := e.count(text{s: l.Text, line: l.Pos}); err != nil {
			return err
		}
		// A condition inside a definition counts where the definition is used.
		start := skipBlanks(l.Text, 0, l.Comment)
		b := text{s: l.Text[start:l.Comment], line: l.Pos, derived: true}
		b.line.Col += start
		b = b.trimmed()
		if s, more := strings.CutSuffix(b.s, `\`); more {
			b.s = s
			b = b.trimmed()
		}
		if b.s != "" {
			p.lines = append(p.lines, b)
		}
	}
	e.params[name] = p
	return nil
}

// line expands one line that is no include and, on this node, no condition.
// Lines of a file were counted when they were read; depth 0 says so.
func (e *expansion) line(t text, depth int, conditional bool) error {
	if depth > e.limits.Depth {
		return e.stop(t.pos(0), "definitions, repetitions or files use each other more than %d deep", e.limits.Depth)
	}
	for n := 0; ; n++ {
		if n > 0 || depth > 0 {
			if err := e.count(t); err != nil {
				return err
			}
			t = t.trimmed()
			if c, next, ok := condition(t.s, 0); ok {
				if conditional {
					return e.fail(t.pos(0), "%s follows another condition; a line takes one", c)
				}
				if !c.Holds(e.opts.Node) {
					return nil
				}
				t, conditional = t.from(next), true
			}
			if name, _, ok := definition(t.s); ok {
				e.params[name] = parameter{lines: []text{t.from(strings.IndexByte(t.s, '=') + 1).trimmed()}}
				return nil
			}
		}
		switch {
		case t.s == "":
			return nil
		case n > maxReplacements:
			return e.stop(t.pos(0), "the parameters of this line never end: one of them contains itself")
		case strings.HasPrefix(t.s, "~SEQ") || strings.HasPrefix(t.s, "~LST"):
			return e.repeat(t, depth, conditional)
		}
		lines, changed, err := e.substitute(t)
		switch {
		case err != nil:
			return err
		case !changed:
			return e.statement(t)
		case len(lines) == 1:
			t = lines[0]
			continue
		}
		for _, l := range lines {
			if err := e.line(l, depth+1, conditional); err != nil {
				return err
			}
		}
		return nil
	}
}

// maxReplacements is how many parameters one line may have.
const maxReplacements = 1000

// statement gives one line without parameters to the tree.
func (e *expansion) statement(t text) error {
	t = unmark(t)
	lex, serr := scan(t)
	if serr != nil {
		if err := e.fail(serr.Pos, "%s", serr.Msg); err != nil {
			return err
		}
	}
	for _, err := range e.tree.add(lex) {
		if err := e.fail(err.Pos, "%s", err.Msg); err != nil {
			return err
		}
	}
	return nil
}

// count holds the limits on lines and bytes.
func (e *expansion) count(t text) error {
	e.lines++
	e.bytes += len(t.s)
	if e.lines > e.limits.Lines {
		return e.stop(t.line, "the document becomes more than %d lines", e.limits.Lines)
	}
	if e.bytes > e.limits.Bytes {
		return e.stop(t.line, "the document becomes more than %d bytes", e.limits.Bytes)
	}
	return nil
}

// include returns the pattern of an include line.
func include(s string) (pattern string, ok bool) {
	w := firstWord(s)
	if !includes(w) {
		return "", false
	}
	return strings.Trim(strings.TrimSpace(s[len(w):]), `"`), true
}

// includes says whether a line that starts with the word is an include line.
func includes(word string) bool {
	switch word {
	case "include", "includer", "includem", "includew", "includeb", "includea":
		return true
	}
	return false
}

// include expands the files that an include line names.
func (e *expansion) include(d *Document, at Pos, pattern string, depth int) error {
	switch {
	case e.opts.Files == nil:
		return e.fail(at, "include cannot be used here: this document must be whole; put the lines of %s in its place", pattern)
	case pattern == "":
		return e.fail(at, "include names no file")
	case depth >= e.limits.Depth:
		return e.stop(at, "files include each other more than %d deep", e.limits.Depth)
	}
	docs, err := e.opts.Files.Open(path.Dir(d.File), pattern)
	if err != nil {
		return e.fail(at, "include %s: %v", pattern, err)
	}
	for _, f := range docs {
		if err := e.document(f, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func firstWord(s string) string {
	for i := range len(s) {
		if blank(s[i]) {
			return s[:i]
		}
	}
	return s
}
