package config

import (
	"net/netip"

	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/internal/rules"
)

// cluster compiles hacluster's own block of that name.
func (c *compiler) cluster(n *syntax.Node) {
	cl := &c.cfg.Cluster
	c.once(n, "alert_webhook")
	if len(n.Args) > 0 {
		c.warnf(n.Args[0].Pos, "cluster takes no name; %q is ignored", n.Args[0].Text)
	}
	for _, s := range n.Children {
		if !c.known("cluster", s) {
			continue
		}
		c.placeIn(n, s)
		switch s.Word.Text {
		case "heartbeat_interval":
			c.duration(s, &cl.HeartbeatInterval, rules.MinHeartbeat.Seconds(), rules.MaxHeartbeat.Seconds())
		case "mesh_interface":
			if t, ok := c.arg(s); ok {
				cl.MeshInterface, _ = c.iface(s.Word.Text, t)
			}
		case "gateway_probe":
			cl.GatewayProbe = c.addrs(s)
		case "alone_after":
			c.duration(s, &cl.AloneAfter, 1, 600)
		case "lvs_drain":
			c.duration(s, &cl.LVSDrain, 0, 86400)
		case "lvs_agree":
			cl.LVSAgree = c.boolean(s)
		default:
			if !c.alerting(&cl.Alerts, s) {
				unhandled("cluster", s)
			}
		}
	}
}

// addrs reads a list of addresses behind a word.
func (c *compiler) addrs(s *syntax.Node) []netip.Addr {
	if len(s.Args) == 0 {
		c.errorf(s.Word.Pos, "%s needs at least one address", s.Word.Text)
	}
	var out []netip.Addr
	for _, t := range s.Args {
		if a, ok := c.addr(s.Word.Text, t); ok {
			out = append(out, a)
		}
	}
	return out
}
