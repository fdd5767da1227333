package node

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/cluster/mesh"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/preflight"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// examineFor is how long a node listens to the test datagrams of the others. The
// requests reach them well within the first pause.
const examineFor = 2500 * time.Millisecond

// examiner looks at this node for the doctor: it puts together what the node runs
// and knows with the tests of package preflight.
type examiner struct {
	node  string
	state func() desired.State
	plane func() *plane // set before anybody asks

	// Of a member; nil when the daemon runs alone.
	peers   func() splitbrain.PeerView
	gossip  func() []mesh.MemberState
	members func() []store.Member
}

// examiner is that of a member. What it asks is there when the API answers.
func (m *member) examiner() *examiner {
	return &examiner{
		node:    m.o.Name,
		state:   func() desired.State { return m.state.get().state },
		plane:   func() *plane { return m.plane },
		peers:   m.peerView,
		gossip:  func() []mesh.MemberState { return m.cluster.MeshMembers() },
		members: func() []store.Member { return m.cluster.Members() },
	}
}

// Examine implements api.Examiner.
func (e *examiner) Examine(ctx context.Context, session uint64) preflight.Report {
	plan := preflight.Plan{Node: e.node, Session: session, Networks: e.networks(), Window: examineFor}
	var peers splitbrain.PeerView
	witness := make(map[string]bool)
	if e.peers != nil {
		peers = e.peers()
		for _, m := range e.members() {
			witness[m.Name] = m.Role == store.RoleWitness
		}
	}
	for _, m := range peers.Members {
		plan.Peers = append(plan.Peers, preflight.Peer{Name: m.Name, Addrs: m.Addrs})
	}
	r := preflight.Examine(ctx, plan)
	r.Witness = witness[e.node]
	if e.peers != nil {
		r.Links = e.links(e.peers())
	}
	r.Findings = append(r.Findings, e.Machine()...)
	return r
}

// networks lists the interfaces and families of the virtual routers.
func (e *examiner) networks() []preflight.Network {
	sources := make(map[string]netip.Addr)
	for _, u := range e.plane().engine.Status() {
		for _, inst := range u.Instances {
			sources[inst.Name] = inst.Source
		}
	}
	var out []preflight.Network
	for _, u := range e.state().Units {
		for _, inst := range u.Spec.Instances {
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
				n.Source = sources[inst.Name]
			}
			for _, a := range slices.Concat(inst.Addresses, inst.Excluded) {
				if ip := a.Prefix.Addr(); ip.Is6() == v6 && a.Interface == inst.Interface {
					n.VIPs = append(n.VIPs, ip)
				}
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

// Machine implements api.Examiner.
func (e *examiner) Machine() []preflight.Finding {
	var interfaces []string
	for _, n := range e.networks() {
		if !slices.Contains(interfaces, n.Interface) {
			interfaces = append(interfaces, n.Interface)
		}
	}
	out := preflight.Machine("/", e.node, interfaces)
	if e.plane().gate == nil {
		out = append(out, preflight.Finding{
			Severity: preflight.Warning, Check: "gate", Node: e.node,
			Summary: fmt.Sprintf("%s has no kernel gate: when its daemon hangs it answers for addresses until their lifetime ends", e.node),
			Remedy:  "look at its log for the reason; haclusterd needs CAP_BPF and CAP_NET_ADMIN, and a kernel with eBPF and clsact (Debian's has both)",
		})
	} else {
		out = append(out, preflight.Finding{Severity: preflight.OK, Check: "gate", Node: e.node, Summary: "the kernel gate of " + e.node + " is available"})
	}
	if err := checkRival(e.state()); err != nil {
		out = append(out, preflight.Finding{
			Severity: preflight.Error, Check: "keepalived", Node: e.node, Summary: err.Error(),
			Remedy: "one program may run a virtual router on a machine",
		})
	}
	return out
}
