package syntax

import "strings"

// Token is one word of a statement, with quotes removed.
type Token struct {
	Pos    Pos
	Text   string
	Quoted bool // some part of it stood in quotes
	// Derived is set when the word does not stand at Pos as it is: a parameter
	// or repetition made it, so an edit at Pos would change more than this.
	Derived bool
}

// Node is one statement: a word, its arguments and, with braces, a block.
type Node struct {
	Word     Token
	Args     []Token
	Block    bool // braces were given, even when nothing stands in them
	End      Pos  // of the closing brace
	Children []*Node
}

// Tokens returns the word and the arguments.
func (n *Node) Tokens() []Token {
	return append([]Token{n.Word}, n.Args...)
}

// Path names the statement as an operator would: the word and, for a block, its
// arguments: `vrrp_instance VI_1`.
func (n *Node) Path() string {
	var b strings.Builder
	b.WriteString(n.Word.Text)
	for _, a := range n.Args {
		b.WriteByte(' ')
		b.WriteString(a.Text)
	}
	return b.String()
}
