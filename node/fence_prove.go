package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/splitbrain/fence"
)

// prober is the prover of a node that runs units: it asks on the network of the
// unit, and knows the hardware addresses of members from their records.
type prober struct{ m *member }

// TakesPackets implements prover.
func (p prober) TakesPackets(ctx context.Context, unit, member string) (bool, error) {
	f := p.m.fencing.get()
	probe := fence.Probe{MACs: hardwareOf(f.peers.get(), member)}
	if len(probe.MACs) == 0 {
		return false, fmt.Errorf("no hardware address of %s is known", member)
	}
	for _, u := range p.m.plane.engine.Status() {
		if u.Name != unit {
			continue
		}
		for _, inst := range u.Instances {
			i := slices.IndexFunc(inst.Addresses, func(a netip.Prefix) bool { return a.Addr().Is4() == inst.Source.Is4() })
			if i < 0 || !inst.Source.IsValid() {
				continue
			}
			probe.Interface, probe.Source, probe.Target = inst.Interface, inst.Source, inst.Addresses[i].Addr()
			return probe.Taken(ctx)
		}
	}
	return false, fmt.Errorf("unit %s has no address to ask for, or this node none to ask from", unit)
}

// ownHardware returns the hardware addresses of this machine's Ethernet
// interfaces.
func ownHardware() []splitbrain.MAC {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil // nothing can be proved of this node then
	}
	var out []splitbrain.MAC
	for _, ifi := range interfaces {
		if len(ifi.HardwareAddr) != 6 || ifi.Flags&net.FlagLoopback != 0 {
			continue
		}
		if mac := splitbrain.MAC(ifi.HardwareAddr); !slices.Contains(out, mac) && len(out) < splitbrain.MaxMACs {
			out = append(out, mac)
		}
	}
	return out
}

// hardwareOf returns the hardware addresses that a member says are its own.
func hardwareOf(peers splitbrain.PeerView, member string) []net.HardwareAddr {
	var out []net.HardwareAddr
	for _, m := range peers.Members {
		if m.Name == member {
			for _, mac := range m.MACs {
				out = append(out, mac[:])
			}
		}
	}
	return out
}
