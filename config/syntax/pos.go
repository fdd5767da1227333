package syntax

import (
	"cmp"
	"fmt"
)

// Pos is a place in a document. The zero value is no place.
type Pos struct {
	File string
	Line int // from 1
	Col  int // from 1, in bytes
}

// String gives FILE:LINE:COL, or only the file when there is no line.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Compare orders places by file, line and column.
func (p Pos) Compare(q Pos) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Col, q.Col))
}

// Error is a mistake in the language itself, with its place.
type Error struct {
	Pos Pos
	Msg string
}

func (e *Error) Error() string { return e.Pos.String() + ": " + e.Msg }
