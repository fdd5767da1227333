package config

import (
	"slices"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// script compiles vrrp_script.
func (c *compiler) script(n *syntax.Node) {
	name, ok := c.name(n)
	if !ok {
		return
	}
	s := Script{Name: name, Interval: 1e9, Rise: 1, Fall: 1}
	c.once(n)
	for _, st := range n.Children {
		if !c.known("vrrp_script", st) {
			continue
		}
		c.placeIn(n, st)
		switch st.Word.Text {
		case "script":
			// Words behind the first one are arguments here, not an account.
			if len(st.Args) == 0 {
				c.errorf(st.Word.Pos, "script needs a command")
				continue
			}
			s.Command.Argv = argv(st.Args[0].Text)
			for _, a := range st.Args[1:] {
				s.Command.Argv = append(s.Command.Argv, a.Text)
			}
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
			s.Command.User = c.user(st, st.Args)
		case "init_fail":
			s.InitFail = c.flag(st)
		default:
			unhandled("vrrp_script", st)
		}
	}
	if s.Timeout == 0 {
		s.Timeout = s.Interval
	}
	if s.Command.User == (User{}) {
		s.Command.User = c.cfg.Global.ScriptUser
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
	if len(args) == 0 {
		c.errorf(at, "%s needs a number, -253 to 253", what)
		return 0, false
	}
	weight, _ = c.number(what, args[0], -253, 253)
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

// command reads `SCRIPT [USER [[:]GROUP]]`.
func (c *compiler) command(s *syntax.Node, to *Command) {
	if len(s.Args) == 0 {
		c.errorf(s.Word.Pos, "%s needs a command", s.Word.Text)
		return
	}
	cmd := Command{Argv: argv(s.Args[0].Text), User: c.cfg.Global.ScriptUser}
	if len(cmd.Argv) == 0 {
		c.errorf(s.Args[0].Pos, "%s has an empty command", s.Word.Text)
		return
	}
	if len(s.Args) > 1 {
		cmd.User = c.user(s, s.Args[1:])
	}
	*to = cmd
}

// argv splits the text of a command into words: blanks separate them, quotes
// hold them together. A line that only a shell understands is given to one:
// people write `[[ -f /etc/down ]] && exit 1`. Signs within a word, as the & of
// an URL, mean themselves.
func argv(text string) []string {
	var words []string
	var b strings.Builder
	quote, inWord, quoted, shell := byte(0), false, false, false
	end := func() {
		if inWord {
			w := b.String()
			shell = shell || !quoted && shellWord(w, len(words) == 0)
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
	case shell:
		return []string{"/bin/sh", "-c", strings.TrimSpace(text)}
	}
	return words
}

// shellWord reports whether a word without quotes means something to a shell
// only: an operator, or at the start of a line a keyword.
func shellWord(w string, first bool) bool {
	switch w {
	case "&&", "||", "|", ";", "&":
		return true
	case "[", "[[", "!", "test", "exit", "if", "(", "{":
		return first
	}
	return w[0] == '<' || w[0] == '>' || strings.HasPrefix(w, "2>") || strings.HasPrefix(w, "&>") || strings.HasSuffix(w, ";")
}
