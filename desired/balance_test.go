package desired_test

import (
	"errors"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
	"github.com/hacluster/hacluster/lvs/director"
)

// directed compiles a document and translates what it balances. The words need not
// be run anywhere for that.
func directed(t *testing.T, text string) director.Desired {
	t.Helper()
	d, err := balanceOf(t, text).Director(account)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func balanceOf(t *testing.T, text string) desired.Balance {
	t.Helper()
	cfg, findings := config.Compile(syntax.Parse("f", text), "lb01")
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	return desired.For(cfg).Balance
}

// account knows root and nobody.
func account(u desired.User) (*run.User, error) {
	switch u.Name {
	case "", "root":
		return nil, nil
	case "nobody":
		return &run.User{Name: "nobody", UID: 65534}, nil
	default:
		return nil, errors.New("unknown user " + u.Name)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	patterns := cmp.Comparer(func(a, b *regexp.Regexp) bool { return reflect.DeepEqual(a, b) })
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}), cmpopts.EquateEmpty(), patterns); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

var port = netip.MustParseAddrPort

const balanced = `
global_defs { enable_script_security
	lvs_timeouts tcp 7200 }
virtual_server 192.0.2.1 80 {
	delay_loop 6
	lvs_sched wrr
	lvs_method DR
	protocol TCP
	persistence_timeout 600
	persistence_granularity 255.255.255.0
	ha_suspend
	omega
	quorum 3
	hysteresis 1
	quorum_up "/bin/up now" nobody
	quorum_down /bin/down root
	sorry_server 127.0.0.1 8080
	sorry_server_inhibit
	smtp_alert
	real_server 10.0.0.1 8080 {
		weight 2
		inhibit_on_failure
		uthreshold 100
		lthreshold 50
		notify_up /bin/r root
		TCP_CHECK { connect_port 81 }
	}
	real_server 10.0.0.2 {
		lvs_method TUN type gue port 6080 csum
	}
}
`

func TestAVirtualServer(t *testing.T) {
	d := directed(t, balanced)
	if len(d.Services) != 1 {
		t.Fatalf("%d services, want 1", len(d.Services))
	}
	s := d.Services[0]
	checks := s.Servers[0].Checks
	s.Servers[0].Checks = nil
	same(t, "service", s, director.Service{
		Name:     "tcp 192.0.2.1:80",
		Keys:     []lvs.Key{{Protocol: lvs.TCP, Address: port("192.0.2.1:80")}},
		Settings: lvs.Settings{Scheduler: "wrr", Persistence: lvs.Persistence{Timeout: 10 * time.Minute, MaskBits: 24}},
		Quorum:   3, Hysteresis: 1, Omega: true, HASuspend: true, Alert: true,
		QuorumUp:   run.Command{Argv: []string{"/bin/up", "now"}, User: &run.User{Name: "nobody", UID: 65534}, Timeout: time.Minute, Secure: true},
		QuorumDown: run.Command{Argv: []string{"/bin/down"}, Timeout: time.Minute, Secure: true},
		Sorry:      &director.SorryServer{Server: lvs.Server{Address: port("127.0.0.1:80"), Method: lvs.DR, Weight: 1}, Inhibit: true},
		Servers: []director.Server{{
			// DR leaves the port as it is.
			Server:   lvs.Server{Address: port("10.0.0.1:80"), Method: lvs.DR, Weight: 2, UpperThreshold: 100, LowerThreshold: 50},
			Inhibit:  true,
			NotifyUp: run.Command{Argv: []string{"/bin/r"}, Timeout: time.Minute, Secure: true},
			Alert:    true,
		}, {
			Server: lvs.Server{
				Address: port("10.0.0.2:80"), Method: lvs.TUN, Weight: 1,
				Tunnel: lvs.Tunnel{Type: lvs.GUE, Port: 6080, Checksum: lvs.OuterChecksum},
			},
			Alert: true,
		}},
	})
	same(t, "checks", checks, []director.Check{{
		Checker:  check.TCP{Target: check.Target{Addr: port("10.0.0.1:81"), Timeout: 5 * time.Second}},
		Settings: check.Settings{DelayLoop: 6 * time.Second, Warmup: 6 * time.Second, DelayBeforeRetry: time.Second, Retry: 1},
	}})
	if got := *balanceOf(t, balanced).Timeouts.TCP; got != 2*time.Hour {
		t.Errorf("TCP timeout %v, want 2h", got)
	}
}

func TestWhatAVirtualServerStandsFor(t *testing.T) {
	tests := []struct {
		name, document string
		services       []string // names
		keys           []string // of all
	}{
		{"a mark of each family", `
			virtual_server fwmark 5 { real_server 10.0.0.1 80 { } }
			virtual_server fwmark 5 { ip_family inet6
				real_server 2001:db8::1 80 { } }`,
			[]string{"fwmark 5 ipv4", "fwmark 5 ipv6"}, []string{"fwmark 5 ipv4", "fwmark 5 ipv6"}},
		{"a group of addresses and marks", `
			virtual_server_group G {
				192.0.2.1-3 80
				fwmark 7
			}
			virtual_server group G { protocol UDP
				real_server 10.0.0.1 80 { } }`,
			[]string{"udp group G"}, []string{"udp 192.0.2.1:80", "udp 192.0.2.2:80", "udp 192.0.2.3:80", "fwmark 7 ipv4"}},
		{"an address of two protocols", `
			virtual_server 2001:db8::1 53 { protocol TCP
				real_server 2001:db8::2 53 { } }
			virtual_server 2001:db8::1 53 { protocol UDP
				real_server 2001:db8::2 53 { } }`,
			[]string{"tcp [2001:db8::1]:53", "udp [2001:db8::1]:53"}, []string{"tcp [2001:db8::1]:53", "udp [2001:db8::1]:53"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var names, keys []string
			for _, s := range directed(t, tt.document).Services {
				names = append(names, s.Name)
				for _, k := range s.Keys {
					keys = append(keys, k.String())
				}
			}
			same(t, "names", names, tt.services)
			same(t, "keys", keys, tt.keys)
		})
	}
}

func TestCheckersOfARealServer(t *testing.T) {
	target := check.Target{Addr: port("10.0.0.1:80"), Timeout: 5 * time.Second}
	usual := check.Settings{DelayLoop: 6 * time.Second, Warmup: 6 * time.Second, DelayBeforeRetry: time.Second, Retry: 1}
	with := func(change func(*check.Settings)) check.Settings {
		s := usual
		change(&s)
		return s
	}
	tests := []struct {
		name, text string
		checker    check.Checker
		settings   check.Settings
	}{
		{"a target of its own", `TCP_CHECK {
				connect_ip 10.0.0.9
				connect_port 81
				bindto 10.0.0.3
				bind_port 99
				bind_if eth5
				fwmark 3
				connect_timeout 2
				retry 4
				delay_before_retry 3
				warmup 0
				alpha
				log_all_failures
			}`,
			check.TCP{Target: check.Target{Addr: port("10.0.0.9:81"), Bind: port("10.0.0.3:99"), Interface: "eth5", Mark: 3, Timeout: 2 * time.Second}},
			check.Settings{DelayLoop: 6 * time.Second, DelayBeforeRetry: 3 * time.Second, Retry: 4, Alpha: true, LogAllFailures: true}},
		{"http", `HTTP_GET {
				http_protocol 1.0c
				url {
					path /a
					status_code 200-204 301
					virtualhost www.example.org
					regex "ok[0-9]"
					regex_options caseless
					regex_no_match
					regex_max_offset 100
				}
			}`,
			check.HTTP{Target: target, Protocol: check.HTTP10Close, URLs: []check.URL{{
				Path: "/a", Status: []check.StatusRange{{First: 200, Last: 204}, {First: 301, Last: 301}}, VirtualHost: "www.example.org",
				Pattern: regexp.MustCompile("(?i)ok[0-9]"), NoMatch: true, MaxOffset: 100,
			}}},
			with(func(s *check.Settings) { s.DelayBeforeRetry = 3 * time.Second })},
		{"https", `SSL_GET {
				http_protocol 2
				sni_name www.example.org
				tls_compliant
				url { path /
					digest 640205b7b0fc66c1ea91c463fac6334d }
			}`,
			check.HTTP{Target: target, Protocol: check.HTTP2, TLS: &check.TLS{ServerName: "www.example.org", Compliant: true}, URLs: []check.URL{{
				Path: "/", Status: []check.StatusRange{{First: 200, Last: 299}}, Digest: "640205b7b0fc66c1ea91c463fac6334d",
			}}},
			with(func(s *check.Settings) { s.DelayBeforeRetry = 3 * time.Second })},
		{"mail", `SMTP_CHECK { helo_name lb.example.org }`, check.SMTP{Target: target, Helo: "lb.example.org"}, usual},
		{"names", `DNS_CHECK { type A
				name www.example.org }`, check.DNS{Target: target, Type: "A", Name: "www.example.org"},
			with(func(s *check.Settings) { s.DelayBeforeRetry, s.Retry = 6*time.Second, 3 })},
		{"a program", `MISC_CHECK { misc_path "/bin/check it"
				misc_timeout 2
				misc_dynamic
				user nobody }`,
			check.Misc{Command: run.Command{Argv: []string{"/bin/check", "it"}, User: &run.User{Name: "nobody", UID: 65534}, Timeout: 2 * time.Second}, Dynamic: true},
			with(func(s *check.Settings) { s.Retry = 0 })},
		{"a datagram", `UDP_CHECK { payload 0102
				require_reply 01
				max_reply_length 9 }`,
			check.UDP{Target: target, Payload: []byte{1, 2}, RequireReply: true, Reply: []byte{1}, ReplyMask: []byte{0}, MaxReply: 9}, usual},
		{"an echo", `PING_CHECK { }`, check.Ping{Target: target}, usual},
		{"a file, which is read often", `FILE_CHECK { track_file load
				weight 2 reverse }`,
			check.File{Path: "/run/load", Weight: 2, Reverse: true}, check.Settings{DelayLoop: time.Second, DelayBeforeRetry: time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := directed(t, `
				track_file load { file /run/load }
				virtual_server 192.0.2.1 80 {
					delay_loop 6
					protocol TCP
					real_server 10.0.0.1 80 {
						`+tt.text+`
					}
				}`)
			same(t, "checks", d.Services[0].Servers[0].Checks, []director.Check{{Checker: tt.checker, Settings: tt.settings}})
		})
	}
}

func TestWhoSendsConnections(t *testing.T) {
	const instance = `
		vrrp_instance V { interface eth0
			virtual_router_id 51
			virtual_ipaddress { 192.0.2.1 } }
		global_defs { lvs_sync_daemon eth0 `
	daemon := func(r lvs.Role, id uint8) lvs.SyncDaemon {
		return lvs.SyncDaemon{Role: r, Interface: "eth0", ID: id, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1}
	}
	tests := []struct {
		name, document string
		master         bool
		want           []lvs.SyncDaemon
	}{
		{"its instance is MASTER", instance + "V }", true, []lvs.SyncDaemon{daemon(lvs.SyncMaster, 51)}},
		{"its instance is not", instance + "V }", false, []lvs.SyncDaemon{daemon(lvs.SyncBackup, 51)}},
		{"it has none", instance + "}", false, []lvs.SyncDaemon{daemon(lvs.SyncMaster, 0), daemon(lvs.SyncBackup, 0)}},
		{"there is no daemon", "", true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := balanceOf(t, tt.document)
			same(t, "daemons", b.SyncDaemons(tt.master), tt.want)
			if b.Idle() != (tt.want == nil) {
				t.Errorf("Idle = %v", b.Idle())
			}
		})
	}
}

func TestAScriptOfNobodyIsRefused(t *testing.T) {
	_, err := balanceOf(t, `virtual_server 192.0.2.1 80 { protocol TCP
		real_server 10.0.0.1 80 { notify_down /bin/x
		} }`).Director(func(desired.User) (*run.User, error) { return nil, errors.New("no such user") })
	want := "virtual_server 192.0.2.1 80: real_server 10.0.0.1:80: notify_down: no such user"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// The director goes by names: an edit must not make another service of one.
func TestServicesKeepTheirNamesOverEdits(t *testing.T) {
	before, after := directed(t, balanced), directed(t, strings.ReplaceAll(balanced, "lvs_sched wrr", "lvs_sched rr\n\talpha"))
	if before.Services[0].Name != after.Services[0].Name || before.Services[0].Scheduler == after.Services[0].Scheduler {
		t.Errorf("before %q, after %q", before.Services[0].Name, after.Services[0].Name)
	}
	if again := directed(t, balanced); !reflect.DeepEqual(before, again) {
		t.Error("two translations of one document differ; a reload would change what runs")
	}
}
