package desired

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/vrrp"
)

// UnitOf names the unit of each instance.
func (s State) UnitOf() map[string]string {
	names := make(map[string]string)
	for _, u := range s.Units {
		for _, inst := range u.Spec.Instances {
			names[inst.Name] = u.Spec.Name
		}
	}
	return names
}

// Policies are the split_brain policies of the units.
func (s State) Policies() map[string]string {
	out := make(map[string]string, len(s.Units))
	for _, u := range s.Units {
		out[u.Spec.Name] = cmp.Or(u.SplitBrain.Policy, "mesh")
	}
	return out
}

// VirtualAddresses are those of all instances, by interface.
func (s State) VirtualAddresses() map[string][]netip.Addr {
	out := make(map[string][]netip.Addr)
	for _, u := range s.Units {
		for _, inst := range u.Spec.Instances {
			for _, a := range slices.Concat(inst.Addresses, inst.Excluded) {
				out[a.Interface] = append(out[a.Interface], a.Prefix.Addr())
			}
		}
	}
	return out
}

// Guarded are the addresses that this node may have only while it holds them, with
// their interfaces (R12). What an owner advertises is its own, and so is own, the
// address by which the others know this node.
func (s State) Guarded(own netip.Addr) map[netip.Addr]string {
	addrs := make(map[netip.Addr]string)
	for _, u := range s.Units {
		if u.SplitBrain.Policy == "off" {
			continue
		}
		for _, inst := range u.Spec.Instances {
			if inst.Priority == vrrp.Owner {
				continue
			}
			for _, a := range slices.Concat(inst.Addresses, inst.Excluded) {
				if a.Prefix.Addr() != own {
					addrs[a.Prefix.Addr()] = a.Interface
				}
			}
		}
	}
	return addrs
}
