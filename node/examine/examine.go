package examine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/cluster/mesh"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/preflight"
	"github.com/hacluster/hacluster/node/plane"
	"github.com/hacluster/hacluster/node/rival"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// examineFor is how long the doctor lets nodes listen to each other. The requests
// reach them well within the first pause.
const examineFor = 2500 * time.Millisecond

// Examiner looks at this node for the doctor; it implements api.Examiner. The
// functions are called when somebody asks, and not before.
type Examiner struct {
	Node  string
	State func() desired.State // that runs
	Plane func() *plane.Plane

	// Compile reads a document as this node would run it; nil when the daemon runs
	// alone, and can join nothing.
	Compile func(file, text string) (*config.Config, config.Findings)

	// Of a member; nil when the daemon runs alone.
	Peers   func() splitbrain.PeerView
	Gossip  func() []mesh.MemberState
	Members func() []store.Member
}

// Plan implements api.Examiner.
func (e *Examiner) Plan() preflight.Plan {
	sources := make(map[string]netip.Addr)
	for _, u := range e.Plane().Engine.Status() {
		for _, inst := range u.Instances {
			sources[inst.Name] = inst.Source
		}
	}
	plan := preflight.Plan{
		Node: e.Node, Window: examineFor, Findings: e.machine(e.State()),
		Networks: networks(e.State(), func(i *vrrp.InstanceSpec) netip.Addr { return sources[i.Name] }),
	}
	if e.Peers == nil {
		return plan
	}
	for _, m := range e.Peers().Members {
		p := preflight.Peer{Name: m.Name, Addrs: m.Addrs}
		for _, mac := range m.MACs {
			p.MACs = append(p.MACs, net.HardwareAddr(mac[:]).String())
		}
		plan.Peers = append(plan.Peers, p)
	}
	return plan
}

// Examine implements api.Examiner.
func (e *Examiner) Examine(ctx context.Context, plan preflight.Plan) preflight.Report {
	r := preflight.Examine(ctx, plan)
	if e.Peers != nil {
		for _, m := range e.Members() {
			r.Witness = r.Witness || m.Name == e.Node && m.Role == store.RoleWitness
		}
		r.Links = e.links(e.Peers())
	}
	return r
}

// networks lists the interfaces and families of the virtual routers.
func networks(state desired.State, source func(*vrrp.InstanceSpec) netip.Addr) []preflight.Network {
	var out []preflight.Network
	for _, u := range state.Units {
		for j := range u.Spec.Instances {
			inst := &u.Spec.Instances[j]
			v6 := inst.Family == vrrp.IPv6
			i := slices.IndexFunc(out, func(n preflight.Network) bool { return n.Interface == inst.Interface && n.IPv6 == v6 })
			if i < 0 {
				i = len(out)
				out = append(out, preflight.Network{Interface: inst.Interface, IPv6: v6, Group: inst.Wire.Group, Unicast: true})
			}
			n := &out[i]
			n.Unicast = n.Unicast && inst.Wire.Unicast
			n.Instances, n.VRIDs = append(n.Instances, inst.Name), append(n.VRIDs, int(inst.VRID))
			if !n.Source.IsValid() {
				n.Source = source(inst)
			}
			for _, a := range slices.Concat(inst.Addresses, inst.Excluded) {
				if ip := a.Prefix.Addr(); ip.Is6() == v6 && a.Interface == inst.Interface {
					n.VIPs = append(n.VIPs, ip)
				}
			}
			n.AllowForeign = append(n.AllowForeign, u.SplitBrain.AllowForeign...)
			for _, p := range inst.Wire.Peers {
				n.AllowForeign = append(n.AllowForeign, p.Addr)
			}
		}
	}
	return out
}

// links says which channels of the mesh arrive here.
func (e *Examiner) links(peers splitbrain.PeerView) []preflight.Link {
	now := time.Now()
	gossip := make(map[string]string)
	for _, g := range e.Gossip() {
		switch g.State {
		case mesh.Suspect, mesh.Dead:
			gossip[g.Name] = "lost"
		case mesh.Alive:
			gossip[g.Name] = "alive"
		case mesh.Left:
			gossip[g.Name] = "left"
		}
	}
	var out []preflight.Link
	for _, m := range peers.Members {
		l := preflight.Link{Peer: m.Name, Heartbeat: -1, Gossip: gossip[m.Name]}
		if !m.Direct.IsZero() {
			l.Heartbeat = max(now.Sub(m.Direct), 0)
		}
		out = append(out, l)
	}
	return out
}

// machine looks at this machine for what it runs, or would run.
func (e *Examiner) machine(state desired.State) []preflight.Finding {
	var interfaces []string
	for _, n := range networks(state, func(*vrrp.InstanceSpec) netip.Addr { return netip.Addr{} }) {
		if !slices.Contains(interfaces, n.Interface) {
			interfaces = append(interfaces, n.Interface)
		}
	}
	out := preflight.Machine("/", e.Node, interfaces)
	if !e.Plane().HasGate() {
		out = append(out, preflight.Finding{
			Severity: preflight.Warning, Check: "gate", Node: e.Node,
			Summary: fmt.Sprintf("%s has no kernel gate: when its daemon hangs it answers for addresses until their lifetime ends", e.Node),
			Remedy:  "look at its log for the reason; haclusterd needs CAP_BPF and CAP_NET_ADMIN, and a kernel with eBPF and clsact (Debian's has both)",
		})
	} else {
		out = append(out, preflight.Finding{Severity: preflight.OK, Check: "gate", Node: e.Node, Summary: "the kernel gate of " + e.Node + " is available"})
	}
	if err := rival.Check(state); err != nil {
		out = append(out, preflight.Finding{
			Severity: preflight.Error, Check: "keepalived", Node: e.Node, TwoHolders: true, Summary: err.Error(),
			Remedy: "one program may run a virtual router on a machine",
		})
	}
	return out
}
