package fencing

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/splitbrain/fence"
)

const (
	// proveEvery is how often a suspect is probed, and proveApart the time
	// between the two probes of one proof.
	proveEvery = time.Second
	proveApart = 110 * time.Millisecond
)

// proved is what probes of a suspect showed.
type proved struct {
	suspect splitbrain.Suspect
	proof   splitbrain.FenceProof
}

// prove lets suspects be probed, two probes for a proof.
func (f *Fencing) prove(ctx context.Context, suspects []splitbrain.Suspect, proofs chan<- proved) {
	now := time.Now()
	for _, s := range suspects {
		if now.Sub(f.probed[s]) < proveEvery {
			continue
		}
		f.probed[s] = now
		go func() { // ends with its two probes, or with ctx
			p, ok := f.proof(ctx, s)
			if !ok {
				return // an older one runs out
			}
			select {
			case proofs <- proved{s, p}:
			case <-ctx.Done():
			}
		}()
	}
}

// proof probes a suspect twice; false: nothing is proved.
func (f *Fencing) proof(ctx context.Context, s splitbrain.Suspect) (splitbrain.FenceProof, bool) {
	p := splitbrain.FenceProof{Unit: s.Unit, Node: s.Node, First: time.Now()}
	if ok, err := f.takesPackets(ctx, s.Unit, s.Node); err != nil || !ok || !kclock.Sleep(ctx, proveApart) {
		return p, false
	}
	p.Last = time.Now()
	ok, err := f.takesPackets(ctx, s.Unit, s.Node)
	return p, err == nil && ok
}

// takesPackets sends a packet for an address of the unit to the hardware addresses
// that the member says are its own, by unicast, on the network of the unit, and
// reports whether an answer came from one of them. It returns within a second.
func (f *Fencing) takesPackets(ctx context.Context, unit, member string) (bool, error) {
	probe := fence.Probe{MACs: hardwareOf(f.Peers(), member)}
	if len(probe.MACs) == 0 {
		return false, fmt.Errorf("no hardware address of %s is known", member)
	}
	for _, u := range f.Units() {
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
