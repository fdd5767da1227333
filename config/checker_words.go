package config

import (
	"strings"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

// smtpWords compiles what SMTP_CHECK has of its own.
func (c *compiler) smtpWords(k *checkerBlock, s *syntax.Node) bool {
	switch s.Word.Text {
	case "helo_name":
		if t, ok := c.arg(s); ok {
			k.to.Helo = t.Text
			if strings.ContainsAny(t.Text, " \t\r\n") {
				c.errorf(t.Pos, "helo_name %q has blanks; use a host name", t.Text)
			}
		}
	case "host":
		var to endpoint
		c.once(s)
		for _, line := range s.Children {
			// The other words of a host are the checker's.
			if c.known("host", line) && !c.connectTo(&to, line) && !c.pace(&k.pace, line, 0) && !c.connecting(k, line) {
				unhandled("host", line)
			}
		}
		k.hosts = append(k.hosts, to)
	default:
		return false
	}
	return true
}

// dnsWords compiles what DNS_CHECK has of its own.
func (c *compiler) dnsWords(k *checkerBlock, s *syntax.Node) bool {
	to := k.to.DNS
	switch s.Word.Text {
	case "type":
		if t, ok := c.arg(s); ok {
			to.Type = strings.ToUpper(t.Text)
			switch to.Type {
			case "A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA":
			default:
				c.errorf(t.Pos, "type %s is not known; use A, NS, CNAME, SOA, MX, TXT or AAAA", t.Text)
			}
		}
	case "name":
		if t, ok := c.arg(s); ok {
			to.Name = t.Text
			if !domainName(t.Text) {
				c.errorf(t.Pos, "name %q is not a domain name; use up to 253 characters with labels of 1 to 63, or . for the root", t.Text)
			}
		}
	default:
		return false
	}
	return true
}

// domainName holds the lengths of RFC 1035 section 2.3.4.
func domainName(name string) bool {
	if name == "." {
		return true
	}
	name = strings.TrimSuffix(name, ".")
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return len(name) <= 253
}

// miscWords compiles what MISC_CHECK has of its own.
func (c *compiler) miscWords(k *checkerBlock, s *syntax.Node) bool {
	to := k.to.Misc
	switch s.Word.Text {
	case "misc_path":
		c.command(s, &to.Command)
	case "misc_timeout":
		c.int(s, &k.timeout, 0, longest)
	case "misc_dynamic":
		to.Dynamic = c.flag(s)
	case "user":
		k.user = c.user(s, s.Args)
	default:
		return false
	}
	return true
}

// hasProgram refuses a check that checks nothing.
func (c *compiler) hasProgram(k *checkerBlock) bool {
	if placeOf(k.node, "misc_path") == k.node.Word.Pos {
		c.errorf(k.node.Word.Pos, "MISC_CHECK has no misc_path; add the program that checks")
	}
	// One that keepalived would not run is left out, as there.
	return len(k.to.Misc.Command.Argv) > 0
}

// settleMisc fills in who runs the program and how long it may take.
func (k *checkerBlock) settleMisc(account User) {
	to := k.to.Misc
	to.Command.User = account
	if k.user != (User{}) {
		to.Command.User = k.user
	}
	to.Timeout = time.Duration(k.timeout) * time.Second
	if k.timeout == 0 {
		to.Timeout = k.to.DelayLoop
	}
}
