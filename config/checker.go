package config

import (
	"math"
	"net/netip"

	"github.com/hacluster/hacluster/config/syntax"
)

// checkerBlock is a checker that is being compiled.
type checkerBlock struct {
	node           *syntax.Node
	to             Checker
	pace           pace
	logAllFailures *bool
	connect, bind  endpoint
	hosts          []endpoint // connect of each host block of SMTP_CHECK
	virtualHost    string
	sniName        string
	enableSNI      bool
	timeout        int  // misc_timeout
	user           User // of MISC_CHECK
	ownWeight      bool // FILE_CHECK has a weight
}

// endpoint is an address and a port of which either may be missing.
type endpoint struct {
	ip   netip.Addr
	port int
}

// checkers are the words of real_server that may stand several times.
func checkers() []string {
	return []string{
		string(TCPCheck), string(HTTPGet), string(SSLGet), string(SMTPCheck), string(DNSCheck), string(MiscCheck),
		string(UDPCheck), string(PingCheck), string(FileCheck), "BFD_CHECK",
	}
}

// checker compiles one checker of a real server.
func (c *compiler) checker(n *syntax.Node) (*checkerBlock, bool) {
	k := &checkerBlock{node: n, to: Checker{Kind: CheckerKind(n.Word.Text)}}
	own := func(*checkerBlock, *syntax.Node) bool { return false }
	check := func(*checkerBlock) bool { return true }
	switch k.to.Kind {
	case TCPCheck, PingCheck:
	case HTTPGet, SSLGet:
		k.to.HTTP, own, check = &HTTPCheck{Protocol: "1.0"}, c.httpWords, c.hasURLs
	case SMTPCheck:
		own = c.smtpWords
	case DNSCheck:
		k.to.DNS, own = &DNSQuery{Type: "SOA", Name: "."}, c.dnsWords
	case MiscCheck:
		k.to.Misc, own, check = &MiscProgram{}, c.miscWords, c.hasProgram
	case UDPCheck:
		k.to.UDP, own, check = &UDPExchange{MaxReply: 255}, c.udpWords, c.replyFits
	case FileCheck:
		k.to.File, own, check = &FileValue{}, c.fileWords, c.hasFile
	default:
		unhandled("real_server", n)
	}
	c.once(n, "url", "host")
	for _, s := range n.Children {
		if !c.known(n.Word.Text, s) || own(k, s) {
			continue
		}
		if k.to.Kind == MiscCheck && connects(s.Word.Text) {
			c.warnf(s.Word.Pos, "%s has no effect in MISC_CHECK: the program connects", s.Word.Text)
			continue
		}
		if !c.pace(&k.pace, s, 0) && !c.connecting(k, s) {
			unhandled(n.Word.Text, s)
		}
	}
	return k, check(k)
}

// connects reports whether a word says how a checker connects.
func connects(word string) bool {
	switch word {
	case "connect_ip", "connect_port", "bindto", "bind_port", "bind_if", "connect_timeout", "fwmark":
		return true
	}
	return false
}

// connecting compiles the words of every checker that say how it connects, and
// log_all_failures.
func (c *compiler) connecting(k *checkerBlock, s *syntax.Node) bool {
	switch s.Word.Text {
	case "bindto":
		c.endpointIP(s, &k.bind)
	case "bind_port":
		c.int(s, &k.bind.port, 1, 65535)
	case "bind_if":
		if t, ok := c.arg(s); ok {
			k.to.BindInterface, _ = c.iface(s.Word.Text, t)
		}
	case "fwmark":
		if v, ok := c.integer(s, 0, math.MaxUint32); ok {
			k.to.Fwmark = uint32(v)
		}
	case "log_all_failures":
		k.logAllFailures = new(c.boolean(s))
	default:
		return c.connectTo(&k.connect, s)
	}
	return true
}

// connectTo compiles connect_ip and connect_port.
func (c *compiler) connectTo(to *endpoint, s *syntax.Node) bool {
	switch s.Word.Text {
	case "connect_ip":
		c.endpointIP(s, to)
	case "connect_port":
		c.int(s, &to.port, 1, 65535)
	default:
		return false
	}
	return true
}

func (c *compiler) endpointIP(s *syntax.Node, to *endpoint) {
	if t, ok := c.arg(s); ok {
		to.ip, _ = c.addr(s.Word.Text, t)
	}
}

// settleChecker makes Checkers of a block, with what the real server hands down;
// port is the real server's, or 0.
func (c *compiler) settleChecker(k *checkerBlock, r *realBlock, inherited pace, virtualHost string, port uint16) []Checker {
	to := &k.to
	k.pace.over(inherited).settle(to)
	to.LogAllFailures = valueOr(k.logAllFailures, c.defaults.logAllFailures)
	if to.HTTP != nil {
		k.settleHTTP(virtualHost)
	}
	if to.Misc != nil {
		k.settleMisc(c.cfg.Global.ScriptUser)
	}
	if to.Misc != nil || to.File != nil {
		return []Checker{*to}
	}
	to.Bind = netip.AddrPortFrom(k.bind.ip, uint16(k.bind.port))
	targets := k.hosts
	if len(targets) == 0 {
		targets = []endpoint{k.connect}
	}
	var out []Checker
	for _, e := range targets {
		one := *to
		one.Connect = k.target(e, r.address.Addr(), port)
		if one.Connect.Port() == 0 && to.Kind != PingCheck {
			c.errorf(k.node.Word.Pos, "%s needs connect_port: %s has no port", to.Kind, r.node.Path())
		}
		if k.bind.ip.IsValid() && one.Connect.Addr().Is4() != k.bind.ip.Is4() {
			c.errorf(placeOf(k.node, "bindto"), "bindto %s is not of the family of %s, which is checked", k.bind.ip, one.Connect.Addr())
		}
		out = append(out, one)
	}
	return out
}

// target is what a checker connects to: its own words, else the real server's
// address and port, else the port of the protocol.
func (k *checkerBlock) target(e endpoint, address netip.Addr, port uint16) netip.AddrPort {
	if k.connect.ip.IsValid() {
		address = k.connect.ip
	}
	if e.ip.IsValid() {
		address = e.ip
	}
	switch {
	case e.port != 0:
		port = uint16(e.port)
	case k.connect.port != 0:
		port = uint16(k.connect.port)
	case port != 0:
	case k.to.Kind == SMTPCheck:
		port = 25
	case k.to.Kind == DNSCheck:
		port = 53
	}
	return netip.AddrPortFrom(address, port)
}
