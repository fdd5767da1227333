package config

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

// arg returns the only argument of a statement.
func (c *compiler) arg(n *syntax.Node) (syntax.Token, bool) {
	if len(n.Args) == 0 {
		c.errorf(n.Word.Pos, "%s needs a value", n.Word.Text)
		return syntax.Token{}, false
	}
	switch {
	case len(n.Args) == 1:
	case n.Word.Text == "auth_pass": // never shown
		c.warnf(n.Args[1].Pos, "auth_pass takes one value; the rest of the line is ignored")
	default:
		c.warnf(n.Args[1].Pos, "%s takes one value; %q is ignored", n.Word.Text, n.Args[1].Text)
	}
	return n.Args[0], true
}

// flag checks that a statement has no argument.
func (c *compiler) flag(n *syntax.Node) bool {
	if len(n.Args) > 0 {
		c.warnf(n.Args[0].Pos, "%s takes no value; %q is ignored", n.Word.Text, n.Args[0].Text)
	}
	return true
}

// boolean reads on, off, true, false, yes, no; nothing means on.
func (c *compiler) boolean(n *syntax.Node) bool {
	if len(n.Args) == 0 {
		return true
	}
	t, _ := c.arg(n)
	switch t.Text {
	case "on", "true", "yes":
		return true
	case "off", "false", "no":
		return false
	}
	c.errorf(t.Pos, "%s %s is not on or off", n.Word.Text, t.Text)
	return false
}

// integer reads the argument of a statement.
func (c *compiler) integer(n *syntax.Node, low, high int) (int, bool) {
	t, ok := c.arg(n)
	if !ok {
		return 0, false
	}
	return c.number(n.Word.Text, t, low, high)
}

// number reads an integer in a range.
func (c *compiler) number(what string, t syntax.Token, low, high int) (int, bool) {
	v, err := strconv.Atoi(t.Text)
	switch {
	case err != nil:
		c.errorf(t.Pos, "%s %s is not a whole number; use %d to %d", what, t.Text, low, high)
		return 0, false
	case v < low || v > high:
		c.errorf(t.Pos, "%s %s is out of range; use %d to %d", what, t.Text, low, high)
		return 0, false
	}
	return v, true
}

// seconds reads a time in seconds with decimals.
func (c *compiler) seconds(n *syntax.Node, low, high float64) (time.Duration, bool) {
	t, ok := c.arg(n)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(t.Text, 64)
	if err != nil || math.IsNaN(v) || strings.ContainsAny(t.Text, "xXpP_") {
		c.errorf(t.Pos, "%s %s is not a number of seconds; use %g to %g", n.Word.Text, t.Text, low, high)
		return 0, false
	}
	if v < low || v > high {
		c.errorf(t.Pos, "%s %s is out of range; use %g to %g seconds", n.Word.Text, t.Text, low, high)
		return 0, false
	}
	return time.Duration(math.Round(v*1e6)) * time.Microsecond, true
}

// addr reads an address without mask.
func (c *compiler) addr(what string, t syntax.Token) (netip.Addr, bool) {
	a, err := netip.ParseAddr(t.Text)
	if err != nil || a.Is4In6() || a.Zone() != "" {
		c.errorf(t.Pos, "%s %s is not an IP address", what, t.Text)
		return netip.Addr{}, false
	}
	return a, true
}

// prefix reads an address with an optional mask; without one it is a host.
func (c *compiler) prefix(what string, t syntax.Token) (netip.Prefix, bool) {
	p, ok := parsePrefix(t.Text)
	if !ok {
		c.errorf(t.Pos, "%s %s is not an IP address, or its mask is wrong; use ADDRESS or ADDRESS/BITS", what, t.Text)
	}
	return p, ok
}

// parsePrefix reads ADDRESS or ADDRESS/BITS.
func parsePrefix(s string) (netip.Prefix, bool) {
	host, bits, masked := strings.Cut(s, "/")
	a, err := netip.ParseAddr(host)
	if err != nil || a.Is4In6() || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	n := a.BitLen()
	if masked {
		if n, err = strconv.Atoi(bits); err != nil || n < 0 || n > a.BitLen() {
			return netip.Prefix{}, false
		}
	}
	return netip.PrefixFrom(a, n), true
}

// iface reads the name of a network interface.
func (c *compiler) iface(what string, t syntax.Token) (string, bool) {
	if t.Text == "" || len(t.Text) > 15 || t.Text == "." || t.Text == ".." || strings.ContainsAny(t.Text, "/ \t\n:") {
		c.errorf(t.Pos, "%s %q is not an interface name; use 1 to 15 characters without / : and blanks", what, t.Text)
		return "", false
	}
	return t.Text, true
}

// scope reads an address or route scope.
func (c *compiler) scope(t syntax.Token) (uint8, bool) {
	switch t.Text {
	case "global", "universe":
		return 0, true
	case "site":
		return 200, true
	case "link":
		return 253, true
	case "host":
		return 254, true
	case "nowhere":
		return 255, true
	}
	v, err := strconv.ParseUint(t.Text, 0, 8)
	if err != nil {
		c.errorf(t.Pos, "scope %s is not known; use global, site, link, host, nowhere or 0 to 255", t.Text)
		return 0, false
	}
	return uint8(v), true
}
