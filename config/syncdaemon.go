package config

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

// syncDaemon compiles `lvs_sync_daemon IF [[inst] INSTANCE] [id N] [maxlen N]
// [port N] [ttl N] [group ADDRESS]`.
func (c *compiler) syncDaemon(s *syntax.Node) {
	if len(s.Args) == 0 {
		c.errorf(s.Word.Pos, "lvs_sync_daemon needs an interface")
		return
	}
	d := SyncDaemon{ID: -1, Port: 8848, TTL: 1, Group: netip.MustParseAddr("224.0.0.81")}
	name, ok := c.iface(s.Word.Text, s.Args[0])
	d.Interface = name
	w := words{c: c, rest: s.Args[1:]}
	number := func(of syntax.Token, low, high int) int {
		v, is := w.value(of)
		if !is {
			return 0
		}
		n, _ := c.number("lvs_sync_daemon "+of.Text, v, low, high)
		return n
	}
	for t, more := w.next(); more; t, more = w.next() {
		switch t.Text {
		case "inst":
			v, _ := w.value(t)
			d.Instance = v.Text
		case "id":
			d.ID = number(t, 0, 255)
		case "maxlen":
			d.MaxLen = number(t, 1, 65507)
		case "port":
			d.Port = uint16(number(t, 1, 65535))
		case "ttl":
			d.TTL = number(t, 1, 255)
		case "group":
			v, is := w.value(t)
			if !is {
				break
			}
			if d.Group, is = c.addr("lvs_sync_daemon group", v); is && !d.Group.IsMulticast() {
				c.errorf(v.Pos, "lvs_sync_daemon group %s is not a multicast address; use 224.0.0.0 to 239.255.255.255 or ff02::", d.Group)
			}
		default:
			if d.Instance != "" {
				c.errorf(t.Pos, "%s is not known in lvs_sync_daemon; use inst, id, maxlen, port, ttl or group", t.Text)
				return
			}
			d.Instance = t.Text
		}
	}
	if ok {
		c.cfg.Global.SyncDaemon = d
	}
}

// finishSyncDaemon fills in what the daemon takes from its instance.
func (c *compiler) finishSyncDaemon() {
	d := &c.cfg.Global.SyncDaemon
	if d.Interface == "" {
		return
	}
	id := 0
	if d.Instance != "" {
		f := c.facts[d.Instance]
		switch {
		case f != nil && f.index < len(c.cfg.Instances):
			id = c.cfg.Instances[f.index].VRID
		case !c.witness:
			c.errorf(c.cfg.Place("global_defs", "lvs_sync_daemon"), "lvs_sync_daemon: no vrrp_instance has the name %s on this node", d.Instance)
		}
	}
	if d.ID < 0 {
		d.ID = id
	}
}

// lvsTimeouts compiles `lvs_timeouts [tcp S] [tcpfin S] [udp S]`.
func (c *compiler) lvsTimeouts(s *syntax.Node) {
	to := &c.cfg.Global.LVSTimeouts
	if len(s.Args) == 0 {
		c.errorf(s.Word.Pos, "lvs_timeouts needs tcp, tcpfin or udp, each with seconds")
	}
	w := words{c: c, rest: s.Args}
	for t, more := w.next(); more; t, more = w.next() {
		var field **time.Duration
		switch t.Text {
		case "tcp":
			field = &to.TCP
		case "tcpfin":
			field = &to.TCPFin
		case "udp":
			field = &to.UDP
		default:
			c.errorf(t.Pos, "%s is not known in lvs_timeouts; use tcp, tcpfin or udp, each with seconds", t.Text)
			return
		}
		if v, is := w.value(t); is {
			if n, good := c.number("lvs_timeouts "+t.Text, v, 0, 31*24*60*60); good {
				*field = new(time.Duration(n) * time.Second)
			}
		}
	}
}
