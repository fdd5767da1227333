package config_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

const fenced = `vrrp_instance A {
    interface eth0
    virtual_router_id 5
    virtual_ipaddress { 192.0.2.1 }
    split_brain {
        policy quorum
        lease 0.75
        fence_after 5
        fence_first lb01
        fence_delay 50
        fence_timeout 40
        fence_agent lb02 fence_ipmilan {
            ip 10.0.0.2
            passwd "a secret"
            snmp_priv_passwd other
        }
        fence_agent lb01 /opt/fence_x {
            action off
        }
    }
}
`

func compiled(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, findings := config.Compile(syntax.Parse("f", text), "lb01")
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestSplitBrainIsReadWithAllItsWords(t *testing.T) {
	got := compiled(t, fenced).Instances[0].SplitBrain
	want := config.SplitBrain{
		Policy: config.PolicyQuorum, Lease: 750 * time.Millisecond, KernelLease: true, FollowForeign: true,
		Fencing: config.Fencing{
			After: 5 * time.Second, First: "lb01", Delay: 50 * time.Second, Timeout: 40 * time.Second,
			Agents: []config.FenceAgent{{
				Node: "lb02", Program: "fence_ipmilan", Action: config.FenceReboot,
				Options: []config.FenceOption{{"ip", "10.0.0.2"}, {"passwd", "a secret"}, {"snmp_priv_passwd", "other"}},
			}, {
				Node: "lb01", Program: "/opt/fence_x", Action: config.FenceOff,
			}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("SplitBrain = %+v, want %+v", got, want)
	}
}

func TestPrintingAFenceAgentChangesNothing(t *testing.T) {
	nodes, errs := syntax.Parse("f", fenced).Expand(syntax.Options{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if again := compiled(t, syntax.Print(nodes)); !config.Equal(again, compiled(t, fenced)) {
		t.Errorf("printed and read again:\n%s", syntax.Print(nodes))
	}
	plain, err := config.Render(syntax.Parse("f", fenced), "lb01")
	if err != nil || strings.Contains(plain, "fence") || strings.Contains(plain, "split_brain") {
		t.Errorf("for keepalived (%v):\n%s", err, plain)
	}
}

func TestAnEmptySplitBrainSaysWhatNoneSays(t *testing.T) {
	with := strings.Replace(fenced[:strings.Index(fenced, "    split_brain")], "192.0.2.1 }", "192.0.2.1 }\n    split_brain { }", 1) + "}\n"
	without := strings.Replace(with, "    split_brain { }\n", "", 1)
	if !config.Equal(compiled(t, with), compiled(t, without)) {
		t.Error("an empty split_brain block changes the configuration")
	}
}

func TestSecretsOfFenceAgentsAreHidden(t *testing.T) {
	got := config.Redact("$T=s3cret-3\n" + fenced + "fence_agent n f { passwd s3cret-1\n}\n+  aws_secret_key 's3cret-2'\n-  @lb01 token ${T}\n  password_script /s3cret\n")
	for _, secret := range []string{"a secret", "other", "s3cret"} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is shown:\n%s", secret, got)
		}
	}
	if !strings.Contains(got, "ip 10.0.0.2") || !strings.Contains(got, "passwd ***") {
		t.Errorf("Redact = %s", got)
	}
}

// S17, S69: no lease is shorter than the protocol and the machine can keep.
func TestALeaseFollowsTheAdvertInterval(t *testing.T) {
	mesh := config.SplitBrain{KernelLease: true}
	for _, tt := range []struct {
		name   string
		sb     config.SplitBrain
		advert time.Duration
		want   time.Duration
	}{
		{"two intervals", mesh, time.Second, 2 * time.Second},
		{"no less than the protocol can do", mesh, 100 * time.Millisecond, 500 * time.Millisecond},
		{"no less than the lifetime of addresses can do", config.SplitBrain{}, time.Second, 3 * time.Second},
		{"as the document says", config.SplitBrain{Lease: 700 * time.Millisecond, KernelLease: true}, time.Second, 700 * time.Millisecond},
	} {
		if got := tt.sb.LeaseFor(tt.advert); got != tt.want {
			t.Errorf("%s: LeaseFor(%v) = %v, want %v", tt.name, tt.advert, got, tt.want)
		}
	}
}

func TestTheLongestLeaseIsOfUnitsWithPolicyQuorum(t *testing.T) {
	cfg := compiled(t, fenced+strings.NewReplacer("A {", "B {", "id 5", "id 6", "2.1 ", "2.2 ", "quorum", "mesh", "0.75", "9").Replace(fenced))
	if got := cfg.LongestLease(); got != 750*time.Millisecond {
		t.Errorf("LongestLease = %v, want 750ms", got)
	}
}

func TestQuorumIsRefusedWithoutACluster(t *testing.T) {
	err := compiled(t, fenced).Alone().Err()
	if err == nil || !strings.Contains(err.Error(), "f:6:9: policy quorum needs the voters of a cluster") {
		t.Errorf("Alone = %v", err)
	}
	if err := compiled(t, strings.Replace(fenced, "quorum", "mesh", 1)).Alone().Err(); err != nil {
		t.Errorf("Alone = %v for policy mesh, want none", err)
	}
}

// S19, R6: an owner has its address before the daemon runs, and asks nobody.
func TestQuorumIsRefusedToTheOwnerOfAnAddress(t *testing.T) {
	owner := func(policy string) error {
		text := strings.Replace(strings.Replace(fenced, "quorum", policy, 1), "interface eth0", "interface eth0\n    priority 255", 1)
		_, findings := config.Compile(syntax.Parse("f", text), "lb01")
		return findings.Err()
	}
	if err := owner("quorum"); err == nil || !strings.Contains(err.Error(), "priority 255 is for the owner of an address") {
		t.Errorf("policy quorum with priority 255: %v, want it refused", err)
	}
	if err := owner("mesh"); err != nil {
		t.Errorf("policy mesh with priority 255: %v, want none", err)
	}
}

func TestAWitnessRunsNothingOfTheDocument(t *testing.T) {
	doc := syntax.Parse("f", fenced+"cluster { heartbeat_interval 0.5 }\n@lb01 static_ipaddress {\n@lb01 192.0.2.7\n@lb01 }\n")
	members := []config.Member{{"lb01", config.RoleVoter}, {"lb02", config.RoleVoter}, {"w", config.RoleWitness}}
	cfgs, findings := config.CompileCluster(doc, members)
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	w := cfgs["w"]
	if len(w.Instances) > 0 || len(w.Addresses) > 0 || w.Cluster.HeartbeatInterval != 500*time.Millisecond {
		t.Errorf("the witness has %+v", w)
	}
}
