package config_test

import (
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

// virtualServers compiles a document that must have no errors.
func virtualServers(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, findings := config.Compile(syntax.Parse("f", text), "lb01")
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestVirtualServersHaveKeepalivedsDefaults(t *testing.T) {
	cfg := virtualServers(t, "virtual_server 192.0.2.1 80 {\n protocol TCP\n real_server 10.0.0.1 { TCP_CHECK { } }\n}")
	nat := config.Forward{Method: config.NAT}
	address := netip.MustParseAddrPort("10.0.0.1:80")
	want := config.VirtualServer{
		Name:      "192.0.2.1 80",
		Address:   netip.MustParseAddrPort("192.0.2.1:80"),
		Protocol:  config.TCP,
		Scheduler: "wlc",
		Quorum:    1,
		RealServers: []config.RealServer{{
			Address: address, Weight: 1, Forward: nat, SMTPAlert: true,
			Checkers: []config.Checker{{
				Kind: config.TCPCheck, Connect: address, ConnectTimeout: 5 * time.Second,
				DelayLoop: time.Minute, Warmup: time.Minute, DelayBeforeRetry: time.Second, Retry: 1,
			}},
		}},
	}
	if got := cfg.VirtualServers[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("VirtualServer = %+v\nwant %+v", got, want)
	}
}

func TestEachKindOfCheckHasItsOwnDefaults(t *testing.T) {
	tests := []struct {
		check   string
		retry   int
		between time.Duration
	}{
		{"TCP_CHECK { }", 1, time.Second},
		{"PING_CHECK { }", 1, time.Second},
		{"SMTP_CHECK { }", 1, time.Second},
		{"UDP_CHECK { }", 1, time.Second},
		{"HTTP_GET { url { path / } }", 1, 3 * time.Second},
		{"SSL_GET { url { path / } }", 1, 3 * time.Second},
		{"DNS_CHECK { }", 3, 7 * time.Second},
		{"MISC_CHECK { misc_path /bin/true }", 0, time.Second},
	}
	for _, tt := range tests {
		cfg := virtualServers(t, "virtual_server 192.0.2.1 80 {\n delay_loop 7\n protocol TCP\n real_server 10.0.0.1 80 { "+tt.check+" }\n}")
		k := cfg.VirtualServers[0].RealServers[0].Checkers[0]
		if k.Retry != tt.retry || k.DelayBeforeRetry != tt.between || k.DelayLoop != 7*time.Second || k.Warmup != 7*time.Second {
			t.Errorf("%s has retry %d after %v each %v, warmup %v; want %d after %v each 7s, warmup 7s",
				tt.check, k.Retry, k.DelayBeforeRetry, k.DelayLoop, k.Warmup, tt.retry, tt.between)
		}
	}
}

func TestTheInnerBlockSaysWhatCounts(t *testing.T) {
	cfg := virtualServers(t, `
global_defs {
	checker_log_all_failures
	smtp_alert off
}
virtual_server 192.0.2.1 80 {
	real_server 10.0.0.1 {
		weight 0
		lvs_method DR
		retry 2
		alpha off
		inhibit_on_failure no
		virtualhost of.real
		HTTP_GET {
			url { path /1 }
			url {
				path /2
				virtualhost of.url
			}
			enable_sni
			retry 0
			delay_loop 1
			log_all_failures off
		}
		MISC_CHECK { misc_path "/bin/echo 'a b' c" }
	}
	real_server 10.0.0.2 {
		smtp_alert
		SSL_GET {
			virtualhost of.check
			enable_sni
			url { path / }
			nb_get_retry 5
		}
	}
	# What stands behind the real servers counts for them too.
	protocol TCP
	lvs_method TUN type gue port 6080 csum
	weight 5
	retry 4
	alpha
	warmup 0
	connect_timeout 2.5
	delay_before_retry 1.5
	inhibit_on_failure
	virtualhost of.virtual
}`)
	vs := cfg.VirtualServers[0]
	one, two := vs.RealServers[0], vs.RealServers[1]
	if one.Weight != 0 || one.Forward.Method != config.DR || one.InhibitOnFailure || one.SMTPAlert {
		t.Errorf("first real server = %+v, want its own words", one)
	}
	gue := config.Forward{Method: config.TUN, Tunnel: config.GUE, Port: 6080, Checksum: config.OuterChecksum}
	if two.Weight != 5 || two.Forward != gue || !two.InhibitOnFailure || !two.SMTPAlert {
		t.Errorf("second real server = %+v, want the words of the virtual server", two)
	}
	k := one.Checkers[0]
	if k.Retry != 0 || k.DelayLoop != time.Second || k.Alpha || k.LogAllFailures || k.Warmup != 0 || k.ConnectTimeout != 2500*time.Millisecond || k.DelayBeforeRetry != 1500*time.Millisecond {
		t.Errorf("first checker = %+v", k)
	}
	if k.HTTP.VirtualHost != "of.real" || k.HTTP.ServerName != "of.real" || k.HTTP.URLs[1].VirtualHost != "of.url" {
		t.Errorf("first checker's HTTP = %+v", k.HTTP)
	}
	misc := one.Checkers[1]
	if misc.Retry != 2 || misc.Misc.Timeout != time.Minute || !misc.LogAllFailures || !reflect.DeepEqual(misc.Misc.Command.Argv, []string{"/bin/echo", "a b", "c"}) {
		t.Errorf("MISC_CHECK = %+v %+v", misc, misc.Misc)
	}
	ssl := two.Checkers[0]
	if ssl.Retry != 5 || !ssl.Alpha || ssl.HTTP.ServerName != "of.check" {
		t.Errorf("second checker = %+v %+v", ssl, ssl.HTTP)
	}
}

func TestCheckersConnectWhereTheirWordsSay(t *testing.T) {
	cfg := virtualServers(t, `
virtual_server fwmark 5 {
	real_server 10.0.0.1 {
		TCP_CHECK {
			connect_port 81
			connect_ip 2001:db8::9
			bindto 2001:db8::1
			bind_port 1024
			bind_if eth1
			fwmark 7
		}
		SMTP_CHECK {
			bind_port 1025
			host { connect_ip 10.0.0.2 }
			host {
				connect_ip 10.0.0.3
				connect_port 26
			}
		}
		DNS_CHECK { }
		PING_CHECK { }
	}
}`)
	var got []string
	for _, k := range cfg.VirtualServers[0].RealServers[0].Checkers {
		got = append(got, string(k.Kind)+" "+k.Connect.String())
	}
	want := []string{
		"TCP_CHECK [2001:db8::9]:81", "SMTP_CHECK 10.0.0.2:25", "SMTP_CHECK 10.0.0.3:26", "DNS_CHECK 10.0.0.1:53", "PING_CHECK 10.0.0.1:0",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("checkers %q, want %q", got, want)
	}
	tcp := cfg.VirtualServers[0].RealServers[0].Checkers[0]
	if tcp.Bind != netip.MustParseAddrPort("[2001:db8::1]:1024") || tcp.BindInterface != "eth1" || tcp.Fwmark != 7 {
		t.Errorf("TCP_CHECK = %+v", tcp)
	}
	if smtp := cfg.VirtualServers[0].RealServers[0].Checkers[1]; smtp.Bind.Port() != 1025 || smtp.Bind.Addr().IsValid() {
		t.Errorf("SMTP_CHECK binds to %v, want port 1025 of any address", smtp.Bind)
	}
}

func TestChecksGoToThePortThatServes(t *testing.T) {
	for document, want := range map[string]uint16{
		"virtual_server 192.0.2.1 80 {\n protocol TCP\n real_server 10.0.0.1":                                                   80,
		"virtual_server 192.0.2.1 80 {\n protocol TCP\n real_server 10.0.0.1 81":                                                81,
		"virtual_server 192.0.2.1 80 {\n protocol TCP\n lvs_method DR\n real_server 10.0.0.1 81":                                80,
		"virtual_server fwmark 5 {\n lvs_method DR\n real_server 10.0.0.1 81":                                                   81,
		"virtual_server_group G { 192.0.2.1-9 80 }\nvirtual_server group G {\n protocol TCP\n real_server 10.0.0.1":             80,
		"virtual_server_group G { 192.0.2.1-9 80 }\nvirtual_server group G {\n protocol TCP\n real_server 10.0.0.1 81":          81,
		"virtual_server 192.0.2.1 {\n persistence_timeout\n lvs_method DR\n protocol TCP\n real_server 10.0.0.1 81":             81,
		"virtual_server_group G { fwmark 5 }\nvirtual_server group G {\n protocol TCP\n lvs_method DR\n real_server 10.0.0.1 8": 8,
	} {
		cfg := virtualServers(t, document+" { TCP_CHECK { } }\n}")
		if got := cfg.VirtualServers[0].RealServers[0].Checkers[0].Connect.Port(); got != want {
			t.Errorf("%s\nis checked on port %d, want %d", document, got, want)
		}
	}
}

func TestGroupsListRangesAndMarks(t *testing.T) {
	cfg := virtualServers(t, `
virtual_server_group G {
	192.0.2.1-9 80
	192.0.2.250-192.0.3.3
	192.0.2.100/30 443
	2001:db8::1-1f 80
	2001:db8:1::/112
	192.0.2.200
	fwmark 5
	fwmark 6 inet6
}`)
	var got []string
	for _, e := range cfg.ServerGroups[0].Entries {
		if e.Fwmark != 0 {
			got = append(got, "mark "+e.Family)
			continue
		}
		got = append(got, e.First.String()+" "+netip.AddrPortFrom(e.Last, e.Port).String())
	}
	want := []string{
		"192.0.2.1 192.0.2.9:80", "192.0.2.250 192.0.3.3:0", "192.0.2.100 192.0.2.103:443", "2001:db8::1 [2001:db8::1f]:80",
		"2001:db8:1:: [2001:db8:1::ffff]:0", "192.0.2.200 192.0.2.200:0", "mark ", "mark inet6",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("entries %q\nwant %q", got, want)
	}
}

func TestAGroupStandsForServices(t *testing.T) {
	cfg := virtualServers(t, `
virtual_server_group G {
	192.0.2.1-2 80
	192.0.2.9 81
	fwmark 5
}
virtual_server group G {
	protocol TCP
	real_server 10.0.0.1 { }
	real_server 10.0.0.2 82 { }
	real_server 10.0.0.3 80 { lvs_method DR }
}`)
	var got []string
	v := cfg.VirtualServers[0]
	for s := range v.Services(cfg.ServerGroups[0]) {
		var line strings.Builder
		line.WriteString(s.String())
		for _, r := range v.RealServers {
			line.WriteString(" " + s.Server(r.Address, r.Forward).String())
		}
		got = append(got, line.String())
	}
	want := []string{
		"TCP 192.0.2.1:80 10.0.0.1:80 10.0.0.2:82 10.0.0.3:80",
		"TCP 192.0.2.2:80 10.0.0.1:80 10.0.0.2:82 10.0.0.3:80",
		"TCP 192.0.2.9:81 10.0.0.1:81 10.0.0.2:82 10.0.0.3:81",
		"fwmark 5 10.0.0.1:0 10.0.0.2:82 10.0.0.3:0",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("services %q\nwant %q", got, want)
	}
}

func TestAMarkHasTheFamilyOfItsServers(t *testing.T) {
	tests := []struct {
		name, words string
		want        bool
	}{
		{"an IPv4 server", "real_server 10.0.0.1", false},
		{"an IPv6 server", "real_server 2001:db8::1", true},
		{"behind tunnels of one family", "lvs_method TUN\n real_server 2001:db8::1", true},
		{"behind tunnels of both", "lvs_method TUN\n real_server 2001:db8::1 { }\n real_server 10.0.0.1", false},
		{"ip_family", "lvs_method TUN\n ip_family inet6\n real_server 10.0.0.1", true},
		{"a netmask", "lvs_method TUN\n persistence_timeout\n persistence_granularity 255.255.255.0\n real_server 2001:db8::1", false},
		{"a prefix", "lvs_method TUN\n persistence_timeout\n persistence_granularity 64\n real_server 10.0.0.1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := virtualServers(t, "virtual_server fwmark 5 {\n "+tt.words+" { }\n}")
			if got := cfg.VirtualServers[0].IPv6; got != tt.want {
				t.Errorf("IPv6 = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSchedulersHaveTheirFlags(t *testing.T) {
	for words, want := range map[string]config.SchedulerFlags{
		"lvs_sched sh\n sh-port":                      {Flag2: true},
		"mh-fallback\n lvs_sched mh":                  {Flag1: true},
		"lvs_sched sh\n mh-port\n sh-fallback":        {Flag1: true},
		"lvs_sched wlc\n flag-3\n flag-1\n sh-port":   {Flag1: true, Flag3: true},
		"protocol UDP\n ops\n sh-port\n lvs_sched sh": {OnePacket: true, Flag2: true},
	} {
		cfg := virtualServers(t, "virtual_server 192.0.2.1 80 {\n protocol TCP\n "+words+"\n real_server 10.0.0.1 80 { }\n}")
		if got := cfg.VirtualServers[0].Flags; got != want {
			t.Errorf("flags of %q = %+v, want %+v", words, got, want)
		}
	}
}

func TestUDPChecksTakeFreeHexadecimal(t *testing.T) {
	cfg := virtualServers(t, `
virtual_server 192.0.2.1 53 {
	protocol UDP
	real_server 10.0.0.1 53 {
		UDP_CHECK {
			payload Ab12f 3 4
			require_reply 1xX2 x
			max_reply_length 20
		}
	}
}`)
	got := cfg.VirtualServers[0].RealServers[0].Checkers[0].UDP
	want := &config.UDPExchange{
		Payload: []byte{0xab, 0x12, 0x0f, 0x03, 0x04}, RequireReply: true,
		Reply: []byte{0x10, 0x02, 0}, ReplyMask: []byte{0x0f, 0xf0, 0x0f}, MaxReply: 20,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("UDP = %+v, want %+v", got, want)
	}
}

func TestTheSyncDaemonFollowsAnInstance(t *testing.T) {
	const instance = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress { 192.0.2.1 }\n}\n"
	group := netip.MustParseAddr("224.0.0.81")
	for line, want := range map[string]config.SyncDaemon{
		"eth1":           {Interface: "eth1", Port: 8848, TTL: 1, Group: group},
		"eth1 VI_1":      {Interface: "eth1", Instance: "VI_1", ID: 51, Port: 8848, TTL: 1, Group: group},
		"eth1 VI_1 id 0": {Interface: "eth1", Instance: "VI_1", Port: 8848, TTL: 1, Group: group},
		"eth1 inst VI_1 id 3 maxlen 1400 port 9000 ttl 4 group ff02::81": {
			Interface: "eth1", Instance: "VI_1", ID: 3, MaxLen: 1400, Port: 9000, TTL: 4, Group: netip.MustParseAddr("ff02::81"),
		},
	} {
		cfg := virtualServers(t, instance+"global_defs { lvs_sync_daemon "+line+" }")
		if got := cfg.Global.SyncDaemon; got != want {
			t.Errorf("%s = %+v, want %+v", line, got, want)
		}
	}
}

func TestAFileCheckHasTheWeightOfItsFile(t *testing.T) {
	for words, want := range map[string]config.FileValue{
		"track_file load":                              {Path: "/run/load", Weight: -3, Reverse: true},
		"track_file load\n weight 1000":                {Path: "/run/load", Weight: 1000},
		"weight -2147483647 reverse\n track_file load": {Path: "/run/load", Weight: -2147483647, Reverse: true},
	} {
		cfg := virtualServers(t, "virtual_server 192.0.2.1 80 {\n protocol TCP\n alpha\n real_server 10.0.0.1 80 {\n FILE_CHECK {\n "+words+"\n }\n }\n}\n"+
			"track_file load {\n file /run/load\n weight -3 reverse\n}")
		k := cfg.VirtualServers[0].RealServers[0].Checkers[0]
		if *k.File != want || !k.Alpha || k.DelayLoop != 0 {
			t.Errorf("FILE_CHECK with %q = %+v %+v, want %+v", words, k, *k.File, want)
		}
	}
}

// What keepalived's samples say is the same after it was written anew.
func TestSamplesOfKeepalivedKeepTheirVirtualServers(t *testing.T) {
	services := 0
	for _, f := range samples(t) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		doc := syntax.Parse(f, string(text))
		before, findings := config.Compile(doc, "lb01")
		if findings.Err() != nil {
			continue // the one with the malformed address
		}
		nodes, _ := doc.Expand(syntax.Options{Node: "lb01"})
		after, _ := config.Compile(syntax.Parse("printed", syntax.Print(nodes)), "lb01")
		if !config.Equal(before, after) {
			t.Errorf("%s: another configuration after printing:\n%s", f, syntax.Print(nodes))
		}
		services += len(before.VirtualServers)
	}
	if services != 17 {
		t.Errorf("%d virtual servers in the samples, want 17", services)
	}
}

func TestProgramsOfVirtualServersAreLookedFor(t *testing.T) {
	cfg := virtualServers(t, `
virtual_server 192.0.2.1 80 {
	protocol TCP
	quorum_up /no/quorum
	real_server 10.0.0.1 80 {
		notify_down /no/notify
		MISC_CHECK { misc_path /no/misc }
		TCP_CHECK { bind_if eth7 }
	}
}`)
	want := []string{
		"f:4:2: warning: quorum_up of virtual_server 192.0.2.1 80: /no/quorum is missing",
		"f:6:3: warning: real_server 10.0.0.1:80 notify_down of virtual_server 192.0.2.1 80: /no/notify is missing",
		"f:7:3: warning: real_server 10.0.0.1:80 MISC_CHECK of virtual_server 192.0.2.1 80: /no/misc is missing",
		"f:8:3: warning: interface eth7 does not exist on this machine",
	}
	var got []string
	for _, f := range config.CheckOnNode(cfg, machine{"eth0"}, false) {
		got = append(got, f.String())
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("findings %q\nwant %q", got, want)
	}
}

func TestRangesDoNotGrowWithoutBound(t *testing.T) {
	var text strings.Builder
	for i := range 5 {
		fmt.Fprintf(&text, "virtual_server_group G%d {\n 10.%d.0.0/16 80\n}\nvirtual_server group G%d {\n protocol TCP\n real_server 192.0.2.1 { }\n}\n", i, i, i)
	}
	_, findings := config.Compile(syntax.Parse("f", text.String()), "lb01")
	const want = "f:32:1: the virtual servers up to virtual_server group G4 come to more than 262144 services; use a fwmark"
	if err := findings.Err(); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
