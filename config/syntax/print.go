package syntax

import "strings"

// Print writes statements in one form: a statement on each line, four blanks
// for each block, quotes only where a word needs them. Reading the result gives
// the same statements again.
func Print(nodes []*Node) string {
	var b strings.Builder
	printNodes(&b, nodes, 0)
	return b.String()
}

func printNodes(b *strings.Builder, nodes []*Node, depth int) {
	for i, n := range nodes {
		if depth == 0 && i > 0 && n.Block {
			b.WriteByte('\n')
		}
		indent := strings.Repeat("    ", depth)
		b.WriteString(indent)
		b.WriteString(Quote(n.Word.Text))
		for _, a := range n.Args {
			b.WriteByte(' ')
			b.WriteString(Quote(a.Text))
		}
		if n.Block {
			b.WriteString(" {\n")
			printNodes(b, n.Children, depth+1)
			b.WriteString(indent + "}")
		}
		b.WriteByte('\n')
	}
}

// Quote returns a word as it must be written to be read as s again: in double
// quotes when it is empty or a byte of it would mean something else.
func Quote(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\r\n\f\v\"'\\#!{}$@~\a\b\x1b\x01\x02") {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case markHash, markBang:
			b.WriteString(`\00`)
			b.WriteByte('0' + c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
