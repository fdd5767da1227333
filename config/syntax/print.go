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
		if includes(n.Word.Text) {
			b.WriteString(`"` + n.Word.Text + `"`) // a statement of that name, as in `include{`
		} else {
			b.WriteString(quotePlain(n.Word.Text))
		}
		for _, a := range n.Args {
			b.WriteByte(' ')
			if isCommand(n.Word.Text) {
				b.WriteString(quoteCommand(a.Text))
			} else {
				b.WriteString(quotePlain(a.Text))
			}
		}
		if n.Block {
			b.WriteString(" {\n")
			printNodes(b, n.Children, depth+1)
			b.WriteString(indent + "}")
		}
		b.WriteByte('\n')
	}
}

// special are the bytes that keep a word from being written without quotes.
const special = " \t\r\n\f\v\"'\\#!{}$@~\a\b\x1b\x01\x02"

// quotePlain writes a word of a statement that is no command. Nothing is escaped
// there, so the word has no double quote in it.
func quotePlain(s string) string {
	if s != "" && !strings.ContainsAny(s, special) {
		return s
	}
	return `"` + s + `"`
}

// quoteCommand writes a word of a command.
func quoteCommand(s string) string {
	if s != "" && !strings.ContainsAny(s, special) {
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
