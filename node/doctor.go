package node

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

// examiner looks at this node for the doctor: it puts together what the node runs
// and knows with the tests of package preflight.
type examiner struct {
	node  string
	state func() desired.State
	plane func() *plane.Plane // set before anybody asks

	// compile reads a document as this node would run it.
	compile func(file, text string) (*config.Config, config.Findings)

	// Of a member; nil when the daemon runs alone.
	peers   func() splitbrain.PeerView
	gossip  func() []mesh.MemberState
	members func() []store.Member
}

// examiner is that of a member. What it asks is there when the API answers.
func (m *member) examiner() *examiner {
	return &examiner{
		node:    m.o.Name,
		state:   m.running,
		plane:   func() *plane.Plane { return m.plane },
		compile: m.runner.Compile,
		peers:   func() splitbrain.PeerView { return m.view.Known().Peers },
		gossip:  func() []mesh.MemberState { return m.cluster.MeshMembers() },
		members: func() []store.Member { return m.cluster.Members() },
	}
}

// Plan implements api.Examiner.
func (e *examiner) Plan() preflight.Plan {
	sources := make(map[string]netip.Addr)
	for _, u := range e.plane().Engine.Status() {
		for _, inst := range u.Instances {
			sources[inst.Name] = inst.Source
		}
	}
	plan := preflight.Plan{
		Node: e.node, Window: examineFor, Findings: e.machine(e.state()),
		Networks: networks(e.state(), func(i *vrrp.InstanceSpec) netip.Addr { return sources[i.Name] }),
	}
	if e.peers == nil {
		return plan
	}
	for _, m := range e.peers().Members {
		p := preflight.Peer{Name: m.Name, Addrs: m.Addrs}
		for _, mac := range m.MACs {
			p.MACs = append(p.MACs, net.HardwareAddr(mac[:]).String())
		}
		plan.Peers = append(plan.Peers, p)
	}
	return plan
}

// Examine implements api.Examiner.
func (e *examiner) Examine(ctx context.Context, plan preflight.Plan) preflight.Report {
	r := preflight.Examine(ctx, plan)
	if e.peers != nil {
		for _, m := range e.members() {
			r.Witness = r.Witness || m.Name == e.node && m.Role == store.RoleWitness
		}
		r.Links = e.links(e.peers())
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
func (e *examiner) links(peers splitbrain.PeerView) []preflight.Link {
	now := time.Now()
	gossip := make(map[string]string)
	for _, g := range e.gossip() {
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
func (e *examiner) machine(state desired.State) []preflight.Finding {
	var interfaces []string
	for _, n := range networks(state, func(*vrrp.InstanceSpec) netip.Addr { return netip.Addr{} }) {
		if !slices.Contains(interfaces, n.Interface) {
			interfaces = append(interfaces, n.Interface)
		}
	}
	out := preflight.Machine("/", e.node, interfaces)
	if !e.plane().HasGate() {
		out = append(out, preflight.Finding{
			Severity: preflight.Warning, Check: "gate", Node: e.node,
			Summary: fmt.Sprintf("%s has no kernel gate: when its daemon hangs it answers for addresses until their lifetime ends", e.node),
			Remedy:  "look at its log for the reason; haclusterd needs CAP_BPF and CAP_NET_ADMIN, and a kernel with eBPF and clsact (Debian's has both)",
		})
	} else {
		out = append(out, preflight.Finding{Severity: preflight.OK, Check: "gate", Node: e.node, Summary: "the kernel gate of " + e.node + " is available"})
	}
	if err := rival.Check(state); err != nil {
		out = append(out, preflight.Finding{
			Severity: preflight.Error, Check: "keepalived", Node: e.node, TwoHolders: true, Summary: err.Error(),
			Remedy: "one program may run a virtual router on a machine",
		})
	}
	return out
}
