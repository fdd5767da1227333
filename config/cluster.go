package config

import (
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/config/syntax"
)

func defaultSplitBrain() SplitBrain {
	return SplitBrain{Policy: PolicyMesh, KernelLease: true, FollowForeign: true}
}

// equal compares two settings.
func (s SplitBrain) equal(o SplitBrain) bool {
	same := slices.Equal(s.AllowForeign, o.AllowForeign)
	return same && s.Policy == o.Policy && s.Lease == o.Lease && s.KernelLease == o.KernelLease && s.FollowForeign == o.FollowForeign
}

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
			c.duration(s, &cl.HeartbeatInterval, 0.01, 10)
		case "mesh_interface":
			if t, ok := c.arg(s); ok {
				cl.MeshInterface, _ = c.iface(s.Word.Text, t)
			}
		case "gateway_probe":
			cl.GatewayProbe = c.addrs(s)
		case "alone_after":
			c.duration(s, &cl.AloneAfter, 1, 600)
		default:
			if !c.alerting(&cl.Alerts, s) {
				unhandled("cluster", s)
			}
		}
	}
}

// splitBrain compiles hacluster's own block of that name.
func (c *compiler) splitBrain(n *syntax.Node) SplitBrain {
	sb := defaultSplitBrain()
	c.once(n, "fence_agent")
	for _, s := range n.Children {
		if !c.known("split_brain", s) {
			continue
		}
		switch s.Word.Text {
		case "policy":
			c.policy(s, &sb)
		case "lease":
			c.duration(s, &sb.Lease, 0.5, 60)
		case "kernel_lease":
			sb.KernelLease = c.boolean(s)
		case "allow_foreign":
			sb.AllowForeign = c.addrs(s)
		case "foreign":
			if t, ok := c.arg(s); ok {
				switch t.Text {
				case "follow":
					sb.FollowForeign = true
				case "ignore":
					sb.FollowForeign = false
				default:
					c.errorf(t.Pos, "foreign %s is not known; use follow or ignore", t.Text)
				}
			}
		default:
			unhandled("split_brain", s)
		}
	}
	return sb
}

func (c *compiler) policy(s *syntax.Node, sb *SplitBrain) {
	t, ok := c.arg(s)
	if !ok {
		return
	}
	switch p := Policy(t.Text); p {
	case PolicyMesh, PolicyOff:
		sb.Policy = p
	case PolicyQuorum:
		sb.Policy = p
		c.add(Unsupported, t.Pos, "policy quorum is not implemented yet: the unit follows policy mesh")
	default:
		c.errorf(t.Pos, "policy %s is not known; use mesh, quorum or off", t.Text)
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
