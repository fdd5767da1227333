package config

import (
	"math"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// maxRange is how many addresses one line of a virtual_server_group may have:
// each becomes a service of the kernel.
const maxRange = 1 << 16

// serverGroup compiles virtual_server_group.
func (c *compiler) serverGroup(n *syntax.Node) {
	name, ok := c.name(n)
	if !ok {
		return
	}
	if c.serverGroups[name] != nil {
		c.errorf(n.Word.Pos, "virtual_server_group %s is defined twice; first at line %d", name, c.cfg.Place(n.Path()).Line)
		return
	}
	g := ServerGroup{Name: name}
	for _, line := range n.Children {
		if line.Block {
			c.errorf(line.Word.Pos, "a line of virtual_server_group takes no block")
			continue
		}
		e, good := c.serverGroupEntry(line)
		switch {
		case !good:
			ok = false
		case slices.Contains(g.Entries, e):
			c.warnf(line.Word.Pos, "%s is listed twice in virtual_server_group %s", line.Path(), name)
		default:
			g.Entries = append(g.Entries, e)
		}
	}
	c.serverGroups[name] = &g
	switch {
	case len(g.Entries) > 0:
		c.cfg.ServerGroups = append(c.cfg.ServerGroups, g)
	case ok:
		c.warnf(n.Word.Pos, "virtual_server_group %s is empty on this node, so it does not exist", name)
	}
}

// serverGroupEntry compiles `ADDRESS|RANGE [PORT]` and `fwmark N [inet|inet6]`.
func (c *compiler) serverGroupEntry(line *syntax.Node) (e ServerGroupEntry, ok bool) {
	if line.Word.Text == "fwmark" {
		return c.markEntry(line)
	}
	e.First, e.Last, ok = c.addressRange(line.Word)
	if len(line.Args) > 0 {
		port, good := c.number("port", line.Args[0], 0, 65535)
		e.Port, ok = uint16(port), ok && good
	}
	c.atMost(line, 1)
	return e, ok
}

// markEntry compiles `fwmark N [inet|inet6]`.
func (c *compiler) markEntry(line *syntax.Node) (e ServerGroupEntry, ok bool) {
	if len(line.Args) == 0 {
		c.errorf(line.Word.Pos, "fwmark needs a number, 1 to %d", uint32(math.MaxUint32))
		return e, false
	}
	mark, ok := c.number("fwmark", line.Args[0], 1, math.MaxUint32)
	e.Fwmark = uint32(mark)
	if len(line.Args) > 1 {
		t := line.Args[1]
		if t.Text != "inet" && t.Text != "inet6" {
			c.errorf(t.Pos, "fwmark family %s is not known; use inet or inet6", t.Text)
			ok = false
		}
		e.Family = t.Text
	}
	c.atMost(line, 2)
	return e, ok
}

// atMost reports arguments that a statement has too many.
func (c *compiler) atMost(n *syntax.Node, count int) {
	if len(n.Args) > count {
		c.warnf(n.Args[count].Pos, "%q behind %s is ignored", n.Args[count].Text, n.Word.Text)
	}
}

// addressRange reads ADDRESS, ADDRESS-LAST, ADDRESS-ADDRESS and ADDRESS/BITS.
// LAST is the last part of an address: decimal of IPv4, hexadecimal of IPv6.
func (c *compiler) addressRange(t syntax.Token) (first, last netip.Addr, ok bool) {
	start, end, isRange := strings.Cut(t.Text, "-")
	switch {
	case isRange:
		var err error
		if first, err = netip.ParseAddr(start); err == nil {
			last, err = rangeEnd(start, end, first)
		}
		ok = err == nil && first.Is4() == last.Is4()
	case strings.Contains(t.Text, "/"):
		var p netip.Prefix
		if p, ok = parsePrefix(t.Text); ok {
			first, last = p.Addr(), lastAddress(p)
		}
	default:
		a, err := netip.ParseAddr(t.Text)
		first, last, ok = a, a, err == nil
	}
	switch {
	case !ok || !serviceable(first) || !serviceable(last):
		c.errorf(t.Pos, "%s is not an address or range of unicast addresses; use ADDRESS, ADDRESS-ADDRESS, ADDRESS-LAST, as 192.0.2.1-9, or ADDRESS/BITS", t.Text)
		return first, last, false
	case last.Less(first):
		c.errorf(t.Pos, "range %s ends before it starts", t.Text)
		return first, last, false
	case rangeSize(first, last) > maxRange:
		c.errorf(t.Pos, "range %s has more than %d addresses, and each becomes a service; use a fwmark", t.Text, maxRange)
		return first, last, false
	}
	return first, last, true
}

// rangeEnd reads what stands behind the - of a range.
func rangeEnd(start, end string, first netip.Addr) (netip.Addr, error) {
	if a, err := netip.ParseAddr(end); err == nil {
		return a, nil
	}
	if first.Is4() {
		return netip.ParseAddr(start[:strings.LastIndexByte(start, '.')+1] + end)
	}
	part, err := strconv.ParseUint(end, 16, 16)
	bytes := first.As16()
	bytes[14], bytes[15] = byte(part>>8), byte(part)
	return netip.AddrFrom16(bytes), err
}

// lastAddress is the last address of a prefix.
func lastAddress(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for i := p.Bits(); i < p.Addr().BitLen(); i++ {
		bytes[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

// rangeSize counts the addresses of a range, up to more than fit any.
func rangeSize(first, last netip.Addr) int64 {
	n := new(big.Int).Sub(new(big.Int).SetBytes(last.AsSlice()), new(big.Int).SetBytes(first.AsSlice()))
	if !n.IsInt64() || n.Int64() == math.MaxInt64 {
		return math.MaxInt64
	}
	return n.Int64() + 1
}

// serviceable reports whether an address may be a service's or a real server's.
func serviceable(a netip.Addr) bool {
	return a.IsValid() && !a.Is4In6() && a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
