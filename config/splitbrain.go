package config

import (
	"reflect"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/internal/rules"
)

func defaultSplitBrain() SplitBrain {
	return SplitBrain{Policy: PolicyMesh, KernelLease: true, FollowForeign: true, Fencing: defaultFencing()}
}

// equal compares two settings.
func (s SplitBrain) equal(o SplitBrain) bool { return reflect.DeepEqual(s, o) }

// LeaseFor returns the lease of a unit whose slowest instance has this advert
// interval: the one that the document gives, else two intervals, and no less
// than the kernel can hold it to.
func (s SplitBrain) LeaseFor(advert time.Duration) time.Duration {
	switch {
	case s.Lease > 0:
		return s.Lease
	case !s.KernelLease:
		return max(rules.DefaultLease(advert), LeaseWithoutGate)
	}
	return rules.DefaultLease(advert)
}

// LeaseWithoutGate is the shortest lease of a unit without a gate (R7b).
const LeaseWithoutGate = rules.MinLeaseWithoutGate

// splitBrain compiles hacluster's own block of that name in an instance or group.
func (c *compiler) splitBrain(in, n *syntax.Node) SplitBrain {
	sb := defaultSplitBrain()
	c.once(n, "fence_agent")
	for _, s := range n.Children {
		if !c.known("split_brain", s) {
			continue
		}
		key := in.Path() + "\x00" + inSplitBrain(s.Word.Text)
		if s.Word.Text == "fence_agent" && len(s.Args) > 0 {
			key += " " + s.Args[0].Text
		}
		c.cfg.places[key] = s.Word.Pos
		switch s.Word.Text {
		case "policy":
			c.policy(s, &sb)
		case "lease":
			c.duration(s, &sb.Lease, rules.MinLease.Seconds(), rules.MaxLease.Seconds())
		case "kernel_lease":
			sb.KernelLease = c.boolean(s)
		case "allow_foreign":
			sb.AllowForeign = c.addrs(s)
		case "foreign":
			c.foreign(s, &sb)
		default:
			if !c.fencing(&sb.Fencing, s) {
				unhandled("split_brain", s)
			}
		}
	}
	c.settleFencing(&sb, n)
	return sb
}

// inSplitBrain is the key of a place inside split_brain.
func inSplitBrain(word string) string { return "split_brain " + word }

func (c *compiler) policy(s *syntax.Node, sb *SplitBrain) {
	t, ok := c.arg(s)
	if !ok {
		return
	}
	switch p := Policy(t.Text); p {
	case PolicyMesh, PolicyQuorum, PolicyOff:
		sb.Policy = p
	default:
		c.errorf(t.Pos, "policy %s is not known; use mesh, quorum or off", t.Text)
	}
}

func (c *compiler) foreign(s *syntax.Node, sb *SplitBrain) {
	t, ok := c.arg(s)
	if !ok {
		return
	}
	switch t.Text {
	case "follow":
		sb.FollowForeign = true
	case "ignore":
		sb.FollowForeign = false
	default:
		c.errorf(t.Pos, "foreign %s is not known; use follow or ignore", t.Text)
	}
}
