package desired

import (
	"net/netip"
	"testing"

	"github.com/hacluster/hacluster/vrrp"
)

func unitOn(priority vrrp.Priority, addrs ...vrrp.Address) State {
	return State{Units: []Unit{{Spec: vrrp.UnitSpec{Name: "VI_1", Instances: []vrrp.InstanceSpec{{
		Name: "VI_1", Interface: "eth0", Family: vrrp.IPv4, Priority: priority, Addresses: addrs,
	}}}}}}
}

func on(iface, prefix string) vrrp.Address {
	return vrrp.Address{Interface: iface, Prefix: netip.MustParsePrefix(prefix)}
}

// R12: what an owner advertises is its own, and so is the address that the others
// know this node by.
func TestOwnAddressesAreNotGuarded(t *testing.T) {
	own := netip.MustParseAddr("192.0.2.1")
	state := unitOn(100, on("eth0", "192.0.2.100/24"), on("eth0", "192.0.2.1/24"))
	if got := state.Guarded(own); len(got) != 1 || got[netip.MustParseAddr("192.0.2.100")] != "eth0" {
		t.Errorf("guarded %v, want 192.0.2.100 on eth0", got)
	}
	if got := unitOn(vrrp.Owner, on("eth0", "192.0.2.100/24")).Guarded(own); len(got) > 0 {
		t.Errorf("of an owner %v are guarded, want none", got)
	}
}
