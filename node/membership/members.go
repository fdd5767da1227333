package membership

import (
	"context"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/mesh"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/internal/version"
	"github.com/hacluster/hacluster/node/arbitrate"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

// This file is the seam between cluster, which knows who the members are, and
// those who ask: the arbiter and people.

// followMembers tells the arbiter who the members are, and people what is
// known of the cluster.
func (s *Membership) followMembers(ctx context.Context) error {
	// Who leads, and who answers, is not told but asked.
	refresh := time.NewTicker(time.Second)
	defer refresh.Stop()
	for {
		members, gossip := s.o.Cluster.MembersChanged(), s.o.Cluster.MeshChanged()
		s.setMembers()
		select {
		case <-members:
		case <-gossip:
		case <-refresh.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *Membership) setMembers() {
	var others []splitbrain.Member
	var all []observed.Member
	var joined []string
	opinions, alive := make(map[string]splitbrain.Gossip), make(map[string]bool)
	for _, g := range s.o.Cluster.MeshMembers() {
		opinions[g.Name] = gossipOpinion(g.State)
		alive[g.Name] = g.State == mesh.Alive
	}
	for _, mem := range s.o.Cluster.Members() {
		all = append(all, observed.Member{Name: mem.Name, Address: mem.Addr.String(), Role: observed.Role(mem.Role), Version: mem.Version})
		if mem.Joined {
			joined = append(joined, mem.Name)
		}
		if mem.Name != s.o.Node {
			others = append(others, splitbrain.Member{
				Name: mem.Name, Addrs: []netip.Addr{mem.Addr.Addr()}, Gossip: opinions[mem.Name],
				Witness: mem.Role == store.RoleWitness, Before: s.before.Members[mem.Name],
			})
		}
	}
	s.roster.Note(joined, s.o.View.Record)
	s.Arbiter.SetMembers(others)
	st := s.o.Cluster.Status()
	unitGaps := arbitrate.Gaps(s.o.Plane.Engine.Status(), s.running())
	s.o.View.Update(func(in *observed.Input) {
		in.Members = all
		in.Self.Address = st.Advertise.String()
		in.Cluster = clusterView(st)
		in.Gossip = alive
		in.Self.StoreError = errorText(st.Err)
		in.Self.Gaps = unitGaps
	})
	s.o.View.Alert(observed.StoreFailed(s.o.Node, s.o.DataDir, st.Err, time.Now()))
	s.tellFacts()
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func gossipOpinion(state mesh.State) splitbrain.Gossip {
	switch state {
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

// SeesChanged says that Options.Sees has something new for the heartbeats.
func (s *Membership) SeesChanged() { s.tellFacts() }

// tellFacts gives the heartbeats what they carry of this node, when it has changed.
func (s *Membership) tellFacts() {
	s.factsMu.Lock()
	defer s.factsMu.Unlock()
	facts := observed.Facts{
		Version: version.Version, Revision: s.o.Runner.Running().Revision, StoreError: errorText(s.o.Cluster.Status().Err),
		RestartingUntil: s.restarting.Load(), Sees: s.o.Sees(),
	}
	if facts != s.facts {
		s.facts = facts
		if err := s.Arbiter.SetFacts(facts.Encode(splitbrain.MaxFacts)); err != nil {
			s.o.Log.Error("the others are not told of this node's facts", "err", err)
		}
	}
}
