package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

var inner = netip.MustParseAddr("198.51.100.100")

// twoNetworks is U5's document: an outer VIP and an inner gateway address.
func twoNetworks(group string) string {
	return fmt.Sprintf(`
static_ipaddress {
	198.51.100.200/32 dev eth1 scope link
}
static_routes {
	203.0.113.0/25 via 198.51.100.250 dev eth1
}
%s
vrrp_instance outer {
	interface eth0
	virtual_router_id 51
	@a priority 150
	@b priority 100
	virtual_ipaddress {
		192.0.2.100/24 brd 192.0.2.255 dev eth0 label eth0:vip scope global
	}
	virtual_routes {
		203.0.113.128/25 via 192.0.2.250 dev eth0
	}
	track_interface {
		eth0
	}
}
vrrp_instance inner {
	interface eth1
	virtual_router_id 52
	@a priority 150
	@b priority 100
	virtual_ipaddress {
		198.51.100.100/24 dev eth1
	}
}
`, group)
}

// U5: an outer VIP and an inner gateway move together in a sync group, with
// static and virtual addresses and routes.
func TestU5TwoNetworksMoveTogether(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip)
	conf := twoNetworks("vrrp_sync_group VG_1 {\n\tgroup {\n\t\touter\n\t\tinner\n\t}\n}")
	a.StartStandalone(conf)
	b.StartStandalone(conf)
	w.WantHolder(a, vip, electionTime)
	a.WantAddr(inner, time.Second)

	got, _ := a.Address(vip)
	want := lab.Address{Prefix: netip.PrefixFrom(vip, 24), Interface: "eth0", Label: "eth0:vip", Broadcast: netip.MustParseAddr("192.0.2.255")}
	got.Valid = 0 // its lifetime is finite, of course
	if got != want {
		t.Errorf("VIP is %+v, want %+v", got, want)
	}
	fixed := netip.MustParseAddr("198.51.100.200")
	virtual := netip.MustParsePrefix("203.0.113.128/25")
	static := netip.MustParsePrefix("203.0.113.0/25")
	for _, n := range []*lab.Node{a, b} {
		if got, ok := n.Address(fixed); !ok || got.Scope != 253 || got.Interface != "eth1" {
			t.Errorf("static address on %s is %+v, want it on eth1 with scope link", n.Name, got)
		}
		if !n.HasRoute(static) {
			t.Errorf("%s lacks the static route", n.Name)
		}
	}
	if !a.HasRoute(virtual) || b.HasRoute(virtual) {
		t.Errorf("virtual route: on a %v, on b %v; want it on a only", a.HasRoute(virtual), b.HasRoute(virtual))
	}

	a.CutLink(lab.Control)
	w.WantHolder(b, vip, masterDown(100)+2*time.Second)
	b.WantAddr(inner, time.Second)
	a.WantNoAddr(inner, time.Second)
	lab.Want(t, time.Second, "the virtual route moves with its VIP", func() (string, bool) {
		return fmt.Sprintf("on a %v, on b %v", a.HasRoute(virtual), b.HasRoute(virtual)), !a.HasRoute(virtual) && b.HasRoute(virtual)
	})

	a.RestoreLink(lab.Control)
	w.WantHolder(a, vip, electionTime)
	a.WantAddr(inner, time.Second)
	w.All().WantNeverTwo(meeting, vip)
}

// U5 apart: without a group each address moves by itself.
func TestU5TwoNetworksMoveApart(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip)
	conf := twoNetworks("")
	a.StartStandalone(conf)
	b.StartStandalone(conf)
	w.WantHolder(a, vip, electionTime)
	a.WantAddr(inner, electionTime)
	settled := reigning(w, a, 4, 51)

	a.CutLink(lab.Control)
	b.WantAddr(inner, masterDown(100)+2*time.Second)
	a.WantNoAddr(inner, time.Second)
	w.WantHolder(a, vip, time.Second)
	wantReigns(t, w.Since(settled), 4, 51, a)
}
