package config

import (
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

// script compiles vrrp_script.
func (c *compiler) script(n *syntax.Node) {
	name, ok := c.name(n)
	if !ok {
		return
	}
	s := Script{Name: name, Interval: time.Second, Rise: 1, Fall: 1}
	account := User{}
	c.once(n)
	for _, st := range n.Children {
		if !c.known("vrrp_script", st) {
			continue
		}
		c.placeIn(n, st)
		switch st.Word.Text {
		case "script":
			c.command(st, &s.Command)
		case "interval":
			c.duration(st, &s.Interval, 0.001, longest)
		case "timeout":
			c.duration(st, &s.Timeout, 0.001, longest)
		case "weight":
			s.Weight, s.Reverse = c.weight(st.Word.Text, st.Word.Pos, st.Args)
		case "rise":
			c.int(st, &s.Rise, 1, 1<<31-1)
		case "fall":
			c.int(st, &s.Fall, 1, 1<<31-1)
		case "user":
			account = c.user(st, st.Args)
		case "init_fail":
			s.InitFail = c.flag(st)
		default:
			unhandled("vrrp_script", st)
		}
	}
	if s.Timeout == 0 {
		s.Timeout = s.Interval
	}
	s.Command.User = c.cfg.Global.ScriptUser
	if account != (User{}) {
		s.Command.User = account
	}
	switch {
	case slices.ContainsFunc(c.cfg.Scripts, func(o Script) bool { return o.Name == name }):
		c.errorf(n.Word.Pos, "vrrp_script %s is defined twice; first at line %d", name, c.cfg.Place(n.Path()).Line)
	case len(s.Command.Argv) == 0:
		c.warnf(n.Word.Pos, "vrrp_script %s has no script on this node, so it does not exist", name)
	default:
		c.cfg.Scripts = append(c.cfg.Scripts, s)
	}
}

// weight reads `-253..253 [reverse|noreverse]`.
func (c *compiler) weight(what string, at syntax.Pos, args []syntax.Token) (weight int, reverse bool) {
	return c.weightOf(what, at, args, 253)
}

// weightOf is weight with other limits.
func (c *compiler) weightOf(what string, at syntax.Pos, args []syntax.Token, limit int) (weight int, reverse bool) {
	if len(args) == 0 {
		c.errorf(at, "%s needs a number, %d to %d", what, -limit, limit)
		return 0, false
	}
	weight, _ = c.number(what, args[0], -limit, limit)
	for _, a := range args[1:] {
		switch a.Text {
		case "reverse":
			reverse = true
		case "noreverse":
			reverse = false
		default:
			c.errorf(a.Pos, "%s takes a number and reverse; %q is neither", what, a.Text)
		}
	}
	return weight, reverse
}

// command reads `SCRIPT [USER [[:]GROUP]]`; the programs of vrrp_script and
// MISC_CHECK have their account in a statement of its own.
func (c *compiler) command(s *syntax.Node, to *Command) {
	if len(s.Args) == 0 {
		c.errorf(s.Word.Pos, "%s needs a command", s.Word.Text)
		return
	}
	cmd := Command{Argv: argv(s.Args[0].Text), User: c.cfg.Global.ScriptUser}
	switch {
	case len(cmd.Argv) == 0:
		c.errorf(s.Args[0].Pos, "%s has an empty command", s.Word.Text)
		return
	case notProgram(cmd.Argv[0]):
		// keepalived disables it: run by a shell it might start to fail now.
		c.warnf(s.Args[0].Pos, "%s starts with %s, which is no program, so it is not run; write \"/bin/sh -c '...'\"", s.Word.Text, cmd.Argv[0])
		return
	case len(s.Args) > 1 && (s.Word.Text == "script" || s.Word.Text == "misc_path"):
		c.warnf(s.Args[1].Pos, "words behind the command are not used; put the whole command into quotes")
	case len(s.Args) > 1:
		cmd.User = c.user(s, s.Args[1:])
	}
	*to = cmd
}

// notProgram reports whether a word is a shell's own and can never be run.
func notProgram(word string) bool {
	switch word {
	case "[[", "!", "exit", "if", "case", "for", "while", "(", "{":
		return true
	}
	return false
}

// argv splits the text of a command into words: blanks separate them, quotes
// hold them together. A line with operators of a shell is given to one, as in
// `pidof x || start x`; operators within a word, as the & of an URL, mean
// themselves.
func argv(text string) []string {
	var words []string
	var b strings.Builder
	quote, inWord, quoted, shell := byte(0), false, false, false
	end := func() {
		if inWord {
			w := b.String()
			shell = shell || !quoted && shellWord(w)
			words = append(words, w)
		}
		b.Reset()
		inWord, quoted = false, false
	}
	for i := range len(text) {
		ch := text[i]
		switch {
		case quote != 0 && ch == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(ch)
		case ch == '"' || ch == '\'':
			quote, inWord, quoted = ch, true, true
		case ch == ' ' || ch == '\t' || ch == '\n':
			end()
		default:
			b.WriteByte(ch)
			inWord = true
		}
	}
	end()
	switch {
	case len(words) == 0 || words[0] == "":
		return nil
	case shell && !notProgram(words[0]):
		return []string{"/bin/sh", "-c", strings.TrimSpace(text)}
	}
	return words
}

// shellWord reports whether a word without quotes is an operator of a shell.
func shellWord(w string) bool {
	switch w {
	case "&&", "||", "|", ";", "&":
		return true
	}
	return w[0] == '<' || w[0] == '>' || strings.HasPrefix(w, "2>") || strings.HasPrefix(w, "&>") || strings.HasSuffix(w, ";")
}
