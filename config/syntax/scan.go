package syntax

import (
	"strconv"
	"strings"
)

// kind is what a lexeme is.
type kind uint8

const (
	word kind = iota
	open
	shut
)

// lexeme is a word or a brace.
type lexeme struct {
	kind kind
	tok  Token
}

// scan splits the text of a statement, from which comment, condition and
// parameters are gone, into words and braces. Braces need no blanks around them;
// those of a parameter that was not replaced belong to their word.
func scan(t text) ([]lexeme, *Error) {
	var out []lexeme
	s := t.s
	first, command := true, false // in the present statement
	for i := 0; ; {
		i = skipBlanks(s, i, len(s))
		if i >= len(s) {
			return out, nil
		}
		at := t.pos(i)
		switch s[i] {
		case '{':
			out = append(out, lexeme{kind: open, tok: Token{Pos: at, Text: "{", Derived: t.derived}})
			first, command = true, false
			i++
		case '}':
			out = append(out, lexeme{kind: shut, tok: Token{Pos: at, Text: "}", Derived: t.derived}})
			first, command = true, false
			i++
		default:
			tok, next, err := scanWord(t, i, command)
			if err != nil {
				return out, err
			}
			tok.Derived = t.derived || t.replaced(i, next)
			out = append(out, lexeme{tok: tok})
			if first {
				first, command = false, isCommand(tok.Text)
			}
			i = next
		}
	}
}

// scanWord reads the word at t.s[i:]. Quotes may open and close anywhere in it.
func scanWord(t text, i int, command bool) (Token, int, *Error) {
	s := t.s
	tok := Token{Pos: t.pos(i)}
	var b strings.Builder
	quote, quoteAt := byte(0), 0
	for i < len(s) {
		c := s[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(s) && command && (quote != 0 || strings.IndexByte(`"'\#!`, s[i+1]) >= 0):
			i += escape(&b, s[i+1:])
		case c == '\\' && i+1 < len(s) && quote == 0 && (s[i+1] == '#' || s[i+1] == '!'):
			b.WriteByte(s[i+1])
			i++
		case quote != 0:
			b.WriteByte(c)
		case c == '"' || command && c == '\'':
			quote, quoteAt = c, i
			tok.Quoted = true
		case c == '$' && unreplaced(s[i:]) > 0:
			n := unreplaced(s[i:])
			b.WriteString(s[i : i+n])
			i += n - 1
		case blank(c) || c == '{' || c == '}':
			tok.Text = b.String()
			return tok, i, nil
		default:
			b.WriteByte(c)
		}
		i++
	}
	if quote != 0 {
		return tok, i, &Error{Pos: t.pos(quoteAt), Msg: "the quote " + string(quote) + " is not closed on this line"}
	}
	tok.Text = b.String()
	return tok, i, nil
}

// unreplaced returns the length of the ${NAME} that s starts with, or 0.
func unreplaced(s string) int {
	if len(s) < 2 || s[1] != '{' {
		return 0
	}
	end := strings.IndexByte(s, '}')
	if end < 0 || strings.ContainsAny(s[:end], "\"'\\") {
		return 0
	}
	return end + 1
}

// escape writes the character that s, the text behind a backslash, stands for
// and returns how many bytes of s it took.
func escape(b *strings.Builder, s string) int {
	const letters, bytes = "abEfnrtv", "\a\b\x1b\f\n\r\t\v"
	c := s[0]
	switch i := strings.IndexByte(letters, c); {
	case i >= 0:
		b.WriteByte(bytes[i])
		return 1
	case '0' <= c && c <= '7':
		n := digits(s, 3, "01234567")
		v, _ := strconv.ParseUint(s[:n], 8, 16)
		b.WriteByte(byte(v))
		return n
	case c == 'x' && digits(s[1:], 2, "0123456789abcdefABCDEF") > 0:
		n := digits(s[1:], 2, "0123456789abcdefABCDEF")
		v, _ := strconv.ParseUint(s[1:1+n], 16, 8)
		b.WriteByte(byte(v))
		return 1 + n
	case c == 'c' && len(s) > 1:
		b.WriteByte(s[1] & 0x1f)
		return 2
	default:
		b.WriteByte(c)
		return 1
	}
}

// digits counts the digits at the start of s, at most limit.
func digits(s string, limit int, set string) int {
	n := 0
	for n < len(s) && n < limit && strings.IndexByte(set, s[n]) >= 0 {
		n++
	}
	return n
}
