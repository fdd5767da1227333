package node

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/splitbrain/fence"
)

// agent is the agent of a node, by the words of a unit.
func (f *fencing) agent(unit, node string) (fence.Agent, bool) {
	for _, u := range f.state().Units {
		for _, a := range u.SplitBrain.Fencing.Agents {
			if u.Spec.Name == unit && a.Node == node {
				return agentOf(a, u.SplitBrain.Fencing.Timeout), true
			}
		}
	}
	return fence.Agent{}, false
}

func agentOf(a desired.FenceAgent, timeout time.Duration) fence.Agent {
	out := fence.Agent{Node: a.Node, Program: a.Program, Action: fence.Action(a.Action), Timeout: timeout}
	for _, o := range a.Options {
		out.Options = append(out.Options, fence.Option(o))
	}
	return out
}

// watchAgents has all agents of other nodes checked, each once.
func (f *fencing) watchAgents() {
	var agents []fence.Agent
	for _, u := range f.state().Units {
		for _, a := range u.SplitBrain.Fencing.Agents {
			agent := agentOf(a, u.SplitBrain.Fencing.Timeout)
			if a.Node != f.node && !slices.ContainsFunc(agents, func(o fence.Agent) bool { return reflect.DeepEqual(o, agent) }) {
				agents = append(agents, agent)
			}
		}
	}
	if reflect.DeepEqual(agents, f.agents) {
		return
	}
	f.agents = agents
	f.watch.SetAgents(agents)
	for node, a := range f.failed {
		if !slices.ContainsFunc(agents, func(o fence.Agent) bool { return o.Node == node }) {
			f.resolve(node, a)
		}
	}
}

// checked turns the check of an agent into an alert, or its end.
func (f *fencing) checked(v fence.Verdict) {
	node := v.Agent.Node
	open, standing := f.failed[node]
	switch {
	case v.Err == nil && standing:
		f.resolve(node, open)
	case v.Err != nil:
		a := splitbrain.Alert{
			Kind: splitbrain.FenceAgentFailed, Peer: node, Since: v.At,
			Summary:  fmt.Sprintf("%s could not fence %s: the check of its fence_agent failed", f.node, node),
			Evidence: []string{v.Err.Error()},
			Remedy:   "compare the options of the fence_agent with the device, and whether this node reaches it; it is checked again every 10 minutes",
		}
		if standing {
			a.Since = open.Since
		}
		f.failed[node] = a
		f.alert(a)
	}
}

func (f *fencing) resolve(node string, a splitbrain.Alert) {
	delete(f.failed, node)
	a.Resolved, a.Evidence, a.Remedy = true, nil, ""
	f.alert(a)
}
