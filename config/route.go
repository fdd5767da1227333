package config

import (
	"net/netip"

	"github.com/hacluster/hacluster/config/syntax"
)

// routes compiles the lines of static_routes and virtual_routes.
func (c *compiler) routes(n *syntax.Node) []Route {
	var out []Route
	for _, line := range n.Children {
		if r, ok := c.route(line); ok {
			out = append(out, r)
		}
	}
	return out
}

// route compiles one line: words in any order, of which one that has no
// keyword, or stands behind `to`, is the destination.
func (c *compiler) route(line *syntax.Node) (Route, bool) {
	before := c.errors
	var r Route
	var dst syntax.Token
	v6 := false
	w := words{c: c, block: "route", rest: line.Tokens()}
	for t, more := w.next(); more; t, more = w.next() {
		switch t.Text {
		case "inet6":
			v6 = true
		case "inet":
		case "blackhole", "unreachable", "prohibit", "throw":
			r.Type = t.Text
		case "to":
			if v, ok := w.value(t); ok {
				dst = v
			}
		case "via", "gw":
			c.routeVia(&w, t, &r)
		case "src":
			if v, ok := w.value(t); ok {
				r.Source, _ = c.addr("src", v)
			}
		case "dev", "oif":
			if v, ok := w.value(t); ok {
				r.Interface, _ = c.iface(t.Text, v)
			}
		case "metric", "priority", "preference":
			if v, ok := w.value(t); ok {
				r.Metric, _ = c.number(t.Text, v, 0, 1<<31-1)
			}
		case "table":
			if v, ok := w.value(t); ok {
				r.Table = c.routeTable(v)
			}
		case "scope":
			if v, ok := w.value(t); ok {
				r.Scope, _ = c.scope(v)
			}
		case "onlink":
			r.OnLink = true
		default:
			if _, known := table().lookup("route", t.Text); known || dst.Text != "" || !destination(t.Text) {
				w.other(t)
				continue
			}
			dst = t
		}
	}
	if dst.Text == "" {
		c.errorf(line.Word.Pos, "the route has no destination; write ADDRESS/BITS or default")
		return r, false
	}
	c.routeDst(&r, dst, v6)
	return r, c.errors == before
}

// destination reports whether a word is meant as a destination rather than a
// mistyped keyword.
func destination(s string) bool {
	if s == "default" || s == "all" {
		return true
	}
	for i := range len(s) {
		if s[i] == '.' || s[i] == ':' || s[i] == '/' {
			return true
		}
	}
	return false
}

func (c *compiler) routeVia(w *words, t syntax.Token, r *Route) {
	v, ok := w.value(t)
	if ok && (v.Text == "inet" || v.Text == "inet6") {
		v, ok = w.value(t)
	}
	if ok {
		r.Via, _ = c.addr(t.Text, v)
	}
}

// routeTable reads the number of a table, or one of the kernel's three names.
// Other names are defined machine by machine, so a document cannot use them.
func (c *compiler) routeTable(v syntax.Token) int {
	switch v.Text {
	case "main":
		return 0
	case "default":
		return 253
	case "local":
		return 255
	}
	n, ok := c.number("table", v, 0, 1<<32-1)
	if ok && n == 254 {
		return 0
	}
	return n
}

// routeDst reads the destination and compares the families of the line.
func (c *compiler) routeDst(r *Route, dst syntax.Token, v6 bool) {
	switch {
	case dst.Text != "default" && dst.Text != "all":
		p, ok := c.prefix("route", dst)
		if !ok {
			return
		}
		r.Dst = p.Masked()
	case v6 || r.Via.Is6() || r.Source.Is6():
		r.Dst = netip.MustParsePrefix("::/0")
	default:
		r.Dst = netip.MustParsePrefix("0.0.0.0/0")
	}
	for _, a := range []netip.Addr{r.Via, r.Source} {
		if a.IsValid() && a.Is4() != r.Dst.Addr().Is4() {
			c.errorf(dst.Pos, "route %s and address %s are not of one family", r.Dst, a)
		}
	}
}
