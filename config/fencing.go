package config

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

func defaultFencing() Fencing {
	f := Fencing{After: 10 * time.Second, Timeout: 30 * time.Second}
	f.Delay = f.Timeout + fenceMargin
	return f
}

// fenceMargin is what fence_delay must leave after the first node's agent has had
// its time: to start it, and for its success to be heard (R11).
const fenceMargin = 5 * time.Second

// fencing compiles the fence_* words of split_brain. It reports whether the word
// is one of them.
func (c *compiler) fencing(f *Fencing, s *syntax.Node) bool {
	switch s.Word.Text {
	case "fence_after":
		c.duration(s, &f.After, 1, 600)
	case "fence_first":
		if t, ok := c.arg(s); ok {
			f.First = t.Text
		}
	case "fence_delay":
		c.duration(s, &f.Delay, 6, 900)
	case "fence_timeout":
		c.duration(s, &f.Timeout, 1, 300)
	case "fence_agent":
		if a, ok := c.fenceAgent(s); ok {
			for _, other := range f.Agents {
				if other.Node == a.Node {
					c.errorf(s.Args[0].Pos, "fence_agent for %s is given twice; a node has one", a.Node)
					return true
				}
			}
			f.Agents = append(f.Agents, a)
		}
	default:
		return false
	}
	return true
}

// fenceAgent compiles `fence_agent NODE NAME { option value ... }`. No message
// shows a value: it may be a secret.
func (c *compiler) fenceAgent(n *syntax.Node) (FenceAgent, bool) {
	if len(n.Args) != 2 || n.Args[0].Text == "" {
		c.errorf(n.Word.Pos, "fence_agent takes a node and a program: fence_agent NODE fence_ipmilan { ... }")
		return FenceAgent{}, false
	}
	a := FenceAgent{Node: n.Args[0].Text, Program: n.Args[1].Text, Action: FenceReboot}
	ok := true
	if a.Program == "" || strings.Contains(a.Program, "/") && !filepath.IsAbs(a.Program) {
		c.errorf(n.Args[1].Pos, "fence_agent %q is not a program; use its name, such as fence_ipmilan, or its whole path", a.Program)
		ok = false
	}
	first := map[string]syntax.Pos{}
	for _, s := range n.Children {
		name := s.Word.Text
		switch p, again := first[name]; {
		case s.Block:
			c.errorf(s.Word.Pos, "%s in fence_agent takes no block; write OPTION VALUE", name)
		case !optionName(name):
			c.errorf(s.Word.Pos, "%q is not an option of a fence agent; use letters, digits, _ and -", name)
		case again:
			c.errorf(s.Word.Pos, "%s is given twice in fence_agent, first at line %d", name, p.Line)
		case len(s.Args) != 1:
			c.errorf(s.Word.Pos, "%s in fence_agent takes one value; put one with blanks into quotes", name)
		case strings.ContainsAny(s.Args[0].Text, "\n\r\x00"):
			c.errorf(s.Word.Pos, "the value of %s in fence_agent has a line break; an agent reads one line for each option", name)
		case name == "action":
			ok = c.fenceAction(s, &a) && ok
			continue
		default:
			a.Options = append(a.Options, FenceOption{Name: name, Value: s.Args[0].Text})
			first[name] = s.Word.Pos
			continue
		}
		ok = false
	}
	return a, ok
}

func (c *compiler) fenceAction(s *syntax.Node, a *FenceAgent) bool {
	switch act := FenceAction(s.Args[0].Text); act {
	case FenceReboot, FenceOff:
		a.Action = act
		return true
	}
	c.errorf(s.Args[0].Pos, "action %s is none that fences; use reboot or off", s.Args[0].Text)
	return false
}

func optionName(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		default:
			return false
		}
	}
	return s != ""
}

// settleFencing fills in the delay and reports what does not go together.
func (c *compiler) settleFencing(sb *SplitBrain, n *syntax.Node) {
	f := &sb.Fencing
	least := f.Timeout + fenceMargin
	i := slices.IndexFunc(n.Children, func(s *syntax.Node) bool { return s.Word.Text == "fence_delay" })
	switch {
	case i < 0:
		f.Delay = least
	case f.Delay < least:
		at := n.Children[i].Word.Pos
		c.errorf(at, "fence_delay %g is too short: the first node's agent may take fence_timeout, %g, and the other must see that it is done; use %g or more",
			f.Delay.Seconds(), f.Timeout.Seconds(), least.Seconds())
	}
	if len(f.Agents) > 0 && sb.Policy == PolicyOff {
		c.warnf(n.Word.Pos, "fence_agent has no effect with policy off: nobody decides then")
	}
	if len(f.Agents) == 0 {
		for _, s := range n.Children {
			switch s.Word.Text {
			case "fence_after", "fence_first", "fence_delay", "fence_timeout":
				c.warnf(s.Word.Pos, "%s has no effect without fence_agent", s.Word.Text)
			}
		}
	}
}
