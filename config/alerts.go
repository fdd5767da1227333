package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// alerting compiles the alert_* words of the block cluster. It reports whether
// the word is one of them.
func (c *compiler) alerting(a *Alerts, s *syntax.Node) bool {
	switch s.Word.Text {
	case "alert_script":
		c.command(s, &a.Script)
	case "alert_webhook":
		if t, ok := c.arg(s); ok && c.webhook(t) {
			a.Webhooks = append(a.Webhooks, t.Text)
		}
	case "alert_email":
		a.Email = []string{} // without addresses: nobody
		for _, line := range s.Children {
			for _, t := range line.Tokens() {
				if c.mailbox(s.Word.Text, t) {
					a.Email = append(a.Email, t.Text)
				}
			}
		}
	case "alert_level":
		if t, ok := c.arg(s); ok {
			switch l := Level(t.Text); l {
			case LevelInfo, LevelWarning, LevelCritical:
				a.Level = l
			default:
				c.errorf(t.Pos, "alert_level %s is not known; use info, warning or critical", t.Text)
			}
		}
	default:
		return false
	}
	return true
}

// repeats reports whether each line of a statement counts, not the last alone.
func repeats(word string) bool { return word == "alert_webhook" }

// webhook checks a URL. Its path may be a secret, so no message shows it.
func (c *compiler) webhook(t syntax.Token) bool {
	u, err := url.Parse(t.Text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		c.errorf(t.Pos, "alert_webhook is not a URL of a web server; use http://HOST/PATH or https://HOST/PATH")
		return false
	}
	return true
}

// mailbox checks a bare mail address; a name without @ is an account of the
// mail server.
func (c *compiler) mailbox(what string, t syntax.Token) bool {
	if t.Text == "" || len(t.Text) > 254 || strings.ContainsAny(t.Text, " \t<>,;:()\"") || strings.HasPrefix(t.Text, "@") || strings.HasSuffix(t.Text, "@") {
		c.errorf(t.Pos, "%s %q is not a mail address; use USER@HOST, up to 254 characters", what, t.Text)
		return false
	}
	return true
}

// finishAlerts fills in who gets mail when nobody is named.
func (c *compiler) finishAlerts() {
	a, g := &c.cfg.Cluster.Alerts, c.cfg.Global
	switch {
	case a.Email == nil:
		a.Email = slices.Clone(g.NotificationEmail)
	case len(a.Email) > 0 && g.SMTPServer == "":
		c.warnf(c.cfg.Place("cluster", "alert_email"), "alert_email has no effect without smtp_server in global_defs")
	}
}
