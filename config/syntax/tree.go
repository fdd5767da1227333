package syntax

import "fmt"

// builder makes the tree from lines of lexemes.
type builder struct {
	root    Node
	stack   []*Node // open blocks, the innermost last
	last    *Node   // the statement that a brace on the next line belongs to
	nesting int
	skipped int // blocks opened beyond the nesting limit
}

// add takes one line. The statement that is open at its end is complete, unless
// the next line starts with a brace.
func (b *builder) add(line []lexeme) []*Error {
	var errs []*Error
	var cur *Node
	for _, l := range line {
		switch l.kind {
		case word:
			if b.skipped > 0 {
				continue
			}
			if cur == nil {
				cur = &Node{Word: l.tok}
				b.put(cur)
			} else {
				cur.Args = append(cur.Args, l.tok)
			}
			b.last = cur
		case open:
			errs = append(errs, b.open(l.tok)...)
			cur = nil
		case shut:
			errs = append(errs, b.shut(l.tok)...)
			cur = nil
		}
	}
	return errs
}

// put adds a statement to the innermost open block.
func (b *builder) put(n *Node) {
	in := &b.root
	if len(b.stack) > 0 {
		in = b.stack[len(b.stack)-1]
	}
	in.Children = append(in.Children, n)
}

func (b *builder) open(tok Token) []*Error {
	n := b.last
	b.last = nil
	switch {
	case b.skipped > 0:
		b.skipped++
		return nil
	case len(b.stack) >= b.nesting:
		b.skipped++
		return []*Error{{Pos: tok.Pos, Msg: fmt.Sprintf("more than %d blocks within each other", b.nesting)}}
	case n == nil:
		n = &Node{Word: Token{Pos: tok.Pos, Derived: tok.Derived}, Block: true}
		b.stack = append(b.stack, n) // not put: a block without a name has no meaning
		return []*Error{{Pos: tok.Pos, Msg: "{ without a word before it"}}
	}
	n.Block = true
	b.stack = append(b.stack, n)
	return nil
}

func (b *builder) shut(tok Token) []*Error {
	b.last = nil
	switch {
	case b.skipped > 0:
		b.skipped--
		return nil
	case len(b.stack) == 0:
		return []*Error{{Pos: tok.Pos, Msg: "} closes nothing; remove it, or a { is missing above"}}
	}
	b.stack[len(b.stack)-1].End = tok.Pos
	b.stack = b.stack[:len(b.stack)-1]
	return nil
}

// finish reports the blocks that are still open.
func (b *builder) finish() []*Error {
	var errs []*Error
	for _, n := range b.stack {
		errs = append(errs, &Error{Pos: n.Word.Pos, Msg: fmt.Sprintf("block %s is not closed; add a }", n.Path())})
	}
	return errs
}
