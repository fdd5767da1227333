package node

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/mesh"
	"github.com/hacluster/hacluster/node/arbitrate"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

// This file is the seam between cluster, which knows who the members are, and
// those who ask: the arbiter and people.

// followMembers tells the arbiter who the members are, and people what is
// known of the cluster.
func (m *member) followMembers(ctx context.Context, a *splitbrain.Arbiter) error {
	// Who leads, and who answers, is not told but asked.
	refresh := time.NewTicker(time.Second)
	defer refresh.Stop()
	for {
		members, gossip := m.cluster.MembersChanged(), m.cluster.MeshChanged()
		m.setMembers(a)
		select {
		case <-members:
		case <-gossip:
		case <-refresh.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (m *member) setMembers(a *splitbrain.Arbiter) {
	var others []splitbrain.Member
	var all []observed.Member
	opinions, alive := make(map[string]splitbrain.Gossip), make(map[string]bool)
	for _, g := range m.cluster.MeshMembers() {
		opinions[g.Name] = gossipOpinion(g.State)
		alive[g.Name] = g.State == mesh.Alive
	}
	for _, mem := range m.cluster.Members() {
		all = append(all, observed.Member{Name: mem.Name, Address: mem.Addr.String(), Role: observed.Role(mem.Role), Version: mem.Version})
		if mem.Name != m.o.Name {
			others = append(others, splitbrain.Member{Name: mem.Name, Addrs: []netip.Addr{mem.Addr.Addr()}, Gossip: opinions[mem.Name]})
		}
	}
	a.SetMembers(others)
	st := m.cluster.Status()
	unitGaps := arbitrate.Gaps(m.plane.Engine.Status(), m.running())
	m.view.Update(func(in *observed.Input) {
		in.Members = all
		in.Self.Address = st.Advertise.String()
		in.Cluster = clusterView(st)
		in.Gossip = alive
		in.Self.StoreError = errorText(st.Err)
		in.Self.Gaps = unitGaps
	})
	m.view.Alert(observed.StoreFailed(m.o.Name, m.o.DataDir, st.Err, time.Now()))
	m.tellFacts(a)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func gossipOpinion(s mesh.State) splitbrain.Gossip {
	switch s {
	case mesh.Alive:
		return splitbrain.GossipAlive
	case mesh.Suspect, mesh.Dead:
		return splitbrain.GossipLost
	case mesh.Left:
		return splitbrain.GossipLeft
	default:
		return splitbrain.GossipUnknown
	}
}

// voterAnswersFor is how long an answer of a voter counts, for people.
const voterAnswersFor = 3 * time.Second

func clusterView(st cluster.Status) observed.Cluster {
	c := observed.Cluster{Name: st.ClusterName, ID: st.ClusterID, Leader: st.Leader, Revision: st.Revision}
	answering := 0
	for _, v := range st.Voters {
		c.Voters = append(c.Voters, v.Name)
		if v.Name == st.Name || time.Since(v.LastSeen) < voterAnswersFor {
			answering++
		}
	}
	c.Majority = st.Leader != "" && answering > len(st.Voters)/2
	return c
}

// twinMemory is how long a call with this node's own certificate counts.
const twinMemory = time.Minute

// twin raises duplicate_identity: somebody called with this node's own
// certificate. The other machine refuses to start, and may try again and again.
func (m *member) twin(from net.Addr) {
	a := observed.IdentityCopied(m.o.Name, from, time.Now())
	m.view.Alert(a)
	m.twinMu.Lock()
	defer m.twinMu.Unlock()
	if m.twinGone != nil {
		m.twinGone.Stop()
	}
	m.twinGone = time.AfterFunc(twinMemory, func() {
		a.Resolved = time.Now()
		m.view.Alert(a)
	})
}
