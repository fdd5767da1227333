package arbitrate

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/netif"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

func placed(t *testing.T, state desired.State) []splitbrain.Network {
	t.Helper()
	links := map[string]netif.LinkState{
		"eth0": {Name: "eth0", Up: true, Addrs: []netip.Prefix{
			netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("192.0.2.254/32"),
		}},
		"eth1": {Name: "eth1", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24")}},
	}
	gateways := map[WayOut]netip.Addr{
		{"eth0", netif.IPv4}: netip.MustParseAddr("192.0.2.254"),
		{"eth1", netif.IPv4}: netip.MustParseAddr("198.51.100.254"),
	}
	if ways := WaysOut(state); len(ways) == 0 {
		t.Error("the unit has no way out whose gateway is wanted")
	}
	return Networks(state, links, gateways)["VI_1"]
}

func unitOn(priority vrrp.Priority, addrs ...vrrp.Address) desired.State {
	return desired.State{Units: []desired.Unit{{Spec: vrrp.UnitSpec{Name: "VI_1", Instances: []vrrp.InstanceSpec{{
		Name: "VI_1", Interface: "eth0", Family: vrrp.IPv4, Priority: priority, Addresses: addrs,
	}}}}}}
}

func on(iface, prefix string) vrrp.Address {
	return vrrp.Address{Interface: iface, Prefix: netip.MustParsePrefix(prefix)}
}

func TestUnitServesOnTheNetworksOfItsAddresses(t *testing.T) {
	addr := netip.MustParseAddr
	got := placed(t, unitOn(100, on("eth0", "192.0.2.100/24"), on("eth1", "198.51.100.100/32"), on("eth0", "192.0.2.101/32")))
	want := []splitbrain.Network{{
		Interface: "eth0", Source: addr("192.0.2.1"), VIPs: []netip.Addr{addr("192.0.2.100"), addr("192.0.2.101")},
		Subnets:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.2.254/32")},
		Gateways: []netip.Addr{addr("192.0.2.254")},
	}, {
		Interface: "eth1", Source: addr("198.51.100.1"), VIPs: []netip.Addr{addr("198.51.100.100")},
		Subnets: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, Gateways: []netip.Addr{addr("198.51.100.254")},
	}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("networks: -want +got\n%s", diff)
	}
}

// S54: the holder would ask itself.
func TestGatewayThatIsAVirtualAddressIsNotProbed(t *testing.T) {
	got := placed(t, unitOn(100, on("eth0", "192.0.2.254/32")))
	if len(got) != 1 || len(got[0].Gateways) > 0 {
		t.Errorf("networks %+v, want one without a gateway", got)
	}
	named := unitOn(100, on("eth0", "192.0.2.100/32"))
	named.Mesh.GatewayProbe = []netip.Addr{netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("203.0.113.1")}
	got = placed(t, named)
	if len(got) != 1 || !cmp.Equal(got[0].Gateways, []netip.Addr{netip.MustParseAddr("192.0.2.7")}, cmpopts.EquateComparable(netip.Addr{})) || !got[0].Named {
		t.Errorf("networks %+v, want only the named gateway on that network, instead of the default one", got)
	}
}
