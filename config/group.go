package config

import (
	"slices"

	"github.com/hacluster/hacluster/config/syntax"
)

// group compiles vrrp_sync_group. Its members are compared with the instances
// when all of them are known.
func (c *compiler) group(n *syntax.Node) {
	name, ok := c.name(n)
	if !ok {
		return
	}
	if c.groups[name] != nil {
		c.errorf(n.Word.Pos, "vrrp_sync_group %s is defined twice; first at line %d", name, c.groups[name].Word.Pos.Line)
		return
	}
	c.groups[name] = n
	g := SyncGroup{
		Name:       name,
		SMTPAlert:  c.cfg.Global.SMTPAlert != nil && *c.cfg.Global.SMTPAlert,
		SplitBrain: defaultSplitBrain(),
	}
	c.once(n, "track_interface", "track_script", "group")
	for _, s := range n.Children {
		if c.strayMember(s) || !c.known("vrrp_sync_group", s) {
			continue
		}
		c.placeIn(n, s)
		switch s.Word.Text {
		case "group":
			for _, m := range s.Children {
				for _, t := range m.Tokens() {
					g.Members = append(g.Members, t.Text)
					c.cfg.places[n.Path()+"\x00member "+t.Text] = t.Pos
				}
			}
		case "track_interface", "track_script":
			g.Tracks = append(g.Tracks, c.tracks(s)...)
		case "smtp_alert":
			g.SMTPAlert = c.boolean(s)
		case "sync_group_tracking_weight":
			c.weighted[name] = c.flag(s)
		case "split_brain":
			g.SplitBrain = c.splitBrain(n, s)
			c.cfg.places[n.Path()+"\x00own split_brain"] = s.Word.Pos
		default:
			if !c.notifying(&g.Notify, s) {
				unhandled("vrrp_sync_group", s)
			}
		}
	}
	if len(g.Members) == 0 {
		c.warnf(n.Word.Pos, "vrrp_sync_group %s has no members on this node; name them in group { ... }", name)
		return
	}
	c.cfg.Groups = append(c.cfg.Groups, g)
}

// strayMember reports a bare word that is no keyword: a member that stands
// outside group { ... }, which keepalived passes over.
func (c *compiler) strayMember(s *syntax.Node) bool {
	if len(s.Args) > 0 || s.Block {
		return false
	}
	if _, ok := table().lookup("vrrp_sync_group", s.Word.Text); ok || len(table().homes[s.Word.Text]) > 0 {
		return false
	}
	if table().nearest("vrrp_sync_group", s.Word.Text) != "" {
		return false
	}
	c.warnf(s.Word.Pos, "%s stands outside group { ... } and is no member; keepalived passes over it too", s.Word.Text)
	return true
}

// finishGroups compares groups with instances.
func (c *compiler) finishGroups() {
	owner := map[string]string{}
	for i := range c.cfg.Groups {
		g := &c.cfg.Groups[i]
		path := "vrrp_sync_group " + g.Name
		var members []string
		for _, m := range g.Members {
			at := c.cfg.Place(path, "member "+m)
			switch {
			case c.facts[m] == nil:
				c.warnf(at, "vrrp_sync_group %s names %s, which is no vrrp_instance on this node; the group goes without it", g.Name, m)
				continue
			case owner[m] == g.Name:
				c.warnf(at, "vrrp_sync_group %s names %s twice", g.Name, m)
				continue
			case owner[m] != "":
				c.errorf(at, "%s is in vrrp_sync_group %s already; an instance has one group", m, owner[m])
				continue
			}
			owner[m] = g.Name
			members = append(members, m)
		}
		g.Members = members
		if len(members) == 1 {
			c.warnf(c.cfg.Place(path), "vrrp_sync_group %s has one member only", g.Name)
		}
		c.groupPolicy(g, path)
		c.groupWeights(g)
	}
	for _, g := range c.cfg.Groups {
		if c.facts[g.Name] != nil && owner[g.Name] == "" {
			c.errorf(c.cfg.Place("vrrp_sync_group "+g.Name), "vrrp_sync_group %s has the name of an instance that is in no group; both would be one unit, so rename one", g.Name)
		}
	}
}

// groupWeights drops trackers with a weight, as keepalived does: priorities of
// members that change one by one would tear the group apart. Who wants them all
// the same says sync_group_tracking_weight.
func (c *compiler) groupWeights(g *SyncGroup) {
	if c.weighted[g.Name] {
		return
	}
	drop := func(tracks []Track, in string) []Track {
		return slices.DeleteFunc(tracks, func(t Track) bool {
			if t.Weight == 0 {
				return false
			}
			c.warnf(t.at, "%s %s with weight %d is not tracked by %s: the sync group %s has no sync_group_tracking_weight", t.Kind, t.Name, t.Weight, in, g.Name)
			return true
		})
	}
	g.Tracks = drop(g.Tracks, g.Name)
	for _, m := range g.Members {
		in := &c.cfg.Instances[c.facts[m].index]
		in.Tracks = drop(in.Tracks, m)
	}
}

// groupPolicy gives the members one split_brain: a group is one unit, so its
// members cannot differ (R0).
func (c *compiler) groupPolicy(g *SyncGroup, path string) {
	_, own := c.cfg.places[path+"\x00own split_brain"]
	for _, m := range g.Members {
		f := c.facts[m]
		if !f.splitBrain {
			continue
		}
		sb := c.cfg.Instances[f.index].SplitBrain
		if !own {
			g.SplitBrain, own = sb, true
			continue
		}
		if !sb.equal(g.SplitBrain) {
			c.errorf(c.cfg.Place("vrrp_instance "+m, "split_brain"),
				"split_brain of %s differs from that of its group %s; a sync group is held as one, so write it in the group only", m, g.Name)
		}
	}
	for _, m := range g.Members {
		c.cfg.Instances[c.facts[m].index].SplitBrain = g.SplitBrain
	}
}
