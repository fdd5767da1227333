package config

import (
	"slices"

	"github.com/hacluster/hacluster/config/syntax"
)

// fewestVoters is the smallest electorate that can lose one and go on.
const fewestVoters = 3

// quorums returns the places of policy quorum in order, with the first unit that
// has it from there.
func (m *members) quorums() (places []syntax.Pos, units []string) {
	for _, n := range m.nodes {
		cfg := m.cfgs[n.Name]
		for _, u := range cfg.unitViews() {
			at := cfg.Place(u.path, inSplitBrain("policy"), "split_brain")
			if i, seen := slices.BinarySearchFunc(places, at, syntax.Pos.Compare); u.sb.Policy == PolicyQuorum && !seen {
				places, units = slices.Insert(places, i, at), slices.Insert(units, i, u.name)
			}
		}
	}
	return places, units
}

// voters holds that policy quorum has voters to ask.
func (m *members) voters() {
	votes, holders := 0, 0
	for _, n := range m.nodes {
		if n.Role == "" {
			return
		}
		if n.Role != RoleNonVoter {
			votes++
		}
		if n.Role != RoleWitness {
			holders++
		}
	}
	places, units := m.quorums()
	for i, at := range places {
		unit := units[i]
		switch {
		case votes < fewestVoters && holders == 2:
			m.errorf(at, "policy quorum of %s needs %d voters, and the cluster has %d: a witness makes it possible (haclusterctl join --witness on a third machine); until then use policy mesh",
				unit, fewestVoters, votes)
		case votes < fewestVoters:
			m.errorf(at, "policy quorum of %s needs %d voters, and the cluster has %d; use policy mesh until %d have joined, witnesses included",
				unit, fewestVoters, votes, fewestVoters)
		case votes%2 == 0 && i == 0:
			m.warnf(at, "policy quorum has %d voters, which survive the loss of %d, as %d voters would; with one more, such as a witness, they survive %d",
				votes, (votes-1)/2, votes-1, votes/2)
		}
	}
}

// probes holds that no node probes an address as its gateway that another one may
// hold. Compile has compared each node's with its own.
func (m *members) probes() {
	done := map[syntax.Pos]bool{}
	for _, n := range m.nodes {
		cfg := m.cfgs[n.Name]
		at := cfg.Place("cluster", "gateway_probe")
		for _, p := range cfg.Cluster.GatewayProbe {
			for _, other := range m.nodes {
				in := m.cfgs[other.Name].holderOf(p)
				if in == "" || done[at] || cfg.holderOf(p) != "" {
					continue
				}
				done[at] = true
				m.errorf(at, "gateway_probe %s of %s is a virtual address of %s on %s; name a machine outside the cluster", p, n.Name, in, other.Name)
			}
		}
	}
}

// fencing compares the fence_* words with the members.
func (m *members) fencing() {
	done := map[syntax.Pos]bool{}
	for _, n := range m.nodes {
		cfg := m.cfgs[n.Name]
		for _, u := range cfg.unitViews() {
			at := cfg.Place(u.path, "split_brain")
			f := u.sb.Fencing
			if len(f.Agents) == 0 || done[at] {
				continue
			}
			done[at] = true
			for _, a := range f.Agents {
				if !m.has(a.Node) {
					m.warnf(cfg.Place(u.path, inSplitBrain("fence_agent "+a.Node)), "fence_agent %s names no member of the cluster; members are %s", a.Node, m.names())
				}
			}
			first := cfg.Place(u.path, inSplitBrain("fence_first"), "split_brain")
			switch {
			case f.First != "" && !m.has(f.First):
				m.warnf(first, "fence_first %s names no member of the cluster; members are %s", f.First, m.names())
			case f.First == "" && u.sb.Policy == PolicyMesh && len(m.nodes) == 2:
				m.errorf(at, "fence_agent of %s needs fence_first with two nodes, or each would fence the other at once; name the one that goes first", u.name)
			}
		}
	}
}
