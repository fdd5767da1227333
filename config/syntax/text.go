package syntax

// text is one line on its way to become a statement: what is left of it, and
// where each byte came from.
type text struct {
	s       string
	line    Pos     // its source line; Col is where s started
	cols    []int32 // column of each byte, negative for those of a parameter; nil while nothing was replaced
	derived bool    // the line is part of a definition that was used, or of a repetition
}

// pos returns where byte i came from.
func (t text) pos(i int) Pos {
	p := t.line
	if t.cols == nil {
		p.Col += i
		return p
	}
	if i >= len(t.cols) {
		i = len(t.cols) - 1
	}
	if i >= 0 {
		p.Col = abs(int(t.cols[i]))
	}
	return p
}

// replaced reports whether a byte of s[i:j] came from a parameter.
func (t text) replaced(i, j int) bool {
	if t.cols == nil {
		return false
	}
	for _, c := range t.cols[i:j] {
		if c < 0 {
			return true
		}
	}
	return false
}

// from returns the text from byte i on.
func (t text) from(i int) text {
	t.s = t.s[i:]
	if t.cols == nil {
		t.line.Col += i
	} else {
		t.cols = t.cols[i:]
	}
	return t
}

// trimmed returns the text without blanks at its ends.
func (t text) trimmed() text {
	t = t.from(skipBlanks(t.s, 0, len(t.s)))
	end := len(t.s)
	for end > 0 && blank(t.s[end-1]) {
		end--
	}
	t.s = t.s[:end]
	if t.cols != nil {
		t.cols = t.cols[:end]
	}
	return t
}

func abs(i int) int {
	if i < 0 {
		return -i
	}
	return i
}
