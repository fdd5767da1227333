package alert

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
)

// mailing is a document with a group and an instance of its own; the words
// given go into global_defs.
func mailing(t *testing.T, words string) desired.State {
	t.Helper()
	cfg, findings := config.Compile(syntax.Parse("f", fmt.Sprintf(`
global_defs {
	smtp_server 192.0.2.25
	notification_email_from "HA <ha@example.org>"
	notification_email { ops@example.org }
	%s
}
vrrp_sync_group G1 {
	group { A B }
	smtp_alert
}
vrrp_instance A {
	interface eth0
	virtual_router_id 1
	virtual_ipaddress { 192.0.2.1 }
}
vrrp_instance B {
	interface eth0
	virtual_router_id 2
	virtual_ipaddress { 192.0.2.2 }
}
vrrp_instance C {
	interface eth0
	virtual_router_id 3
	virtual_ipaddress { 192.0.2.3 }
	smtp_alert
}
cluster { alert_webhook http://192.0.2.80/a
	alert_webhook http://192.0.2.81/b }
`, words)), "lb01")
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	return desired.For(cfg)
}

func TestReceiversAreThoseOfTheDocument(t *testing.T) {
	a := NewDesk(slog.New(slog.DiscardHandler), observed.NewHub(), everything)
	var names []string
	for _, r := range a.receivers(mailing(t, "")) {
		names = append(names, r.name)
	}
	if want := []string{"alert_webhook 192.0.2.80", "alert_webhook 192.0.2.81", "alert_email", "smtp_alert"}; !slices.Equal(names, want) {
		t.Errorf("receivers = %q, want %q", names, want)
	}
	if got := a.receivers(desired.State{}); len(got) != 0 {
		t.Errorf("receivers without a configuration = %+v, want none", got)
	}
	r, ok := relayOf(mailing(t, "").Daemon.Mail, []string{"x"})
	if !ok || r.Server != "192.0.2.25:25" || r.From != "ha@example.org" || r.ConnectTimeout != 30*time.Second || r.Hello == "" {
		t.Errorf("relay = %+v, %v", r, ok)
	}
}

func TestMailedAreGroupsAndInstancesWithSMTPAlert(t *testing.T) {
	tests := []struct {
		name, words string
		want        []router
	}{
		{"where it stands", "", []router{{"C", "C"}, {"G1", ""}}},
		{"everywhere by global_defs", "smtp_alert", []router{{"C", "C"}, {"G1", ""}, {"G1", "A"}, {"G1", "B"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := smtpAlerts(mailing(t, tt.words)).targets
			for _, want := range tt.want {
				if !got[want] {
					t.Errorf("%v is not mailed", want)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("mailed = %v, want %v", got, tt.want)
			}
		})
	}
}

// told is a Deliverer that notes what it is told. Two of a name are equal to
// the node.
type told struct {
	name string
	log  *notes
}

type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.lines
	n.lines = nil
	return out
}

func (r told) Deliver(_ context.Context, changes []observed.Event) error {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	for _, e := range changes {
		r.log.lines = append(r.log.lines, r.name+" "+e.To)
	}
	return nil
}

func TestReceiversChangeWithoutLossOrRepetition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, log := observed.NewHub(), &notes{}
		a := NewDesk(slog.New(slog.DiscardHandler), hub, everything)
		events := Events(hub, func(observed.Event) bool { return true })
		to := func(key, name string) receiver { return tell(key, name, nil, events, told{name, log}) }
		running := make(map[string]*delivery)
		want := func(when string, lines ...string) {
			t.Helper()
			time.Sleep(2 * time.Second)
			got := log.take()
			slices.Sort(got)
			if !slices.Equal(got, lines) {
				t.Errorf("%s: told %q, want %q", when, got, lines)
			}
		}
		hub.Record(observed.Event{To: "1"})
		a.replace(t.Context(), running, []receiver{to("mail", "old")}, true)
		want("the first receiver is told everything", "old 1")

		first := running["mail"]
		a.replace(t.Context(), running, []receiver{to("mail", "old"), to("hook", "hook")}, false)
		if running["mail"] != first {
			t.Error("a receiver that did not change was started anew")
		}
		hub.Record(observed.Event{To: "2"})
		want("a later one is told what happens from then on", "hook 2", "old 2")

		hub.Record(observed.Event{To: "3"})
		a.replace(t.Context(), running, []receiver{to("mail", "new")}, false)
		want("those that end have a last attempt", "hook 3", "old 3")
		hub.Record(observed.Event{To: "4"})
		want("the new one goes on where the old one stood", "new 4")
		a.replace(t.Context(), running, nil, false)
	})
}

func TestFaultsAreNotMailedWithNoEmailFaults(t *testing.T) {
	for words, want := range map[string]bool{"": true, "no_email_faults": false} {
		m := smtpAlerts(mailing(t, words))
		e := observed.Event{Kind: observed.StateChanged, Unit: "C", Instance: "C", To: vrrp.Fault.String()}
		if got := m.wants(e); got != want {
			t.Errorf("with %q a fault is mailed: %v, want %v", words, got, want)
		}
		if e.To = vrrp.Master.String(); !m.wants(e) {
			t.Errorf("with %q MASTER is not mailed", words)
		}
	}
}

func TestMailedAreServicesAndServersWithSMTPAlert(t *testing.T) {
	state := mailing(t, `
}
virtual_server 192.0.2.1 80 {
	protocol TCP
	lvs_method DR
	smtp_alert
	real_server 10.0.0.1 8080 { }
	real_server 10.0.0.2 80 { smtp_alert off
	}
}
virtual_server fwmark 5 {
	real_server 10.0.0.1 80 { smtp_alert off
	}
}
global_defs {`)
	m := smtpAlerts(state)
	tests := []struct {
		name            string
		kind            director.ChangeKind
		service, server string
		want            bool
	}{
		{"quorum of a service", director.QuorumLost, "tcp 192.0.2.1:80", "", true},
		{"the first quorum of it", director.QuorumGained, "tcp 192.0.2.1:80", "", true},
		{"a server, where the table has it", director.ServerDown, "tcp 192.0.2.1:80", "10.0.0.1:80", true},
		{"a weight", director.ServerWeight, "tcp 192.0.2.1:80", "10.0.0.1:80", false},
		{"a server without it", director.ServerDown, "tcp 192.0.2.1:80", "10.0.0.2:80", false},
		{"a service without it", director.QuorumLost, "fwmark 5 ipv4", "", false},
	}
	for _, tt := range tests {
		c := director.Change{Kind: tt.kind, Service: tt.service}
		if tt.server != "" {
			c.Server = netip.MustParseAddrPort(tt.server)
		}
		if got := m.wants(observed.FromDirector(c)); got != tt.want {
			t.Errorf("%s is mailed: %v, want %v", tt.name, got, tt.want)
		}
	}
}
