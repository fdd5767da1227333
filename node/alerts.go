package node

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/hacluster/hacluster/alert"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
)

// alertScriptTimeout ends an alert script that hangs.
const alertScriptTimeout = 30 * time.Second

// alerts tells people what the hub knows: those that the configuration which
// runs names.
type alerts struct {
	log   *slog.Logger
	hub   *observed.Hub
	tells func(observed.Alert) bool // whether this node is to tell it

	state   latest[desired.State]
	changed chan struct{} // size one: the newest state counts
}

// newAlerts returns alerts of which this node tells those that tells names.
func newAlerts(log *slog.Logger, hub *observed.Hub, tells func(observed.Alert) bool) *alerts {
	return &alerts{log: log.With("component", "alert"), hub: hub, tells: tells, changed: make(chan struct{}, 1)}
}

// set says what runs from now on. It does not block.
func (a *alerts) set(state desired.State) {
	a.state.set(state)
	select {
	case a.changed <- struct{}{}:
	default: // run has not looked yet, and will see this state
	}
}

// run delivers until ctx is done. It owns the deliveries, one goroutine each.
func (a *alerts) run(ctx context.Context) error {
	running := make(map[string]*delivery)
	// The first receivers are told everything since the start, later ones what
	// happens after they were named.
	everything := true
	for {
		select {
		case <-a.changed:
			a.replace(ctx, running, a.receivers(a.state.get()), everything)
			everything = false
		case <-ctx.Done():
			a.replace(ctx, running, nil, false)
			return context.Cause(ctx)
		}
	}
}

// receiver is somebody to tell.
type receiver struct {
	key   string // identity: a receiver of the same key takes over where this one stops
	name  string // for the log; URLs of webhooks are secrets
	value any    // a receiver with an equal value is the same one and goes on

	last    func() uint64
	deliver func(ctx context.Context, seq uint64, log *slog.Logger) uint64
}

// delivery is a receiver that is being told.
type delivery struct {
	receiver
	cancel context.CancelFunc
	ended  chan uint64 // how far it came
}

// replace makes running what is wanted. It waits for those that end, which
// have a last attempt each.
func (a *alerts) replace(ctx context.Context, running map[string]*delivery, want []receiver, everything bool) {
	wanted := make(map[string]receiver, len(want))
	for _, r := range want {
		wanted[r.key] = r
	}
	var ending []*delivery
	for key, d := range running {
		if r, ok := wanted[key]; !ok || !reflect.DeepEqual(r.value, d.value) {
			d.cancel()
			ending = append(ending, d)
			delete(running, key)
		}
	}
	came := make(map[string]uint64, len(ending))
	for _, d := range ending {
		came[d.key] = <-d.ended
	}
	for key, r := range wanted {
		if running[key] != nil {
			continue
		}
		seq, known := came[key]
		if !known && !everything {
			seq = r.last()
		}
		own, cancel := context.WithCancel(ctx)
		d := &delivery{receiver: r, cancel: cancel, ended: make(chan uint64, 1)}
		running[key] = d
		go func() { d.ended <- r.deliver(own, seq, a.log.With("receiver", r.name)) }()
	}
}

// receivers are those whom the state names.
func (a *alerts) receivers(state desired.State) []receiver {
	var out []receiver
	least, ok := alert.ParseSeverity(state.Alerts.Level)
	if !ok {
		return nil // nothing runs: the node is in no cluster
	}
	all := alert.Alerts(a.hub, least, a.tells)
	if argv := state.Alerts.Script.Argv; len(argv) > 0 {
		user, err := account(state.Alerts.Script.User)
		if err != nil {
			a.log.Error("alert_script is not run", "err", err)
		} else {
			command := run.Command{Argv: argv, User: user, Timeout: alertScriptTimeout, Secure: state.Daemon.EnableScriptSecurity}
			out = append(out, tell("alert_script", "alert_script", least, all, alert.Script{Command: command}))
		}
	}
	for _, hook := range state.Alerts.Webhooks {
		name := "alert_webhook"
		if u, err := url.Parse(hook); err == nil {
			name += " " + u.Host
		}
		out = append(out, tell("alert_webhook "+hook, name, least, all, alert.Webhook{URL: hook}))
	}
	if r, ok := relay(state.Daemon.Mail, state.Alerts.Email); ok {
		out = append(out, tell("alert_email", "alert_email", least, all, alert.Mail{Relay: r}))
	}
	mailed := smtpAlerts(state)
	if r, ok := relay(state.Daemon.Mail, state.Daemon.Mail.To); ok && len(mailed.targets) > 0 {
		to := alert.StateMail{Relay: r, RouterID: state.Daemon.RouterID}
		out = append(out, tell("smtp_alert", "smtp_alert", mailed, alert.Events(a.hub, mailed.wants), to))
	}
	return out
}

// tell makes a receiver. Two with equal deliverers and filters are the same.
func tell[T any](key, name string, filter any, from alert.Source[T], to alert.Deliverer[T]) receiver {
	return receiver{
		key: key, name: name, value: []any{filter, to}, last: from.Last,
		deliver: func(ctx context.Context, seq uint64, log *slog.Logger) uint64 {
			return alert.Deliver(ctx, from, seq, to, log)
		},
	}
}

// mailed says which changes of state are mailed.
type mailed struct {
	targets map[target]bool // groups and instances with smtp_alert
	faults  bool            // FAULT too: no no_email_faults
}

func smtpAlerts(state desired.State) mailed {
	m := mailed{targets: make(map[target]bool), faults: !state.Daemon.Mail.NoEmailFaults}
	for _, u := range state.Units {
		if u.SMTPAlert {
			m.targets[target{u.Spec.Name, ""}] = true
		}
		for name, wanted := range u.Alerts {
			if wanted {
				m.targets[target{u.Spec.Name, name}] = true
			}
		}
	}
	return m
}

func (m mailed) wants(e observed.Event) bool {
	return e.Kind == observed.StateChanged && m.targets[target{e.Unit, e.Instance}] && (m.faults || e.To != vrrp.Fault.String())
}

// relay is the mail server with the envelope of its mails; false: nothing is
// mailed. The sender is root on this machine unless the document says another.
func relay(m desired.Mail, to []string) (alert.Relay, bool) {
	if m.Server == "" || len(to) == 0 {
		return alert.Relay{}, false
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	r := alert.Relay{
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
