package config

import (
	"net/netip"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// words walks over the words of a line that each may take values.
type words struct {
	c     *compiler
	block string // "address", "route", "rule" or "peer"
	rest  []syntax.Token
}

// line names the kind of line for a finding.
func (w *words) line() string {
	if w.block == "address" {
		return "an address line"
	}
	return "a " + w.block + " line"
}

// next returns the next word.
func (w *words) next() (syntax.Token, bool) {
	if len(w.rest) == 0 {
		return syntax.Token{}, false
	}
	t := w.rest[0]
	w.rest = w.rest[1:]
	return t, true
}

// value returns what stands behind a word.
func (w *words) value(of syntax.Token) (syntax.Token, bool) {
	t, ok := w.next()
	if !ok {
		w.c.errorf(of.Pos, "%s needs a value", of.Text)
	}
	return t, ok
}

// other deals with a word that the line's compiler does not implement: known
// ones are reported and their value is passed over.
func (w *words) other(t syntax.Token) {
	k, ok := table().lookup(w.block, t.Text)
	if !ok {
		w.rest = nil // what follows may be its values
		if near := table().nearest(w.block, t.Text); near != "" && !strings.Contains(near, "[") {
			w.c.errorf(t.Pos, "%s is not known in %s; did you mean %s?", t.Text, w.line(), near)
		} else {
			w.c.errorf(t.Pos, "%s is not known in %s", t.Text, w.line())
		}
		return
	}
	severity := Warning
	if k.Status == StatusUnsupported {
		severity = Unsupported
	}
	w.c.add(severity, t.Pos, "%s in %s is known to keepalived, not implemented by hacluster: no effect", t.Text, w.line())
	switch t.Text {
	case "nexthop", "encap", "as": // they take words of their own
		w.rest = nil
		return
	}
	if k.Arguments == "flag" {
		return
	}
	if v, ok := w.next(); ok && v.Text == "lock" {
		w.next()
	}
}

// addresses compiles the lines of virtual_ipaddress and its like.
func (c *compiler) addresses(n *syntax.Node) []Address {
	var out []Address
	for _, line := range n.Children {
		if line.Block {
			c.errorf(line.Word.Pos, "an address line takes no block")
			continue
		}
		if a, ok := c.address(line); ok {
			out = append(out, a)
		}
	}
	return out
}

// address compiles `ADDRESS[/BITS] [dev IF] [brd ADDRESS|+|-] ...`.
func (c *compiler) address(line *syntax.Node) (Address, bool) {
	p, ok := c.prefix("address", line.Word)
	if !ok {
		return Address{}, false
	}
	if ip := p.Addr(); ip.IsUnspecified() || ip.IsMulticast() {
		c.errorf(line.Word.Pos, "address %s cannot belong to a machine; use a unicast address", ip)
		return Address{}, false
	}
	a := Address{Prefix: p}
	w := words{c: c, block: "address", rest: line.Args}
	for {
		t, more := w.next()
		if !more {
			return a, ok
		}
		good := true
		switch t.Text {
		case "dev":
			if v, is := w.value(t); is {
				a.Interface, good = c.iface("dev", v)
			}
		case "brd", "broadcast":
			if v, is := w.value(t); is {
				good = c.broadcast(&a, v)
			}
		case "label":
			if v, is := w.value(t); is {
				if len(v.Text) > 15 {
					c.errorf(v.Pos, "label %s is longer than 15 characters", v.Text)
				}
				a.Label = v.Text
			}
		case "scope":
			if v, is := w.value(t); is {
				a.Scope, good = c.scope(v)
			}
		case "peer":
			if v, is := w.value(t); is {
				a.Peer, good = c.prefix("peer", v)
			}
		default:
			w.other(t)
		}
		ok = ok && good
	}
}

// broadcast reads what stands behind brd.
func (c *compiler) broadcast(a *Address, v syntax.Token) bool {
	switch v.Text {
	case "+":
		a.Broadcast = netip.IPv4Unspecified()
	case "-":
		a.Broadcast = netip.Addr{}
	default:
		b, ok := c.addr("brd", v)
		if !ok {
			return false
		}
		a.Broadcast = b
	}
	if a.Prefix.Addr().Is6() {
		c.warnf(v.Pos, "brd has no meaning for the IPv6 address %s", a.Prefix.Addr())
		a.Broadcast = netip.Addr{}
	}
	return true
}

// peers compiles the lines of unicast_peer.
func (c *compiler) peers(n *syntax.Node) (peers []Peer, ttl bool) {
	for _, line := range n.Children {
		a, ok := c.addr("peer", line.Word)
		if !ok {
			continue
		}
		p := Peer{Addr: a}
		w := words{c: c, block: "peer", rest: line.Args}
		for t, more := w.next(); more; t, more = w.next() {
			switch t.Text {
			case "min_ttl":
				if v, is := w.value(t); is {
					p.MinTTL, _ = c.number(t.Text, v, 0, 255)
					ttl = true
				}
			case "max_ttl":
				if v, is := w.value(t); is {
					p.MaxTTL, _ = c.number(t.Text, v, 0, 255)
					ttl = true
				}
			default:
				w.other(t)
			}
		}
		if ttl && p.MaxTTL == 0 {
			p.MaxTTL = 255
		}
		peers = append(peers, p)
	}
	return peers, ttl
}

// rule looks for malformed addresses in a line of static_rules or virtual_rules,
// which are known and not implemented.
func (c *compiler) rule(line *syntax.Node) {
	tokens := line.Tokens()
	for i, t := range tokens {
		if t.Text != "from" && t.Text != "to" || i+1 == len(tokens) {
			continue
		}
		if v := tokens[i+1]; v.Text != "all" && v.Text != "default" && v.Text != "any" {
			c.prefix("rule "+t.Text, v)
		}
	}
}
