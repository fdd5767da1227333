package examine

import (
	"net/netip"
	"testing"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/vrrp"
)

func TestSourceIsAnAddressThatStays(t *testing.T) {
	lo, other := netip.MustParsePrefix("127.0.0.1/8"), netip.MustParseAddr("192.0.2.1")
	tests := []struct {
		name string
		spec vrrp.InstanceSpec
		want netip.Addr
	}{
		{"the primary one of the interface", vrrp.InstanceSpec{Interface: "lo"}, lo.Addr()},
		{"not a virtual one", vrrp.InstanceSpec{Interface: "lo", Addresses: []vrrp.Address{{Interface: "lo", Prefix: lo}}}, netip.Addr{}},
		{"a virtual one of its owner", vrrp.InstanceSpec{Interface: "lo", Priority: vrrp.Owner, Addresses: []vrrp.Address{{Interface: "lo", Prefix: lo}}}, lo.Addr()},
		{"the configured one", vrrp.InstanceSpec{Interface: "lo", Wire: vrrp.Wire{Source: other}}, other},
		{"of the instance's family", vrrp.InstanceSpec{Interface: "lo", Family: vrrp.IPv6}, netip.Addr{}},
		{"of an interface that exists", vrrp.InstanceSpec{Interface: "none"}, netip.Addr{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.spec.Family == 0 {
				tt.spec.Family = vrrp.IPv4
			}
			state := desired.State{Units: []desired.Unit{{Spec: vrrp.UnitSpec{Instances: []vrrp.InstanceSpec{tt.spec}}}}}
			if got := SourceIn(state)(&tt.spec); got != tt.want {
				t.Errorf("SourceIn = %v, want %v", got, tt.want)
			}
		})
	}
}
