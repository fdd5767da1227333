package alert

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
)

// alertScriptTimeout ends an alert script that hangs.
const alertScriptTimeout = 30 * time.Second

// receivers are those whom the state names.
func (desk *Desk) receivers(state desired.State) []receiver {
	var out []receiver
	least, ok := ParseSeverity(state.Alerts.Level)
	if !ok {
		return nil // nothing runs: the node is in no cluster
	}
	all := Alerts(desk.hub, least, desk.tells)
	if argv := state.Alerts.Script.Argv; len(argv) > 0 {
		user, err := run.Account(state.Alerts.Script.User.Name, state.Alerts.Script.User.Group)
		if err != nil {
			desk.log.Error("alert_script is not run", "err", err)
		} else {
			command := run.Command{Argv: argv, User: user, Timeout: alertScriptTimeout, Secure: state.Daemon.EnableScriptSecurity}
			out = append(out, tell("alert_script", "alert_script", least, all, Script{Command: command}))
		}
	}
	for _, hook := range state.Alerts.Webhooks {
		name := "alert_webhook"
		if u, err := url.Parse(hook); err == nil {
			name += " " + u.Host
		}
		out = append(out, tell("alert_webhook "+hook, name, least, all, Webhook{URL: hook}))
	}
	if r, ok := relayOf(state.Daemon.Mail, state.Alerts.Email); ok {
		out = append(out, tell("alert_email", "alert_email", least, all, Mail{Relay: r}))
	}
	mailed := smtpAlerts(state)
	if r, ok := relayOf(state.Daemon.Mail, state.Daemon.Mail.To); ok && len(mailed.targets)+len(mailed.services) > 0 {
		to := StateMail{Relay: r, RouterID: state.Daemon.RouterID}
		out = append(out, tell("smtp_alert", "smtp_alert", mailed, Events(desk.hub, mailed.wants), to))
	}
	return out
}

// tell makes a receiver. Two with equal deliverers and filters are the same.
func tell[T any](key, name string, filter any, from Source[T], to Deliverer[T]) receiver {
	return receiver{
		key: key, name: name, value: []any{filter, to}, last: from.Last,
		deliver: func(ctx context.Context, seq uint64, log *slog.Logger) uint64 {
			return Deliver(ctx, from, seq, to, log)
		},
	}
}

// mailed says which changes of state are mailed.
type mailed struct {
	targets  map[router]bool // groups and instances with smtp_alert
	services map[router]bool // virtual services and their real servers, as in events
	faults   bool            // FAULT too: no no_email_faults
}

// router is an instance, or a unit when the instance is empty.
type router struct{ unit, instance string }

func smtpAlerts(state desired.State) mailed {
	m := mailed{targets: make(map[router]bool), services: make(map[router]bool), faults: !state.Daemon.Mail.NoEmailFaults}
	for _, u := range state.Units {
		if u.SMTPAlert {
			m.targets[router{u.Spec.Name, ""}] = true
		}
		for name, wanted := range u.Alerts {
			if wanted {
				m.targets[router{u.Spec.Name, name}] = true
			}
		}
	}
	for about := range state.Balance.Mailed() {
		r := router{unit: about.Service}
		if about.Server.IsValid() {
			r.instance = about.Server.String()
		}
		m.services[r] = true
	}
	return m
}

func (m mailed) wants(e observed.Event) bool {
	about := router{e.Unit, e.Instance}
	switch e.Kind {
	case observed.StateChanged:
		return m.targets[about] && (m.faults || e.To != vrrp.Fault.String())
	case observed.ServiceChanged:
		return m.services[about] && e.From != "" // a weight is no mail
	default:
		return false
	}
}

// relayOf is the mail server with the envelope of its mails; false: nothing is
// mailed. The sender is root on this machine unless the document says another.
func relayOf(m desired.Mail, to []string) (Relay, bool) {
	if m.Server == "" || len(to) == 0 {
		return Relay{}, false
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	r := Relay{
		Server:         net.JoinHostPort(m.Server, strconv.Itoa(int(m.Port))),
		Hello:          cmp.Or(m.Helo, host),
		ConnectTimeout: m.Timeout,
		From:           bare(cmp.Or(m.From, "root@"+host)),
	}
	for _, address := range to {
		r.To = append(r.To, bare(address))
	}
	return r, true
}

// bare takes the name away from an address that has one.
func bare(address string) string {
	if a, err := mail.ParseAddress(address); err == nil {
		return a.Address
	}
	return address
}
