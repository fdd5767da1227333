package desired

import (
	"fmt"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/lvs/check"
)

func (t translator) checker(c config.Checker) (check.Checker, error) {
	target := check.Target{Addr: c.Connect, Bind: c.Bind, Interface: c.BindInterface, Mark: c.Fwmark, Timeout: c.ConnectTimeout}
	switch c.Kind {
	case config.TCPCheck:
		return check.TCP{Target: target}, nil
	case config.HTTPGet, config.SSLGet:
		return httpCheck(c, target)
	case config.SMTPCheck:
		return check.SMTP{Target: target, Helo: c.Helo}, nil
	case config.DNSCheck:
		return check.DNS{Target: target, Type: c.DNS.Type, Name: c.DNS.Name}, nil
	case config.MiscCheck:
		command, err := t.program(*c.Misc)
		return check.Misc{Command: command, Dynamic: c.Misc.Dynamic}, err
	case config.UDPCheck:
		return check.UDP{
			Target: target, Payload: c.UDP.Payload, RequireReply: c.UDP.RequireReply,
			Reply: c.UDP.Reply, ReplyMask: c.UDP.ReplyMask, MinReply: c.UDP.MinReply, MaxReply: c.UDP.MaxReply,
		}, nil
	case config.PingCheck:
		return check.Ping{Target: target}, nil
	case config.FileCheck:
		return check.File{Path: c.File.Path, Weight: c.File.Weight, Reverse: c.File.Reverse}, nil
	default:
		panic("desired: checker " + string(c.Kind))
	}
}

// checkSettings are how often is asked. FILE_CHECK has no words for that.
func checkSettings(c config.Checker) check.Settings {
	if c.Kind == config.FileCheck {
		s := check.Defaults(check.FileCheck, 0)
		s.Alpha = c.Alpha
		return s
	}
	return check.Settings{
		DelayLoop: c.DelayLoop, Warmup: c.Warmup, DelayBeforeRetry: c.DelayBeforeRetry, Retry: c.Retry,
		Alpha: c.Alpha, LogAllFailures: c.LogAllFailures,
	}
}

func (t translator) program(m config.MiscProgram) (run.Command, error) {
	command, err := t.script(m.Command)
	command.Timeout = m.Timeout
	return command, err
}

func httpCheck(c config.Checker, target check.Target) (check.HTTP, error) {
	h := check.HTTP{Target: target, VirtualHost: c.HTTP.VirtualHost, Protocol: map[string]check.Protocol{
		"1.0": check.HTTP10, "1.0C": check.HTTP10Close, "1.1": check.HTTP11, "2": check.HTTP2,
	}[c.HTTP.Protocol]}
	if c.Kind == config.SSLGet {
		h.TLS = &check.TLS{ServerName: c.HTTP.ServerName, Compliant: c.HTTP.TLSCompliant}
	}
	for _, u := range c.HTTP.URLs {
		out := check.URL{
			Path: u.Path, VirtualHost: u.VirtualHost, Digest: u.Digest, NoMatch: u.RegexNoMatch,
			MinOffset: u.RegexMinOffset, MaxOffset: u.RegexMaxOffset, TLSCompliant: u.TLSCompliant,
		}
		for _, r := range u.Status {
			out.Status = append(out.Status, check.StatusRange(r))
		}
		if u.Regex != "" {
			var err error
			if out.Pattern, err = check.CompilePattern(u.Regex, u.RegexOptions); err != nil {
				return h, fmt.Errorf("url %s: %w", u.Path, err)
			}
		}
		h.URLs = append(h.URLs, out)
	}
	return h, nil
}
