package node

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/hacluster/hacluster/vrrp"
)

// The owner of an address comes back while another member holds it: that is no copy.
func TestAddressOfAUnitIsNoDuplicate(t *testing.T) {
	const text = `
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id 51
	@lb01 priority 255
	@lb02 priority 100
	virtual_ipaddress {
		192.0.2.1/24
	}
}
`
	tests := []struct {
		addr, text string
		want       bool
	}{
		{"192.0.2.1", text, true},
		{"192.0.2.2", text, false},
		{"192.0.2.1", "", false},
		{"192.0.2.1", "vrrp_instance {", false},
	}
	for _, tt := range tests {
		if got := isVirtual(netip.MustParseAddr(tt.addr), tt.text, "lb01"); got != tt.want {
			t.Errorf("isVirtual(%s) with %q = %v, want %v", tt.addr, tt.text, got, tt.want)
		}
	}
}

func TestOwnAddressesAreThoseOfThisMachineAlone(t *testing.T) {
	a := netip.MustParseAddr
	units := []vrrp.UnitStatus{
		{Instances: []vrrp.InstanceStatus{{Source: a("192.0.2.1")}, {Source: a("fe80::1")}, {}}},
		{Instances: []vrrp.InstanceStatus{{Source: a("192.0.2.1")}, {Source: a("192.0.2.100")}}},
	}
	virtual := map[string][]netip.Addr{"eth0": {a("192.0.2.100")}}
	got, want := ownAddresses(a("198.51.100.1"), units, virtual), []netip.Addr{a("192.0.2.1"), a("198.51.100.1")}
	if !slices.Equal(got, want) {
		t.Errorf("ownAddresses = %v, want %v", got, want)
	}
	if got := ownAddresses(netip.Addr{}, nil, nil); len(got) > 0 {
		t.Errorf("without a cluster and units: %v, want none", got)
	}
}
