package config

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

// virtualBlock is a virtual_server block that is being compiled.
type virtualBlock struct {
	node        *syntax.Node
	to          VirtualServer
	pace        pace
	forward     *Forward // lvs_method
	sorry       *Forward // sorry_server_lvs_method
	family      string   // ip_family: inet, inet6
	dotted      bool     // persistence_granularity is a netmask of IPv4
	weight      int
	virtualHost string
	inhibit     bool
	smtpAlert   *bool
	reals       []*realBlock
}

// at is where a word of the block stands; without such a word the block's place.
func (v *virtualBlock) at(word string) syntax.Pos { return placeOf(v.node, word) }

// has reports whether a word stands in the block.
func (v *virtualBlock) has(word string) bool {
	return slices.ContainsFunc(v.node.Children, func(s *syntax.Node) bool { return s.Word.Text == word })
}

// placeOf is where the last statement of a word stands in a block; without one
// the block's own place.
func placeOf(n *syntax.Node, word string) syntax.Pos {
	for _, s := range slices.Backward(n.Children) {
		if s.Word.Text == word {
			return s.Word.Pos
		}
	}
	return n.Word.Pos
}

// virtualServer compiles virtual_server. The groups are known by then.
func (c *compiler) virtualServer(n *syntax.Node) {
	v := &virtualBlock{node: n, weight: 1, to: VirtualServer{Scheduler: "wlc", Quorum: 1}}
	ok := c.virtualKey(v)
	errors := c.errors
	c.once(n, "real_server")
	for _, s := range n.Children {
		if !c.known("virtual_server", s) {
			continue
		}
		c.placeIn(n, s)
		if !c.scheduling(v, s) && !c.quorumWords(v, s) && !c.forwarding(v, s) && !c.handedDown(v, s) {
			unhandled("virtual_server", s)
		}
	}
	if ok && c.settleVirtual(v) && c.errors == errors {
		c.cfg.VirtualServers = append(c.cfg.VirtualServers, v.to)
	}
}

// virtualKey reads what stands behind the word: `ADDRESS [PORT]`, `fwmark N` or
// `group NAME`.
func (c *compiler) virtualKey(v *virtualBlock) bool {
	n, to := v.node, &v.to
	if len(n.Args) == 0 {
		c.errorf(n.Word.Pos, "virtual_server needs ADDRESS PORT, fwmark N or group NAME")
		return false
	}
	to.Name = strings.TrimPrefix(n.Path(), n.Word.Text+" ")
	c.atMost(n, 2)
	kind := n.Args[0]
	switch {
	case len(n.Args) == 1 && (kind.Text == "fwmark" || kind.Text == "group"):
		c.errorf(kind.Pos, "virtual_server %s needs a value", kind.Text)
		return false
	case kind.Text == "fwmark":
		mark, ok := c.number("fwmark", n.Args[1], 1, math.MaxUint32)
		to.Fwmark = uint32(mark)
		return ok
	case kind.Text == "group":
		to.Group = n.Args[1].Text
		if c.serverGroups[to.Group] == nil {
			c.errorf(n.Args[1].Pos, "no virtual_server_group has the name %s on this node", to.Group)
			return false
		}
		return true
	}
	var ok bool
	to.Address, ok = c.serverAddress("virtual_server", n.Args)
	return ok
}

// serverAddress reads `ADDRESS [PORT]`; without a port, or with 0, it is 0.
func (c *compiler) serverAddress(what string, args []syntax.Token) (netip.AddrPort, bool) {
	a, ok := c.addr(what, args[0])
	if ok && !serviceable(a) {
		c.errorf(args[0].Pos, "%s %s is not one machine's address; use a unicast address", what, a)
		ok = false
	}
	port := 0
	if len(args) > 1 {
		var good bool
		port, good = c.number(what+" port", args[1], 0, 65535)
		ok = ok && good
	}
	return netip.AddrPortFrom(a, uint16(port)), ok
}

// scheduling compiles the words that say who gets a connection. Like its
// siblings it reports whether the word is one of its own.
func (c *compiler) scheduling(v *virtualBlock, s *syntax.Node) bool {
	to := &v.to
	switch s.Word.Text {
	case "lvs_sched", "lb_algo":
		if t, ok := c.arg(s); ok {
			if !slices.Contains(schedulers(), t.Text) {
				c.errorf(t.Pos, "%s %s is not known; use %s", s.Word.Text, t.Text, strings.Join(schedulers(), ", "))
			}
			to.Scheduler = t.Text
		}
	case "ops":
		to.Flags.OnePacket = c.flag(s)
	case "flag-1", "sh-fallback", "mh-fallback":
		to.Flags.Flag1 = c.flag(s)
	case "flag-2", "sh-port", "mh-port":
		to.Flags.Flag2 = c.flag(s)
	case "flag-3":
		to.Flags.Flag3 = c.flag(s)
	case "protocol":
		if t, ok := c.arg(s); ok {
			to.Protocol = Protocol(strings.ToUpper(t.Text))
			if to.Protocol != TCP && to.Protocol != UDP && to.Protocol != SCTP {
				c.errorf(t.Pos, "protocol %s is not known; use TCP, UDP or SCTP", t.Text)
			}
		}
	case "persistence_engine":
		if t, ok := c.arg(s); ok {
			if t.Text != "sip" {
				c.errorf(t.Pos, "persistence_engine %s is not known; use sip", t.Text)
			}
			to.PersistenceEngine = t.Text
		}
	case "persistence_timeout":
		to.PersistenceTimeout = defaultPersistence
		if len(s.Args) > 0 {
			if v, ok := c.integer(s, 1, 31*24*60*60); ok {
				to.PersistenceTimeout = time.Duration(v) * time.Second
			}
		}
	case "persistence_granularity":
		if t, ok := c.arg(s); ok {
			c.granularity(v, t)
		}
	default:
		return false
	}
	return true
}

// defaultPersistence is that of a persistence_timeout without a number.
const defaultPersistence = 6 * time.Minute

// schedulers are the kernel's, in keepalived's order.
func schedulers() []string {
	return []string{"rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos"}
}

// granularity reads a netmask of IPv4 or the length of a prefix of IPv6.
func (c *compiler) granularity(v *virtualBlock, t syntax.Token) {
	if mask, err := netip.ParseAddr(t.Text); err == nil && mask.Is4() {
		bytes := mask.As4()
		bits := 0
		for bits < 32 && bytes[bits/8]&(1<<(7-bits%8)) != 0 {
			bits++
		}
		if bits > 0 && netip.PrefixFrom(mask, bits).Masked().Addr() == mask {
			v.to.PersistenceBits, v.dotted = bits, true
			return
		}
	} else if bits, err := strconv.Atoi(t.Text); err == nil && bits >= 1 && bits <= 128 {
		v.to.PersistenceBits, v.dotted = bits, false
		return
	}
	c.errorf(t.Pos, "persistence_granularity %s is no netmask; use one as 255.255.255.0 for IPv4, 1 to 128 for IPv6", t.Text)
}

// quorumWords compiles the words that say when the service stands.
func (c *compiler) quorumWords(v *virtualBlock, s *syntax.Node) bool {
	to := &v.to
	switch s.Word.Text {
	case "quorum":
		c.int(s, &to.Quorum, 1, math.MaxInt32)
	case "hysteresis":
		c.int(s, &to.Hysteresis, 0, math.MaxInt32)
	case "quorum_up":
		c.command(s, &to.QuorumUp)
	case "quorum_down":
		c.command(s, &to.QuorumDown)
	case "omega":
		to.Omega = c.boolean(s)
	case "ha_suspend":
		to.HASuspend = c.flag(s)
	case "smtp_alert":
		v.smtpAlert = new(c.boolean(s))
	case "sorry_server":
		if len(s.Args) == 0 {
			c.errorf(s.Word.Pos, "sorry_server needs ADDRESS PORT")
			break
		}
		c.atMost(s, 2)
		to.SorryServer, _ = c.serverAddress("sorry_server", s.Args)
	case "sorry_server_inhibit":
		to.SorryServerInhibit = c.flag(s)
	default:
		return false
	}
	return true
}

// forwarding compiles families and methods.
func (c *compiler) forwarding(v *virtualBlock, s *syntax.Node) bool {
	switch s.Word.Text {
	case "lvs_method", "lb_kind":
		v.forward = c.forward(s)
	case "sorry_server_lvs_method":
		v.sorry = c.forward(s)
	case "ip_family":
		if t, ok := c.arg(s); ok {
			if t.Text != "inet" && t.Text != "inet6" {
				c.errorf(t.Pos, "ip_family %s is not known; use inet or inet6", t.Text)
			}
			v.family = t.Text
		}
	default:
		return false
	}
	return true
}

// handedDown compiles the real servers and what they start from.
func (c *compiler) handedDown(v *virtualBlock, s *syntax.Node) bool {
	switch s.Word.Text {
	case "weight":
		c.int(s, &v.weight, 1, math.MaxInt32)
	case "inhibit_on_failure":
		v.inhibit = c.flag(s)
	case "virtualhost":
		c.text(s, &v.virtualHost)
	case "real_server":
		if r, ok := c.realServer(s); ok {
			v.reals = append(v.reals, r)
		}
	default:
		return c.pace(&v.pace, s, 1)
	}
	return true
}
