package config

import (
	"strings"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

// longest is the highest number of seconds that words without their own limit
// take: a day.
const longest = 86400

// global compiles global_defs.
func (c *compiler) global(n *syntax.Node) {
	g, d := &c.cfg.Global, &c.defaults
	c.once(n)
	for _, s := range n.Children {
		if !c.known("global_defs", s) {
			continue
		}
		c.placeIn(n, s)
		switch s.Word.Text {
		case "router_id":
			c.text(s, &g.RouterID)
		case "notification_email":
			for _, line := range s.Children {
				for _, t := range line.Tokens() {
					g.NotificationEmail = append(g.NotificationEmail, t.Text)
				}
			}
		case "notification_email_from":
			c.text(s, &g.EmailFrom)
		case "smtp_server":
			c.smtpServer(s)
		case "smtp_helo_name":
			c.text(s, &g.SMTPHelo)
		case "smtp_connect_timeout":
			c.duration(s, &g.SMTPTimeout, 0.001, longest)
		case "smtp_alert":
			v := c.boolean(s)
			d.smtpAlert = &v
		case "smtp_alert_vrrp":
			v := c.boolean(s)
			d.smtpAlertVRRP = &v
		case "smtp_alert_checker":
			d.smtpAlertChecker = new(c.boolean(s))
		case "checker_log_all_failures":
			d.logAllFailures = c.boolean(s)
		case "lvs_sync_daemon":
			c.syncDaemon(s)
		case "lvs_timeouts":
			c.lvsTimeouts(s)
		case "no_email_faults":
			g.NoEmailFaults = c.flag(s)
		case "script_user":
			g.ScriptUser = c.user(s, s.Args)
		case "enable_script_security":
			g.EnableScriptSecurity = c.flag(s)
		case "default_interface":
			if t, ok := c.arg(s); ok {
				if name, ok := c.iface(s.Word.Text, t); ok {
					g.DefaultInterface = name
				}
			}
		case "dynamic_interfaces":
			// An interface that is missing is a fault here, never a reason to stop.
		case "vrrp_mcast_group4":
			c.multicast(s, &g.MulticastGroup4, false)
		case "vrrp_mcast_group6":
			c.multicast(s, &g.MulticastGroup6, true)
		case "vrrp_startup_delay":
			c.duration(s, &g.StartupDelay, 0.001, longest)
		case "vrrp_delay_after_boot":
			c.duration(s, &g.DelayAfterBoot, 0.001, longest)
		default:
			c.instanceDefault(s)
		}
	}
	c.settleDefaults()
}

// instanceDefault compiles the words of global_defs that instances start from.
func (c *compiler) instanceDefault(s *syntax.Node) {
	d := &c.defaults
	switch s.Word.Text {
	case "vrrp_version":
		c.int(s, &d.version, 2, 3)
	case "vrrp_garp_master_delay":
		c.duration(s, &d.announce.Delay, 0, longest)
	case "vrrp_garp_master_repeat":
		c.int(s, &d.announce.Repeat, 1, 1000)
	case "vrrp_garp_master_refresh":
		c.duration(s, &d.announce.Refresh, 0, longest)
	case "vrrp_garp_master_refresh_repeat":
		c.int(s, &d.announce.RefreshRepeat, 1, 1000)
	case "vrrp_garp_lower_prio_delay":
		c.duration(s, &d.announce.LowerPrioDelay, 0, longest)
		d.lowerDelay = true
	case "vrrp_garp_lower_prio_repeat":
		c.int(s, &d.announce.LowerPrioRepeat, 0, 1000)
		d.lowerRep = true
	case "vrrp_garp_interval":
		c.pacing(s, &d.garpInterval)
	case "vrrp_gna_interval":
		c.pacing(s, &d.gnaInterval)
	case "vrrp_min_garp":
		if c.boolean(s) {
			d.announce.Repeat, d.announce.Delay = 1, 0
		}
	case "vrrp_down_timer_adverts":
		c.int(s, &d.downTimerAdverts, 1, 100)
	case "vrrp_lower_prio_no_advert":
		d.lowerPrioNoAdvert = c.boolean(s)
	case "vrrp_higher_prio_send_advert":
		d.higherPrioSendAdvert = c.boolean(s)
	case "vrrp_owner_ignore_adverts":
		d.ownerIgnoreAdverts = c.boolean(s)
	case "vrrp_check_unicast_src":
		d.checkUnicastSource = c.flag(s)
	case "vrrp_skip_check_adv_addr":
		d.skipCheckAddresses = c.boolean(s)
	case "v3_checksum_as_v2":
		// keepalived takes a value and does not look at it.
		d.v3ChecksumAsV2 = true
	default:
		unhandled("global_defs", s)
	}
}

// settleDefaults fills in what one default takes from another.
func (c *compiler) settleDefaults() {
	d := &c.defaults
	if !d.lowerDelay {
		d.announce.LowerPrioDelay = d.announce.Delay
	}
	if !d.lowerRep {
		d.announce.LowerPrioRepeat = d.announce.Repeat
	}
	c.cfg.Global.SMTPAlert = d.smtpAlertVRRP
	if d.smtpAlertVRRP == nil {
		c.cfg.Global.SMTPAlert = d.smtpAlert
	}
}

// smtpServer reads HOST [PORT].
func (c *compiler) smtpServer(s *syntax.Node) {
	g := &c.cfg.Global
	if len(s.Args) == 0 {
		c.errorf(s.Word.Pos, "smtp_server needs a host name or address")
		return
	}
	g.SMTPServer = s.Args[0].Text
	if len(s.Args) > 1 {
		if p, ok := c.number("smtp_server port", s.Args[1], 1, 65535); ok {
			g.SMTPPort = uint16(p)
		}
	}
}

// text stores the argument of a statement.
func (c *compiler) text(s *syntax.Node, to *string) {
	if t, ok := c.arg(s); ok {
		*to = t.Text
	}
}

// int stores an integer argument that is in range.
func (c *compiler) int(s *syntax.Node, to *int, low, high int) {
	if v, ok := c.integer(s, low, high); ok {
		*to = v
	}
}

// duration stores an argument in seconds that is in range.
func (c *compiler) duration(s *syntax.Node, to *time.Duration, low, high float64) {
	if v, ok := c.seconds(s, low, high); ok {
		*to = v
	}
}

// pacing stores the gap between announcements. keepalived refuses 0, its own
// default, and carries on.
func (c *compiler) pacing(s *syntax.Node, to *time.Duration) {
	v, ok := c.seconds(s, 0, 1000)
	if ok && v == 0 {
		c.warnf(s.Word.Pos, "%s 0 is the default; remove the line or give a time above 0", s.Word.Text)
	}
	if ok {
		*to = v
	}
}

// user reads USER [[:]GROUP] or USER:GROUP.
func (c *compiler) user(s *syntax.Node, args []syntax.Token) User {
	switch {
	case len(args) == 0:
		c.errorf(s.Word.Pos, "%s needs an account: USER [GROUP]", s.Word.Text)
		return User{}
	case len(args) > 2:
		c.warnf(args[2].Pos, "%s takes an account and a group; %q is ignored", s.Word.Text, args[2].Text)
	}
	name, group, _ := strings.Cut(args[0].Text, ":")
	if len(args) > 1 {
		group = strings.TrimPrefix(args[1].Text, ":")
	}
	if name == "" {
		c.errorf(args[0].Pos, "%s %q names no account", s.Word.Text, args[0].Text)
	}
	return User{Name: name, Group: group}
}
