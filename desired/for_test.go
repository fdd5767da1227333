package desired_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/vrrp"
	"github.com/hacluster/hacluster/vrrp/packet"
)

const document = `
global_defs {
    router_id WEB
    vrrp_mcast_group4 224.0.0.103
    vrrp_startup_delay 1.5
    script_user nobody
    smtp_server 127.0.0.1 2525
    notification_email { root@localhost }
    smtp_alert on
}
static_ipaddress { 198.51.100.10/24 dev eth2 }
static_routes { 203.0.113.0/24 via 198.51.100.1 table 100 metric 5 }
vrrp_script chk { 
    script "/bin/check -a 'b c'"
    interval 2
    weight -5
    rise 2
}
vrrp_script unused { script /bin/true }
vrrp_sync_group G1 {
    group { inner outer }
    track_interface { eth9 }
    notify "/bin/any x" root adm
    split_brain { policy off }
}
vrrp_instance alone {
    interface eth0
    virtual_router_id 103
@lb01 priority 100
@lb02 priority 95
    authentication { auth_type PASS
        auth_pass 1234 }
    virtual_ipaddress { 192.0.2.100 }
    track_script { chk }
    track_interface { eth0 weight 3
        eth3 weight -7 reverse }
    notify_master "/bin/m 'a b'"
}
vrrp_instance outer {
    interface eth0
    virtual_router_id 60
    virtual_ipaddress {
        192.0.2.101/24 brd + label eth0:x scope link
        192.0.2.102/24 dev eth5
    }
    virtual_ipaddress_excluded { 2001:db8::1/64 dev eth6 }
    virtual_routes { default via 192.0.2.1 }
    unicast_src_ip 192.0.2.1
    unicast_peer { 192.0.2.2 
       192.0.2.3 min_ttl 250 }
}
vrrp_instance inner {
    interface eth1
    virtual_router_id 61
    state MASTER
    priority 200
    advert_int 0.25
    dont_track_primary
    old_unicast_checksum never
    v3_checksum_as_v2
    virtual_ipaddress { 2001:db8:1::1/64 }
}
`

func state(t *testing.T, node string) desired.State {
	t.Helper()
	cfg, findings := config.Compile(syntax.Parse("f", document), node)
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	return desired.For(cfg)
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestAnInstanceInNoGroupIsAUnit(t *testing.T) {
	u := state(t, "lb02").Units[0]
	var auth [8]byte
	copy(auth[:], "1234")
	equal(t, "unit", u.Spec, vrrp.UnitSpec{Name: "alone", Instances: []vrrp.InstanceSpec{{
		Name: "alone", Interface: "eth0", Family: vrrp.IPv4, VRID: 103, Version: 2, Priority: 95,
		AdvertInterval: time.Second, DownTimerAdverts: 3, Preempt: true,
		Addresses: []vrrp.Address{{Prefix: netip.MustParsePrefix("192.0.2.100/32"), Interface: "eth0"}},
		// Its own interface is watched without a weight, whatever track_interface says of it.
		Tracks:   []vrrp.Track{{Key: "interface:eth0"}, {Key: "script:chk", Weight: -5}, {Key: "interface:eth3", Weight: -7, Reverse: true}},
		Wire:     vrrp.Wire{Auth: packet.AuthPass, AuthData: auth, Group: netip.MustParseAddr("224.0.0.103"), Strangers: vrrp.RefuseDisjoint},
		Announce: vrrp.Announce{Repeat: 5, Delay: 5 * time.Second, RefreshRepeat: 1, LowerPrioRepeat: 5, LowerPrioDelay: 5 * time.Second},
	}}})
	equal(t, "notify", u.Instances["alone"].Master, desired.Command{Argv: []string{"/bin/m", "a b"}, User: desired.User{Name: "nobody"}})
	if !u.Alerts["alone"] {
		t.Error("no mail for alone, want it by smtp_alert in global_defs")
	}
	equal(t, "split brain", u.SplitBrain, desired.SplitBrain{Policy: "mesh", Lease: 2 * time.Second, KernelLease: true, FollowForeign: true})
}

// S10, S46: a group is one unit, and its first member stands for it.
func TestAGroupIsOneUnitInTheOrderOfItsMembers(t *testing.T) {
	s := state(t, "lb01")
	if len(s.Units) != 2 {
		t.Fatalf("%d units, want 2", len(s.Units))
	}
	u := s.Units[1]
	if u.Spec.Name != "G1" || !u.Spec.Group || len(u.Spec.Instances) != 2 {
		t.Fatalf("unit %+v", u.Spec)
	}
	inner, outer := u.Spec.Instances[0], u.Spec.Instances[1]
	equal(t, "notify", u.Notify.Any, desired.Command{Argv: []string{"/bin/any", "x"}, User: desired.User{Name: "root", Group: "adm"}})
	equal(t, "policy", u.SplitBrain.Policy, "off")
	equal(t, "inner tracks", inner.Tracks, []vrrp.Track{{Key: "interface:eth9"}})
	if inner.Family != vrrp.IPv6 || inner.Version != 3 || inner.AdvertInterval != 250*time.Millisecond || !inner.StartMaster ||
		inner.Wire.Group != netip.MustParseAddr("ff02::12") || inner.Wire.Checksum != packet.ChecksumPlain || !inner.Wire.NoChecksumDetect {
		t.Errorf("inner %+v", inner)
	}
	equal(t, "outer tracks", outer.Tracks, []vrrp.Track{{Key: "interface:eth0"}, {Key: "interface:eth9"}, {Key: "interface:eth5"}, {Key: "interface:eth6"}})
	equal(t, "outer addresses", outer.Addresses, []vrrp.Address{
		{Prefix: netip.MustParsePrefix("192.0.2.101/24"), Interface: "eth0", Label: "eth0:x", Scope: 253, Broadcast: netip.IPv4Unspecified()},
		{Prefix: netip.MustParsePrefix("192.0.2.102/24"), Interface: "eth5"},
	})
	equal(t, "outer excluded", outer.Excluded, []vrrp.Address{{Prefix: netip.MustParsePrefix("2001:db8::1/64"), Interface: "eth6"}})
	equal(t, "outer routes", outer.Routes, []vrrp.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.1")}})
	equal(t, "outer wire", outer.Wire, vrrp.Wire{
		Group: netip.MustParseAddr("224.0.0.103"), Source: netip.MustParseAddr("192.0.2.1"), Unicast: true, CheckSource: true,
		Peers: []vrrp.Peer{{Addr: netip.MustParseAddr("192.0.2.2")}, {Addr: netip.MustParseAddr("192.0.2.3"), MinTTL: 250, MaxTTL: 255}},
	})
}

func TestTheNodeAsAWhole(t *testing.T) {
	s := state(t, "lb01")
	equal(t, "daemon", s.Daemon, desired.Daemon{
		RouterID: "WEB", StartupDelay: 1500 * time.Millisecond, ScriptUser: desired.User{Name: "nobody"},
		Mail: desired.Mail{Server: "127.0.0.1", Port: 2525, To: []string{"root@localhost"}, Timeout: 30 * time.Second},
	})
	equal(t, "scripts", s.Scripts, []desired.Script{{
		Name: "chk", Command: desired.Command{Argv: []string{"/bin/check", "-a", "b c"}, User: desired.User{Name: "nobody"}},
		Interval: 2 * time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 1,
	}})
	equal(t, "addresses", s.Addresses, []vrrp.Address{{Prefix: netip.MustParsePrefix("198.51.100.10/24"), Interface: "eth2"}})
	equal(t, "routes", s.Routes, []vrrp.Route{{Dst: netip.MustParsePrefix("203.0.113.0/24"), Via: netip.MustParseAddr("198.51.100.1"), Table: 100, Metric: 5}})
	equal(t, "mesh", s.Mesh, desired.Mesh{HeartbeatInterval: 200 * time.Millisecond, AloneAfter: 30 * time.Second})
}

func TestAlertsOfTheDocument(t *testing.T) {
	cfg, findings := config.Compile(syntax.Parse("f", document+`cluster {
		alert_script "/bin/page x"
		alert_webhook http://192.0.2.9/
		alert_level critical
	}`), "lb01")
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	equal(t, "alerts", desired.For(cfg).Alerts, desired.Alerts{
		Level: "critical", Script: desired.Command{Argv: []string{"/bin/page", "x"}, User: desired.User{Name: "nobody"}},
		Webhooks: []string{"http://192.0.2.9/"}, Email: []string{"root@localhost"},
	})
}

func TestFencingOfAUnit(t *testing.T) {
	cfg, findings := config.Compile(syntax.Parse("f", `vrrp_instance A {
		interface eth0
		virtual_router_id 5
		virtual_ipaddress { 192.0.2.1 }
		split_brain {
			policy quorum
			fence_first lb01
			fence_agent lb02 fence_x {
				passwd secret
				action off
			}
			fence_agent lb01 fence_x {
				passwd secret
			}
		}
	}`), "lb01")
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	got := desired.For(cfg).Units[0].SplitBrain
	options := []desired.FenceOption{{Name: "passwd", Value: "secret", Secret: true}}
	equal(t, "split brain", got, desired.SplitBrain{
		Policy: "quorum", Lease: 2 * time.Second, KernelLease: true, FollowForeign: true,
		Fencing: desired.Fencing{
			After: 10 * time.Second, First: "lb01", Delay: 35 * time.Second, Timeout: 30 * time.Second,
			Agents: []desired.FenceAgent{
				{Node: "lb01", Program: "fence_x", Action: "reboot", Options: options},
				{Node: "lb02", Program: "fence_x", Action: "off", Options: options},
			},
		},
	})
	if text := fmt.Sprintf("%v %+v", got, got); strings.Contains(text, "secret") {
		t.Errorf("printed with its secrets: %s", text)
	}
}

func TestAScriptThatIsLeftOutIsNotTracked(t *testing.T) {
	s := state(t, "lb01")
	got := s.Without("chk")
	equal(t, "scripts", got.Scripts, []desired.Script{})
	equal(t, "tracks", got.Units[0].Spec.Instances[0].Tracks, []vrrp.Track{{Key: "interface:eth0"}, {Key: "interface:eth3", Weight: -7, Reverse: true}})
	equal(t, "the other unit", got.Units[1], s.Units[1])
	equal(t, "the receiver", s, state(t, "lb01"))
	equal(t, "nothing left out", s.Without("unused"), s)
}

func TestTheSameConfigurationGivesAnEqualState(t *testing.T) {
	if a, b := state(t, "lb01"), state(t, "lb01"); !reflect.DeepEqual(a, b) {
		t.Error("two states of one configuration differ; a reload would change what runs")
	}
}
