package config

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

// instance compiles vrrp_instance.
func (c *compiler) instance(n *syntax.Node) {
	name, ok := c.name(n)
	if !ok {
		return
	}
	if c.facts[name] != nil {
		c.errorf(n.Word.Pos, "vrrp_instance %s is defined twice; first at line %d", name, c.cfg.Place(n.Path()).Line)
		return
	}
	d := c.defaults
	in := Instance{
		Name:                 name,
		Version:              d.version,
		Priority:             100,
		AdvertInterval:       time.Second,
		DownTimerAdverts:     d.downTimerAdverts,
		Preempt:              true,
		LowerPrioNoAdvert:    d.lowerPrioNoAdvert,
		HigherPrioSendAdvert: d.higherPrioSendAdvert,
		OwnerIgnoreAdverts:   d.ownerIgnoreAdverts,
		CheckUnicastSource:   d.checkUnicastSource,
		V3ChecksumAsV2:       d.v3ChecksumAsV2,
		SkipCheckAddresses:   d.skipCheckAddresses,
		Announce:             d.announce,
		SMTPAlert:            c.cfg.Global.SMTPAlert != nil && *c.cfg.Global.SMTPAlert,
		SplitBrain:           defaultSplitBrain(),
	}
	f := &facts{node: n, index: len(c.cfg.Instances)}
	c.facts[name] = f
	c.once(n, "track_interface", "track_script", "virtual_ipaddress", "virtual_ipaddress_excluded", "virtual_routes", "unicast_peer")
	for _, s := range n.Children {
		if !c.known("vrrp_instance", s) {
			continue
		}
		c.placeIn(n, s)
		if !c.router(&in, f, s) && !c.addressing(&in, f, s) && !c.announcing(&in.Announce, s) &&
			!c.notifying(&in.Notify, s) && !c.behaviour(&in, f, s) {
			unhandled("vrrp_instance", s)
		}
	}
	c.settle(&in, f)
	c.cfg.Instances = append(c.cfg.Instances, in)
}

// router compiles the words that say which virtual router this is. Like its
// siblings it reports whether the word is one of its own.
func (c *compiler) router(in *Instance, f *facts, s *syntax.Node) bool {
	switch s.Word.Text {
	case "state":
		if t, ok := c.arg(s); ok {
			switch t.Text {
			case "MASTER":
				in.StartMaster = true
			case "BACKUP":
				in.StartMaster = false
			default:
				c.errorf(t.Pos, "state %s is not known; use MASTER or BACKUP", t.Text)
			}
		}
	case "interface":
		if t, ok := c.arg(s); ok {
			in.Interface, _ = c.iface("interface", t)
		}
	case "virtual_router_id":
		c.int(s, &in.VRID, 1, 255)
	case "priority":
		c.int(s, &in.Priority, 1, 255)
		f.priority = true
	case "version":
		c.int(s, &in.Version, 2, 3)
	case "advert_int":
		c.duration(s, &in.AdvertInterval, 0.01, 255)
	case "down_timer_adverts":
		c.int(s, &in.DownTimerAdverts, 1, 100)
	case "authentication":
		c.authentication(in, s)
	case "native_ipv6":
		c.warnf(s.Word.Pos, "native_ipv6 is not needed: the addresses say the family")
	default:
		return false
	}
	return true
}

// authentication compiles the block of that name.
func (c *compiler) authentication(in *Instance, n *syntax.Node) {
	c.once(n)
	for _, s := range n.Children {
		if !c.known("authentication", s) {
			continue
		}
		t, ok := c.arg(s)
		if !ok {
			continue
		}
		switch s.Word.Text {
		case "auth_type":
			switch t.Text {
			case "PASS":
				in.AuthType = "PASS"
			case "AH":
				in.AuthType = "AH"
				c.add(Unsupported, t.Pos, "auth_type AH is known to keepalived, not implemented by hacluster: adverts go out without it; use PASS")
			default:
				c.errorf(t.Pos, "auth_type %s is not known; use PASS", t.Text)
			}
		case "auth_pass":
			in.AuthPass = t.Text
			if len(t.Text) > 8 {
				c.warnf(t.Pos, "auth_pass is longer than 8 characters; only the first 8 are used")
				in.AuthPass = t.Text[:8]
			}
		default:
			unhandled("authentication", s)
		}
	}
	if in.AuthType != "" && in.AuthPass == "" {
		c.warnf(n.Word.Pos, "authentication has no auth_pass, so there is none; add auth_pass, up to 8 characters")
		in.AuthType = ""
	}
	if in.AuthType == "" && in.AuthPass != "" {
		c.warnf(n.Word.Pos, "authentication has no auth_type, so there is none; add auth_type PASS")
		in.AuthPass = ""
	}
}

// addressing compiles addresses, routes, sources and destinations.
func (c *compiler) addressing(in *Instance, f *facts, s *syntax.Node) bool {
	switch s.Word.Text {
	case "virtual_ipaddress":
		in.Addresses = append(in.Addresses, c.addresses(s)...)
		f.advertised, f.emptyAddresses = true, len(s.Children) == 0
	case "virtual_ipaddress_excluded":
		in.Excluded = append(in.Excluded, c.addresses(s)...)
	case "no_virtual_ipaddress":
		f.noAddress = c.flag(s)
	case "virtual_routes":
		in.Routes = append(in.Routes, c.routes(s)...)
	case "unicast_src_ip":
		if t, ok := c.arg(s); ok {
			f.unicastSource, _ = c.addr(s.Word.Text, t)
		}
	case "mcast_src_ip":
		if t, ok := c.arg(s); ok {
			f.multicastSource, _ = c.addr(s.Word.Text, t)
		}
	case "mcast_dst_ip":
		if t, ok := c.arg(s); ok {
			if a, ok := c.addr(s.Word.Text, t); ok && a.IsMulticast() {
				in.MulticastGroup = a
			} else if ok {
				c.errorf(t.Pos, "mcast_dst_ip %s is not a multicast address; use 224.0.0.0 to 239.255.255.255 or ff02::", a)
			}
		}
	case "unicast_peer":
		peers, ttl := c.peers(s)
		in.Peers = append(in.Peers, peers...)
		in.CheckUnicastSource = in.CheckUnicastSource || ttl
		f.unicastPeers = true
	case "unicast_ttl":
		c.int(s, &in.UnicastTTL, 0, 255)
	case "check_unicast_src":
		in.CheckUnicastSource = c.flag(s)
	case "old_unicast_checksum":
		in.OldUnicastChecksum, in.NoOldUnicastChecksum = len(s.Args) == 0, len(s.Args) > 0
		if len(s.Args) > 0 && s.Args[0].Text != "never" {
			c.errorf(s.Args[0].Pos, "old_unicast_checksum %s is not known; use never or nothing", s.Args[0].Text)
		}
	case "v3_checksum_as_v2":
		in.V3ChecksumAsV2 = c.boolean(s)
	case "skip_check_adv_addr":
		// keepalived switches it on whatever the value is.
		in.SkipCheckAddresses = true
	case "track_src_ip":
		in.TrackSource = c.flag(s)
	default:
		return false
	}
	return true
}

// announcing compiles the garp_* words.
func (c *compiler) announcing(a *Announce, s *syntax.Node) bool {
	switch s.Word.Text {
	case "garp_master_delay":
		c.duration(s, &a.Delay, 0, longest)
	case "garp_master_repeat":
		c.int(s, &a.Repeat, 1, 1000)
	case "garp_master_refresh":
		c.duration(s, &a.Refresh, 0, longest)
	case "garp_master_refresh_repeat":
		c.int(s, &a.RefreshRepeat, 1, 1000)
	case "garp_lower_prio_delay":
		c.duration(s, &a.LowerPrioDelay, 0, longest)
	case "garp_lower_prio_repeat":
		c.int(s, &a.LowerPrioRepeat, 0, 1000)
	default:
		return false
	}
	return true
}

// notifying compiles the notify_* words that instances and groups share, and
// those of instances.
func (c *compiler) notifying(to *Notify, s *syntax.Node) bool {
	switch s.Word.Text {
	case "notify_master":
		c.command(s, &to.Master)
	case "notify_backup":
		c.command(s, &to.Backup)
	case "notify_fault":
		c.command(s, &to.Fault)
	case "notify_stop":
		c.command(s, &to.Stop)
	case "notify":
		c.command(s, &to.Any)
	case "notify_deleted":
		if len(s.Args) > 0 {
			c.command(s, &to.Deleted)
		}
	case "notify_master_rx_lower_pri":
		c.command(s, &to.MasterRxLowerPri)
	default:
		return false
	}
	return true
}

// behaviour compiles preemption, tracking and the rest.
func (c *compiler) behaviour(in *Instance, f *facts, s *syntax.Node) bool {
	switch s.Word.Text {
	case "nopreempt":
		in.Preempt, f.noPreempt = !c.flag(s), true
	case "preempt":
		in.Preempt, f.noPreempt = c.flag(s), false
	case "preempt_delay":
		c.duration(s, &in.PreemptDelay, 0, 1000)
	case "accept":
		c.flag(s) // it is what hacluster does
	case "lower_prio_no_advert":
		in.LowerPrioNoAdvert = c.boolean(s)
	case "higher_prio_send_advert":
		in.HigherPrioSendAdvert = c.boolean(s)
	case "owner_ignore_adverts":
		in.OwnerIgnoreAdverts = c.boolean(s)
	case "dont_track_primary":
		in.DontTrackPrimary = c.flag(s)
	case "track_interface", "track_script":
		in.Tracks = append(in.Tracks, c.tracks(s)...)
	case "smtp_alert":
		in.SMTPAlert = c.boolean(s)
	case "split_brain":
		in.SplitBrain = c.splitBrain(f.node, s)
		f.splitBrain = true
	default:
		return false
	}
	return true
}

// tracks compiles the lines of track_interface and track_script. A script's
// line without a weight has the script's own, which finish fills in.
func (c *compiler) tracks(n *syntax.Node) []Track {
	kind := TrackInterface
	if n.Word.Text == "track_script" {
		kind = TrackScript
	}
	var out []Track
	for _, line := range n.Children {
		t := Track{Kind: kind, Name: line.Word.Text, at: line.Word.Pos}
		if kind == TrackInterface {
			if _, ok := c.iface("track_interface", line.Word); !ok {
				continue
			}
		}
		switch {
		case len(line.Args) == 0:
			t.inherit = kind == TrackScript
		case line.Args[0].Text == "weight":
			t.Weight, t.Reverse = c.weight("weight", line.Args[0].Pos, line.Args[1:])
		case line.Args[0].Text == "reverse":
			t.Reverse, t.inherit = true, kind == TrackScript
		default:
			c.errorf(line.Args[0].Pos, "%s is not known in %s; use weight -253 to 253, and reverse", line.Args[0].Text, n.Word.Text)
		}
		out = append(out, t)
	}
	return out
}

// multicast stores a group address of the right family.
func (c *compiler) multicast(s *syntax.Node, to *netip.Addr, v6 bool) {
	t, ok := c.arg(s)
	if !ok {
		return
	}
	a, ok := c.addr(s.Word.Text, t)
	switch {
	case !ok:
	case !a.IsMulticast() || a.Is6() != v6:
		want := "224.0.0.0 to 239.255.255.255"
		if v6 {
			want = "ff02::1 and the like"
		}
		c.errorf(t.Pos, "%s %s is not a multicast address of that family; use %s", s.Word.Text, a, want)
	default:
		*to = a
	}
}
