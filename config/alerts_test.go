package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

func TestAlertsGoToWhomTheDocumentNames(t *testing.T) {
	const mail = "global_defs { smtp_server relay.example.org\n notification_email { root@example.org ops@example.org } }\n"
	tests := []struct {
		name, document string
		want           config.Alerts
	}{{
		name: "nobody without a word",
		want: config.Alerts{Level: config.LevelWarning},
	}, {
		name:     "the receivers of notification_email",
		document: mail,
		want:     config.Alerts{Level: config.LevelWarning, Email: []string{"root@example.org", "ops@example.org"}},
	}, {
		name:     "an empty alert_email is nobody",
		document: mail + "cluster { alert_email { } }",
		want:     config.Alerts{Level: config.LevelWarning},
	}, {
		name: "all words",
		document: mail + `cluster {
			alert_script "/bin/echo 'x y'" nobody nogroup
			alert_webhook https://a.example.org/1
			alert_webhook http://b.example.org/2
			alert_email { pager }
			alert_level info
		}`,
		want: config.Alerts{
			Script:   config.Command{Argv: []string{"/bin/echo", "x y"}, User: config.User{Name: "nobody", Group: "nogroup"}},
			Webhooks: []string{"https://a.example.org/1", "http://b.example.org/2"},
			Email:    []string{"pager"},
			Level:    config.LevelInfo,
		},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, findings := config.Compile(syntax.Parse("f", tt.document), "lb01")
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			got, want := cfg.Cluster.Alerts, tt.want
			if !slices.Equal(got.Script.Argv, want.Script.Argv) || got.Script.User != want.Script.User || got.Level != want.Level ||
				!slices.Equal(got.Webhooks, want.Webhooks) || !slices.Equal(got.Email, want.Email) {
				t.Errorf("Alerts = %+v, want %+v", got, want)
			}
		})
	}
}

func TestSettingOneOfSeveralWebhooksIsRefused(t *testing.T) {
	doc := syntax.Parse("f", "cluster {\n    alert_webhook http://a/\n}\n")
	if text, err := config.Set(doc, "cluster", "alert_webhook", "http://c/", ""); err != nil || !strings.Contains(text, "alert_webhook http://c/") {
		t.Errorf("Set = %q, %v; want the only line changed", text, err)
	}
	doc = syntax.Parse("f", "cluster {\n    alert_webhook http://a/\n    alert_webhook http://b/\n}\n")
	if _, err := config.Set(doc, "cluster", "alert_webhook", "http://c/", ""); err == nil || !strings.Contains(err.Error(), "f:3:5: alert_webhook stands on several lines") {
		t.Errorf("Set = %v, want it refused: the other line would be lost", err)
	}
}

func TestURLsOfWebhooksAreHidden(t *testing.T) {
	got := config.Redact("cluster {\n    alert_webhook https://hooks.example.org/T0/s3cret\n    alert_level info\n}\n")
	if strings.Contains(got, "s3cret") || !strings.Contains(got, "alert_webhook ***\n    alert_level info") {
		t.Errorf("Redact = %s", got)
	}
}

func TestMachineKnowsWhichProgramsExist(t *testing.T) {
	var m config.Machine
	for program, want := range map[string]bool{"/bin/sh": true, "sh": true, "/etc/passwd": true, "/no/such/program": false, "no-such-program": false} {
		if got := m.HasProgram(program); got != want {
			t.Errorf("HasProgram(%s) = %v, want %v", program, got, want)
		}
	}
}
