package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// EditError says why a document cannot be edited this way.
type EditError struct {
	Pos syntax.Pos // zero: no place in particular
	Msg string
}

func (e *EditError) Error() string {
	if e.Pos.Line == 0 {
		return e.Msg
	}
	return e.Pos.String() + ": " + e.Msg
}

// Set gives a keyword of a block a value and returns the new text; comments and
// everything else stay. The path names the block: "vrrp_instance VI_1",
// "vrrp_instance VI_1 authentication", "global_defs". The value is written as in
// the document, quotes included; it is empty for words that take none. With a
// node only that node's value changes, by an @NODE line; without one all nodes
// get the value. A block without a name that is missing is added. The result has
// been read again, but is not compiled: values are not checked here.
func Set(doc *syntax.Document, path, keyword, value, node string) (string, error) {
	e := editor{doc: doc, path: path, keyword: keyword, value: strings.TrimSpace(value), node: node}
	e.statement = strings.TrimSpace(keyword + " " + e.value)
	if err := e.validate(); err != nil {
		return "", err
	}
	views := unique(append(doc.Nodes(), ""))
	if node != "" {
		views = unique(append(views, node))
	}
	if len(views) > maxViews {
		return "", &EditError{Msg: fmt.Sprintf("the conditions name more than %d nodes; edit the document instead", maxViews)}
	}
	e.ensureBlock()
	if err := e.find(views); err != nil {
		return "", err
	}
	var text string
	if node == "" {
		text = e.setAll()
	} else {
		text = e.setNode()
	}
	return text, e.verify(text, views)
}

// maxViews is for how many nodes a document is read when nobody says which ones
// there are.
const maxViews = 100

// editor is one Set.
type editor struct {
	doc                                   *syntax.Document
	path, keyword, value, node, statement string

	block *syntax.Node
	lines []int // of the keyword in the block, from 1, ascending
}

// validate looks at keyword and value alone.
func (e *editor) validate() error {
	if e.keyword == "" || len(strings.Fields(e.keyword)) != 1 {
		return &EditError{Msg: fmt.Sprintf("%q is not one keyword", e.keyword)}
	}
	nodes, errs := syntax.Parse("", e.statement).Expand(syntax.Options{})
	line := syntax.Parse("", e.statement).Lines[0]
	single := line.Comment == len(line.Text) && line.Cond.IsZero() && len(errs) == 0 && len(nodes) == 1 && !nodes[0].Block && nodes[0].Word.Text == e.keyword &&
		!strings.ContainsAny(e.statement, "\n\r")
	if !single {
		return &EditError{Msg: fmt.Sprintf("%q is not one statement; put values with blanks, braces, # or ! into quotes", e.statement)}
	}
	f := strings.Fields(e.path)
	if len(f) == 0 {
		return &EditError{Msg: "no block is named; use `vrrp_instance NAME`, `global_defs` and the like"}
	}
	for _, k := range table().rows {
		if opens, _ := k.opens(); k.Word == e.keyword && opens != "" && (k.Block == f[0] || len(f) > 1 && k.Block == f[len(f)-1]) {
			return &EditError{Msg: e.keyword + " is a block; edit the document instead"}
		}
	}
	return nil
}

// ensureBlock adds an empty block where the path ends in one that has no name,
// such as cluster or split_brain, and the document does not have it yet.
func (e *editor) ensureBlock() {
	f := strings.Fields(e.path)
	word := f[len(f)-1]
	switch word {
	case "global_defs", "cluster", "split_brain", "authentication":
	default:
		return
	}
	nodes, errs := e.doc.Expand(syntax.Options{Node: e.node})
	if len(errs) > 0 || findBlock(nodes, e.path) != nil {
		return // find says what is wrong
	}
	for _, n := range e.doc.Nodes() {
		if other, _ := e.doc.Expand(syntax.Options{Node: n}); findBlock(other, e.path) != nil {
			return // some node has it: then its place is not ours to choose
		}
	}
	if len(f) == 1 {
		e.doc = syntax.Parse(e.doc.File, e.doc.Text()+"\n"+word+" {\n}\n")
		return
	}
	parent := findBlock(nodes, strings.TrimSuffix(e.path, " "+word))
	if parent == nil || parent.Word.Derived || parent.End.Line <= parent.Word.Pos.Line {
		return
	}
	indent := e.doc.Lines[parent.End.Line-1].Text
	indent = indent[:skipIndent(indent)] + "    "
	text := e.build(nil, map[int][]string{parent.End.Line - 1: {indent + word + " {", indent + "}"}})
	e.doc = syntax.Parse(e.doc.File, text)
}

// find looks for the block and for the lines of the keyword in it, whatever
// node they are for.
func (e *editor) find(views []string) error {
	seen := map[int]bool{}
	for _, v := range views {
		nodes, errs := e.doc.Expand(syntax.Options{Node: v})
		if len(errs) > 0 {
			return &EditError{Pos: errs[0].Pos, Msg: "the document has mistakes; correct them first: " + errs[0].Msg}
		}
		block := findBlock(nodes, e.path)
		if block == nil {
			if v == e.node && v != "" {
				return &EditError{Msg: fmt.Sprintf("%s has no block %s", v, e.path)}
			}
			continue
		}
		if e.block == nil || v == e.node {
			e.block = block
		}
		if e.block.Word.Pos != block.Word.Pos {
			return &EditError{Pos: block.Word.Pos, Msg: e.path + " stands at different places for different nodes; edit the document instead"}
		}
		count := 0
		for _, s := range block.Children {
			if s.Word.Text != e.keyword {
				continue
			}
			if count++; count > 1 && repeats(e.keyword) {
				return &EditError{Pos: s.Word.Pos, Msg: e.keyword + " stands on several lines, and each counts; edit the document instead"}
			}
			l := s.Word.Pos.Line
			if !e.alone(s) {
				return &EditError{Pos: s.Word.Pos, Msg: "this line holds more than the statement, or comes from a definition; edit the document instead"}
			}
			if !seen[l] {
				seen[l] = true
				e.lines = append(e.lines, l)
			}
		}
	}
	switch {
	case e.block == nil:
		return &EditError{Msg: "no block " + e.path + " in the document"}
	case e.block.Word.Derived || e.block.End.Line <= e.block.Word.Pos.Line:
		return &EditError{Pos: e.block.Word.Pos, Msg: e.path + " stands on one line or comes from a definition; edit the document instead"}
	case e.doc.Lines[e.block.End.Line-1].Code != e.block.End.Col-1:
		return &EditError{Pos: e.block.End, Msg: "the } of " + e.path + " does not stand at the start of its line; edit the document instead"}
	}
	slices.Sort(e.lines)
	return nil
}

// findBlock finds a block by its path.
func findBlock(nodes []*syntax.Node, path string) *syntax.Node {
	for _, n := range nodes {
		if !n.Block {
			continue
		}
		if n.Path() == path {
			return n
		}
		if rest, ok := strings.CutPrefix(path, n.Path()+" "); ok {
			if b := findBlock(n.Children, rest); b != nil {
				return b
			}
		}
	}
	return nil
}

// alone reports whether a statement has its line for itself.
func (e *editor) alone(s *syntax.Node) bool {
	if s.Block || s.Word.Derived || s.Word.Pos.File != e.doc.File {
		return false
	}
	l := e.doc.Lines[s.Word.Pos.Line-1]
	if l.Code != s.Word.Pos.Col-1 || l.Defines != "" {
		return false
	}
	nodes, errs := syntax.Parse("", l.Body()).Expand(syntax.Options{})
	return len(errs) == 0 && len(nodes) == 1 && !nodes[0].Block
}

// rewrite returns line number n with a new condition and statement; indentation
// and comment stay.
func (e *editor) rewrite(n int, cond, statement string) string {
	l := e.doc.Lines[n-1]
	indent := l.Text[:skipIndent(l.Text)]
	if cond != "" {
		cond += " "
	}
	text := indent + cond + statement
	if l.Comment < len(l.Text) {
		text += "  " + l.Text[l.Comment:]
	}
	return text
}

func skipIndent(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }

// build writes the document with the lines that edits replaces; nil drops one.
// Lines of after follow the line of that number.
func (e *editor) build(edits map[int][]string, after map[int][]string) string {
	var b strings.Builder
	for i, l := range e.doc.Lines {
		lines, edited := edits[i+1]
		if !edited {
			lines = []string{l.Text}
		}
		for _, t := range append(slices.Clone(lines), after[i+1]...) {
			b.WriteString(t + "\n")
		}
	}
	return b.String()
}

// insert returns the document with a new line at the end of the block.
func (e *editor) insert(cond string) string {
	closing := e.doc.Lines[e.block.End.Line-1]
	indent := closing.Text[:skipIndent(closing.Text)] + "    "
	if n := len(e.block.Children); n > 0 {
		last := e.doc.Lines[e.block.Children[n-1].Word.Pos.Line-1]
		if last.Cond.IsZero() && !e.block.Children[n-1].Word.Derived {
			indent = last.Text[:skipIndent(last.Text)]
		}
	}
	if cond != "" {
		cond += " "
	}
	return e.build(nil, map[int][]string{e.block.End.Line - 1: {indent + cond + e.statement}})
}

// setAll leaves one line for all nodes.
func (e *editor) setAll() string {
	if len(e.lines) == 0 {
		return e.insert("")
	}
	edits := map[int][]string{e.lines[0]: {e.rewrite(e.lines[0], "", e.statement)}}
	for _, l := range e.lines[1:] {
		edits[l] = nil
	}
	return e.build(edits, nil)
}

// setNode gives the node its own line and takes it out of the others.
func (e *editor) setNode() string {
	cond := syntax.Cond{Node: e.node}
	edits := map[int][]string{}
	own := 0
	for _, n := range e.lines {
		l := e.doc.Lines[n-1]
		switch {
		case l.Cond == cond:
			if own != 0 {
				edits[own] = nil
			}
			own = n
			edits[n] = []string{e.rewrite(n, cond.String(), e.statement)}
		case l.Cond.IsZero():
			edits[n] = []string{e.rewrite(n, "@^"+e.node, l.Body())}
		}
	}
	if own != 0 {
		return e.build(edits, nil)
	}
	if len(e.lines) == 0 {
		return e.insert(cond.String())
	}
	last := e.lines[len(e.lines)-1]
	text := e.doc.Lines[last-1].Text
	return e.build(edits, map[int][]string{last: {text[:skipIndent(text)] + cond.String() + " " + e.statement}})
}

// verify reads the new text and makes sure that exactly what was asked for has
// changed: the keyword's value, for this node or for all.
func (e *editor) verify(text string, views []string) error {
	fresh := syntax.Parse(e.doc.File, text)
	for _, v := range views {
		before, _ := e.doc.Expand(syntax.Options{Node: v})
		after, errs := fresh.Expand(syntax.Options{Node: v})
		block := findBlock(after, e.path)
		if old := findBlock(before, e.path); len(errs) == 0 && (old == nil) == (block == nil) {
			if block != nil && (e.node == "" || e.node == v) {
				if got := lastOf(block, e.keyword); got != e.want() {
					return &EditError{Msg: fmt.Sprintf("%s: the edit would not take effect on %s; edit the document instead", e.statement, v)}
				}
				remove(old, e.keyword)
				remove(block, e.keyword)
			}
			if syntax.Print(before) == syntax.Print(after) {
				continue
			}
		}
		return &EditError{Msg: fmt.Sprintf("%s: the edit would change more than that on %s; edit the document instead", e.statement, v)}
	}
	return nil
}

// want is how the new statement prints.
func (e *editor) want() string {
	nodes, _ := syntax.Parse("", e.statement).Expand(syntax.Options{})
	return syntax.Print(nodes)
}

// lastOf prints the statement of a block that counts.
func lastOf(block *syntax.Node, keyword string) string {
	for _, s := range slices.Backward(block.Children) {
		if s.Word.Text == keyword {
			return syntax.Print([]*syntax.Node{s})
		}
	}
	return ""
}

// remove takes a keyword's statements out of a block.
func remove(block *syntax.Node, keyword string) {
	block.Children = slices.DeleteFunc(block.Children, func(s *syntax.Node) bool { return s.Word.Text == keyword })
}
