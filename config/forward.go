package config

import "github.com/hacluster/hacluster/config/syntax"

// forward reads `NAT|DR|TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`.
// Nil: malformed.
func (c *compiler) forward(s *syntax.Node) *Forward {
	if len(s.Args) == 0 {
		c.errorf(s.Word.Pos, "%s needs a method: NAT, DR or TUN", s.Word.Text)
		return nil
	}
	f := &Forward{Method: Method(s.Args[0].Text)}
	switch f.Method {
	case NAT, DR:
		c.atMost(s, 1)
		return f
	case TUN:
		f.Tunnel, f.Checksum = IPIP, NoChecksum
		if !c.tunnel(f, s) {
			return nil
		}
		return f
	default:
		c.errorf(s.Args[0].Pos, "%s %s is not known; use NAT, DR or TUN", s.Word.Text, f.Method)
		return nil
	}
}

// tunnel reads what stands behind TUN.
func (c *compiler) tunnel(f *Forward, s *syntax.Node) bool {
	w, ok := words{c: c, rest: s.Args[1:]}, true
	for t, more := w.next(); more; t, more = w.next() {
		switch t.Text {
		case "type":
			v, is := w.value(t)
			f.Tunnel = Tunnel(v.Text)
			switch {
			case !is:
				ok = false
			case f.Tunnel != IPIP && f.Tunnel != GUE && f.Tunnel != GRE:
				c.errorf(v.Pos, "tunnel type %s is not known; use ipip, gue or gre", v.Text)
				ok = false
			}
		case "port":
			v, is := w.value(t)
			if is {
				var port int
				port, is = c.number("tunnel port", v, 1, 65535)
				f.Port = uint16(port)
			}
			ok = ok && is
		case string(NoChecksum), string(OuterChecksum), string(RemoteChecksum):
			f.Checksum = Checksum(t.Text)
		default:
			c.errorf(t.Pos, "%s is not known in %s TUN; use type ipip, type gue port N or type gre, and nocsum, csum or remcsum", t.Text, s.Word.Text)
			return false
		}
	}
	at := s.Args[0].Pos
	switch {
	case !ok:
		return false
	case f.Tunnel == GUE && f.Port == 0:
		c.errorf(at, "a gue tunnel needs a port; use TUN type gue port N")
		return false
	case f.Tunnel != GUE && f.Port != 0:
		c.warnf(at, "port %d has no effect: only gue tunnels have one", f.Port)
		f.Port = 0
	}
	if f.Tunnel == IPIP && f.Checksum != NoChecksum || f.Tunnel == GRE && f.Checksum == RemoteChecksum {
		c.warnf(at, "%s has no effect: %s tunnels do not have it", f.Checksum, f.Tunnel)
		f.Checksum = NoChecksum
	}
	return true
}
