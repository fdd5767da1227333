package config

import (
	"reflect"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// Equal reports whether two configurations say the same, wherever and for
// whichever node it is written.
func Equal(a, b *Config) bool {
	x, y := *a, *b
	x.Node, y.Node = "", ""
	x.places, y.places = nil, nil
	return reflect.DeepEqual(x, y)
}

// Render gives the plain document of one node, which keepalived reads: the
// conditions are resolved and hacluster's own blocks are gone. Comments stay as
// long as the lines can; where a line cannot be taken out by itself (a block of
// ours in a definition or beside other statements) the result is written anew
// and has none.
func Render(doc *syntax.Document, node string) (string, error) {
	nodes, errs := doc.Expand(syntax.Options{Node: node})
	if len(errs) > 0 {
		var fs Findings
		for _, e := range errs {
			fs = append(fs, Finding{Severity: Error, Pos: e.Pos, Msg: e.Msg, Node: node})
		}
		return "", fs.Err()
	}
	want := syntax.Print(withoutOwn(nodes))
	if text, ok := renderLines(doc, nodes, node); ok {
		again, errs := syntax.Parse(doc.File, text).Expand(syntax.Options{Node: node})
		if len(errs) == 0 && syntax.Print(again) == want {
			return text, nil
		}
	}
	return want, nil
}

// own reports whether a block is hacluster's.
func own(n *syntax.Node, top bool) bool {
	return top && n.Word.Text == "cluster" || !top && n.Word.Text == "split_brain"
}

// withoutOwn returns the tree without hacluster's blocks.
func withoutOwn(nodes []*syntax.Node) []*syntax.Node {
	var out []*syntax.Node
	for _, n := range nodes {
		if own(n, true) {
			continue
		}
		c := *n
		c.Children = nil
		for _, child := range n.Children {
			if !own(child, false) {
				c.Children = append(c.Children, child)
			}
		}
		out = append(out, &c)
	}
	return out
}

// renderLines takes lines out and conditions off. It says false where that is
// not enough.
func renderLines(doc *syntax.Document, nodes []*syntax.Node, node string) (string, bool) {
	drop := make([]bool, len(doc.Lines)+1)
	mark := func(n *syntax.Node) bool {
		if n.Word.Derived || n.End.Line < n.Word.Pos.Line || n.End.Line > len(doc.Lines) {
			return false
		}
		first, last := doc.Lines[n.Word.Pos.Line-1], doc.Lines[n.End.Line-1]
		if n.Word.Pos.Col-1 != first.Code || strings.TrimSpace(last.Text[n.End.Col:last.Comment]) != "" {
			return false
		}
		for l := n.Word.Pos.Line; l <= n.End.Line; l++ {
			drop[l] = true
		}
		return true
	}
	for _, n := range nodes {
		if own(n, true) && !mark(n) {
			return "", false
		}
		for _, child := range n.Children {
			if own(child, false) && !mark(child) {
				return "", false
			}
		}
	}
	var b strings.Builder
	kept := true // the definition that a line continues
	for i, l := range doc.Lines {
		if l.Continues {
			if !l.Cond.IsZero() {
				return "", false
			}
			if kept {
				b.WriteString(l.Text + "\n")
			}
			continue
		}
		kept = l.Cond.Holds(node)
		if !kept || drop[i+1] {
			continue
		}
		text := l.Text
		if !l.Cond.IsZero() {
			text = l.Text[:strings.IndexByte(l.Text, '@')] + l.Text[l.Code:]
		}
		b.WriteString(text + "\n")
	}
	return b.String(), true
}
