package config

import (
	"math"
	"net/netip"

	"github.com/hacluster/hacluster/config/syntax"
)

// realBlock is a real_server block that is being compiled.
type realBlock struct {
	node        *syntax.Node
	address     netip.AddrPort
	weight      *int
	upper       int
	lower       int
	pace        pace
	forward     *Forward
	virtualHost string
	inhibit     *bool
	smtpAlert   *bool
	up, down    Command
	checkers    []*checkerBlock
}

// at is where a word of the block stands.
func (r *realBlock) at(word string) syntax.Pos { return placeOf(r.node, word) }

// realServer compiles real_server.
func (c *compiler) realServer(n *syntax.Node) (*realBlock, bool) {
	r, ok := &realBlock{node: n}, len(n.Args) > 0
	if ok {
		c.atMost(n, 2)
		r.address, ok = c.serverAddress("real_server", n.Args)
	} else {
		c.errorf(n.Word.Pos, "real_server needs ADDRESS PORT")
	}
	c.once(n, checkers()...)
	for _, s := range n.Children {
		if !c.known("real_server", s) {
			continue
		}
		switch s.Word.Text {
		case "weight":
			if v, ok := c.integer(s, 0, math.MaxInt32); ok {
				r.weight = &v
			}
		case "lvs_method":
			r.forward = c.forward(s)
		case "uthreshold":
			c.int(s, &r.upper, 0, math.MaxInt32)
		case "lthreshold":
			c.int(s, &r.lower, 0, math.MaxInt32)
		case "inhibit_on_failure":
			r.inhibit = new(c.boolean(s))
		case "notify_up":
			c.command(s, &r.up)
		case "notify_down":
			c.command(s, &r.down)
		case "smtp_alert":
			r.smtpAlert = new(c.boolean(s))
		case "virtualhost":
			c.text(s, &r.virtualHost)
		default:
			if c.pace(&r.pace, s, 1) {
				continue
			}
			if k, good := c.checker(s); good {
				r.checkers = append(r.checkers, k)
			}
		}
	}
	return r, ok
}

// placeReal notes where the programs and interfaces of a real server stand.
func (c *compiler) placeReal(v *virtualBlock, r *realBlock, address netip.AddrPort) {
	note := func(s *syntax.Node) {
		c.cfg.places[v.node.Path()+"\x00"+inReal(address, s.Word.Text)] = s.Word.Pos
	}
	for _, s := range r.node.Children {
		if s.Word.Text == "notify_up" || s.Word.Text == "notify_down" {
			note(s)
		}
	}
	for _, k := range r.checkers {
		if k.to.Misc != nil || k.to.BindInterface != "" {
			note(k.node)
		}
	}
}

// inReal is the key of a place inside a real_server.
func inReal(address netip.AddrPort, word string) string {
	return "real_server " + serverName(address) + " " + word
}
