package membership

import (
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/observed"
)

// RevisionRuns is told by the runner what runs from now on.
func (s *Membership) RevisionRuns(rev store.Revision, state desired.State) {
	s.o.Plane.Guard(state.Guarded(s.o.Cluster.Status().Advertise.Addr()))
	s.o.Near.Place(state)
	defer s.o.Near.Look()
	a := s.Arbiter
	// Kept before any unit asks for one as long.
	a.SetLeaseBound(s.voter.Revision(rev.Number, desired.LongestLease(rev.Text, s.runners())))
	a.SetAloneAfter(state.Mesh.AloneAfter)
	a.SetHeartbeat(state.Mesh.HeartbeatInterval)
	a.SetUnits(s.o.Near.Units(s.o.Plane.Engine.Status()))
	s.tellFacts()
	s.o.View.Update(func(in *observed.Input) { in.Policies = state.Policies() })
	if err := s.o.Cluster.CacheRevision(rev); err != nil {
		s.o.Log.Error("revision is not cached: without it the node waits for the cluster at its next start", "rev", rev.Number, "err", err)
	}
}

// runners are the members that run units.
func (s *Membership) runners() []string {
	var names []string
	for _, mem := range s.o.Cluster.Members() {
		if mem.Role != store.RoleWitness {
			names = append(names, mem.Name)
		}
	}
	return names
}
